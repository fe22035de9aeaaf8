"""Wrong settings and wrong data: one clear sentence, before anything is made of them."""

import os
import shutil

import country
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import yaml

TILE = "31TGL"


def refused(folder, *words):
    """What a run that must fail says to the user."""
    done = country.snakemake(folder, *words)
    assert done.returncode == 1, done.stdout
    return done.stdout + done.stderr


def images(folder, band="B4", tile=TILE):
    return sorted((folder / f"country/sentinel2/{tile}").glob(f"*/*_FRE_{band}.tif"))


def change_reference(folder, function):
    path = folder / "country/reference.gpkg"
    frame = function(gpd.read_file(path))
    path.unlink()
    frame.to_file(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sedes": 3}, "sedes: unknown setting; allowed here: results, tiles, grid, resolution, sensors"),
        ({"window": {"sise": 3}}, "window.sise: unknown setting; allowed here: size"),
        ({"model": {"name": "forest", "tree": 3}}, "model.tree: unknown setting; allowed here: name, trees, depth"),
        ({"seeds": 0}, "seeds: found 0"),
        ({"scratch": "settings.yaml"}, "scratch: settings.yaml is there, and is no folder: name another folder"),
        ({"results": "settings.yaml/x"}, "results: settings.yaml is there, and is no folder: name another folder"),
        ({"nomenclature": "nowhere.csv"}, "nomenclature nowhere.csv cannot be read"),
    ],
)
def test_wrong_setting(again, changes, message):
    country.configure(again, **changes)
    said = refused(again, "-n")
    assert message in said
    assert "Traceback" not in said


def test_missing_setting(again):
    content = {name: value for name, value in country.SETTINGS.items() if name != "period"}
    (again / "settings.yaml").write_text(yaml.safe_dump(content))
    assert "period: this setting is required" in refused(again, "-n")


def test_no_setting_of_the_example_survives(again):
    """The workflow's own settings file is not merged into the user's: what this one lacks has its default."""
    said = country.snakemake(again, "-n", "--forcerun", "plan").stdout
    assert "demo/" not in said
    assert country.run(again) == []


def test_missing_folder(again):
    shutil.rmtree(again / "country/sentinel2")
    said = refused(again, "--until", "inventory")
    assert (
        "has no acquisition that can be read from 2018-01-01 to 2018-12-31: looked for s2 in country/sentinel2/31T"
        in said
    )


def test_tile_without_acquisitions(again):
    shutil.rmtree(again / f"country/sentinel2/{TILE}")
    (again / f"country/sentinel2/{TILE}").mkdir()
    said = refused(again, "--until", "inventory")
    assert (
        "has no acquisition that can be read from 2018-01-01 to 2018-12-31: looked for s2 in country/sentinel2/31T"
        in said
    )


def test_no_acquisition_in_the_period(again):
    country.configure(again, period={"start": "2017-01-01", "end": "2017-12-31", "step": 40})
    said = refused(again, "--until", "inventory")
    assert "has no acquisition that can be read from 2017-01-01 to 2017-12-31: looked for s2 in" in said


def test_truncated_image(again):
    image = images(again)[3]
    image.write_bytes(image.read_bytes()[:-200])
    said = refused(again)
    assert f"tile {TILE}: 1 bad acquisition(s)" in said
    assert f"{image.relative_to(again)} is truncated: its block" in said
    assert "Repair or remove them, or set `on_bad_acquisition: skip`" in said
    country.configure(again, on_bad_acquisition="skip")
    country.run(again)
    page = (again / "results/report/index.html").read_text()
    assert "is truncated" in page


def test_a_failure_does_not_make_a_changed_setting_forgotten(again):
    """Snakemake alone would find nothing to do: the failed job's old output is gone, what follows it is there."""
    country.configure(again, sampling={"per_polygon_max": 3})
    inventory = again / f"results/acquisitions/{TILE}.json"
    times, content = inventory.stat(), inventory.read_bytes()
    for damaged in (content[:-10], content):
        inventory.write_bytes(damaged)
        os.utime(inventory, ns=(times.st_atime_ns, times.st_mtime_ns))
        if damaged != content:
            assert "was changed or cut" in refused(again, "-k")
    ran = country.run(again)
    assert f"sample/{TILE}" in ran
    assert pd.read_parquet(again / f"results/samples/{TILE}.parquet").groupby("polygon").size().max() == 3


def test_image_of_another_grid(again):
    image = images(again)[3]
    with rasterio.open(image) as good:
        profile, pixels = good.profile, good.read()
    with rasterio.open(
        image, "w", **(profile | {"transform": profile["transform"].translation(3, 0) @ profile["transform"]})
    ) as bad:
        bad.write(pixels)
    said = refused(again, "--until", "inventory")
    assert f"{image.relative_to(again)} is on another grid: EPSG:32631 (" in said
    assert "acquisitions have EPSG:32631 (731860, 5095040), 60 × 60 pixels of 10" in said


def test_images_of_another_extent_than_the_plan(again):
    """A tile delivered anew, larger: its regions and its reference were cut for the old extent."""
    for image in (again / "country/sentinel2/32TKR").glob("**/*.tif"):
        with rasterio.open(image) as old:
            profile, pixels = old.profile, old.read()
        size = {"height": old.height + 40 // (old.res[0] // 10), "width": old.width}
        with rasterio.open(image, "w", **(profile | size)) as new:
            new.write(np.pad(pixels, ((0, 0), (0, int(size["height"]) - old.height), (0, 0)), mode="edge"))
    said = refused(again, "-k")
    assert "tile 32TKR: its images are on the grid EPSG:32632 (" in said
    assert "snakemake --forcerun plan" in said
    country.run(again, "--forcerun", "plan")
    with rasterio.open(again / "results/map/32TKR/class.tif") as image:
        assert image.shape == (100, 60)


def test_a_setting_that_stands_twice(again):
    with (again / "settings.yaml").open("a") as stream:
        stream.write("seeds: 3\n")
    said = refused(again, "-n")
    assert "'seeds' stands twice in one group" in said and "Traceback" not in said


def test_a_plan_that_was_cut_is_refused_with_its_sentence_alone(again):
    plan = again / "results/plan.json"
    times = plan.stat()
    plan.write_text(plan.read_text()[:-5])
    os.utime(plan, ns=(times.st_atime_ns, times.st_mtime_ns))
    said = refused(again, "-n")
    assert "results/plan.json was changed or cut after it was written" in said


def test_missing_band(again):
    images(again, "B11")[0].unlink()
    assert "0 files end in _FRE_B11.tif, where there must be one" in refused(again, "--until", "inventory")


def test_region_with_one_class(again):
    change_reference(again, lambda f: f[(f.to_crs("EPSG:32631").bounds.miny > country.BORDER) | (f.code == 11)])
    said = refused(again, "--until", "plan")
    assert "region 'south' has only class 11" in said


def test_class_with_one_polygon(again):
    """It is learnt, never validated on, and the assessment says so."""

    def keep_one(frame):
        maize = frame.index[frame.code == 13]
        return frame.drop(maize[1:])

    change_reference(again, keep_one)
    country.run(again)
    classes = pd.read_csv(again / "results/assessment/classes.csv", dtype={"class": str})
    maize = classes[(classes["region"] == "all") & (classes["class"] == "13")].iloc[0]
    assert maize.validated == "no" and maize.validation == 0 and maize.learning > 0
    scores = pd.read_csv(again / "results/assessment/scores.csv", dtype={"class": str})
    assert scores[(scores["class"] == "13") & (scores.score == "recall")].value.isna().all()
    assert "not validated" in (again / "results/report/index.html").read_text()


def test_invalid_polygon(again):
    """A bow tie is made valid and counted."""

    def bow_tie(frame):
        x0, y0, x1, y1 = frame.geometry[0].bounds
        frame.loc[0, "geometry"] = shapely.Polygon([(x0, y0), (x1, y1), (x1, y0), (x0, y1)])
        return frame

    change_reference(again, bow_tie)
    country.run(again, "--until", "plan")
    assert "1 invalid polygons made valid: fid 1" in (again / "results/logs/plan.log").read_text()


def test_code_absent_from_the_nomenclature(again):
    change_reference(again, lambda f: f.assign(code=np.where(f.index == 4, 99, f.code)))
    said = refused(again, "--until", "plan")
    assert "class np.int64(99)" not in said
    assert "class 99 of field 'code' is not in the nomenclature (fid 5)" in said.replace("'99'", "99")


def test_overlapping_polygons(again):
    def overlap(frame):
        other = frame.index[frame.code != frame.code[0]][0]
        frame.loc[other, "geometry"] = frame.geometry[0].buffer(-1)
        return frame

    change_reference(again, overlap)
    assert "polygons of different classes overlap (fid 1 and" in refused(again, "--until", "plan")


def test_reference_in_another_crs(again):
    """The same polygons hold the same pixels."""
    before = pd.read_parquet(again / f"results/samples/{TILE}.parquet").drop(columns="polygon")
    change_reference(again, lambda f: f.to_crs("EPSG:4326"))
    country.run(again, "--until", "sample")
    after = pd.read_parquet(again / f"results/samples/{TILE}.parquet").drop(columns="polygon")
    order = ["row", "column"]
    pd.testing.assert_frame_equal(
        before.sort_values(order, ignore_index=True), after.sort_values(order, ignore_index=True)
    )


def test_no_overlap_at_all(again):
    change_reference(again, lambda f: f.set_geometry(f.translate(200_000, 0)))
    said = refused(again, "--until", "plan")
    assert "none of the" in said and "lies on a tile" in said and "is the CRS of the file right" in said


def test_tiles_of_two_crs_need_one_for_the_mosaic(again):
    country.configure(again, mosaic={})
    assert "say which CRS the mosaic should have" in refused(again, "--until", "plan", "--forcerun", "plan")


def test_file_cut_behind_the_back_is_refused(again):
    """Its reader names the command that mends it, and the command does."""
    samples = again / "results/samples/32TKR.parquet"
    times = samples.stat()
    content = samples.read_bytes()
    samples.write_bytes(content[:-100])
    os.utime(samples, ns=(times.st_atime_ns, times.st_mtime_ns))
    said = refused(again, "--forcerun", "train")
    assert "results/samples/32TKR.parquet was changed or cut after it was written" in said
    assert "snakemake --forcerun results/samples/32TKR.parquet" in said
    country.run(again, "--forcerun", "results/samples/32TKR.parquet")
    assert samples.read_bytes() == content


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("reference.path", {"reference": {"path": "nowhere.gpkg", "field": "code"}}),
        ("regions.path", {"regions": {"path": "nowhere.gpkg", "field": "region"}}),
        ("area.path", {"area": "nowhere.gpkg"}),
    ],
)
def test_polygons_that_are_not_there_although_a_plan_is(again, setting, value):
    country.configure(again, **value)
    said = refused(again, "-n")
    assert f"{setting}: nowhere.gpkg is not there: correct the path, or put the file there." in said
