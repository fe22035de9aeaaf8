"""Landsat of the USGS: generated scenes, read back; and what is wrong with damaged ones."""

import datetime
import logging
import os
import tarfile

import numpy as np
import pytest
from unit import landsat_products as products
from unit.landsat_products import (
    COMMON,
    DAYS,
    FIRST,
    LAST,
    NEXT,
    SATELLITES,
    SCENE,
    Truth,
    check_next_zone,
    check_own_grid,
    damaged,
    described,
    problem,
    scene_name,
    series,
    take,
    usgs,
)
from unit.rasters_for_tests import constant, save

from parcelle import features, inventory
from parcelle.errors import InputError, SettingsError
from parcelle.grid import Grid
from parcelle.sensors.landsat import LandsatC2L2
from parcelle.settings import Period, Settings

# Half a step of the files, 0.275 of reflectance × 10,000, and half a step of that.
ERROR = 0.65


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """A year of scenes of four satellites: one a month, in folders, archives and side by side."""
    folder = tmp_path_factory.mktemp("usgs")
    truths = [Truth(day, seed) for seed, day in enumerate(DAYS)]
    for i, truth in enumerate(truths):
        scene = usgs(folder, scene_name(SATELLITES[i % 4], truth.day), truth, beside=i % 3 == 2)
        if i % 3 == 1:
            products.tarred(scene)
    return folder, truths


def test_a_year_of_four_satellites_is_read_back_on_its_own_grid(year):
    folder, truths = year
    check_own_grid(series(described(folder)), truths, COMMON, products.usgs_invalid, ERROR)


def test_a_year_of_four_satellites_is_read_back_in_another_zone(year):
    folder, truths = year
    check_next_zone(series(described(folder), NEXT), truths, COMMON, products.usgs_invalid, ERROR + 0.05)


def test_temperature_is_read_in_kelvin(year):
    folder, truths = year
    check_own_grid(series(described(folder, bands=["lwir"])), truths, ["lwir"], products.usgs_invalid, 0.002)


def test_names_and_files_of_the_bands(year):
    found, problems = LandsatC2L2().find(str(year[0]), "31TCJ", "l")
    assert problems == []
    assert [a.id[:4] for a in sorted(found, key=lambda a: a.datetime)] == list(SATELLITES) * 3
    for acquisition in found:
        files = {band: asset.path.rpartition("_T1_")[2] for band, asset in acquisition.assets.items()}
        expected = products.files_of(acquisition.id)
        assert files == {band: f"{end}.TIF" for band, end in expected.items()}
        blue, lwir = acquisition.assets["blue"], acquisition.assets["lwir"]
        assert (blue.scale, blue.offset, blue.nodata) == (0.0000275, -0.2, 0)
        assert (lwir.scale, lwir.offset, lwir.nodata) == (0.00341802, 149.0, 0)
        assert [mask.path.rpartition("_T1_")[2] for mask in acquisition.masks] == ["QA_PIXEL.TIF", "QA_RADSAT.TIF"]
        assert [bin(mask.invalid_bits) for mask in acquisition.masks] == ["0b111111", "0b101001111111"]


def test_the_day_of_a_product_is_in_its_name(year):
    format, folder = LandsatC2L2(), str(year[0])
    listed = format.products(folder, "31TCJ")
    assert sorted(map(format.date_of, listed)) == [datetime.date(2018, month, 17) for month in range(1, 13)]
    assert {path.name.rpartition("_T1")[2] for path in listed} == {"_MTL.txt", ".tar", "_QA_PIXEL.TIF"}
    assert all(path.exists() for path in listed)


def test_the_default_are_the_bands_that_all_satellites_have():
    for sensor in (described("x"), described("x", "landsat-theia")):
        assert [band.name for band in features._bands(sensor, LandsatC2L2())] == list(COMMON)
    assert features._bands(described("x", bands=["coastal"]), LandsatC2L2())[0].name == "coastal"


def test_indices_are_made_of_common_names():
    settings = Settings.model_construct(sensors={"l": described("x")}, period=Period(start=FIRST, end=LAST))
    (recipe,) = features.recipes(settings)
    assert [text for _, text, _ in recipe.indices][:2] == ["(nir08-red)/(nir08+red)", "(swir16-nir08)/(swir16+nir08)"]


def test_flags_may_be_chosen(tmp_path):
    truth = Truth("20180517")
    usgs(tmp_path, scene_name(day=truth.day), truth)
    found = series(described(tmp_path, invalid=[0, 1, 2, 3, 4]))
    check_own_grid(found, [truth], COMMON, lambda t: products.usgs_invalid(t, range(5)), ERROR)


@pytest.mark.parametrize("bit", [6, 8, -1])
def test_flags_that_are_none_are_refused(bit):
    with pytest.raises(SettingsError, match=rf"^invalid: found {bit}; allowed: bits of QA_PIXEL, 0 fill, .*, 7 water$"):
        LandsatC2L2([0, bit])


def test_scenes_of_other_extents_are_read(tmp_path):
    larger = Grid(SCENE.crs, SCENE.left - 90, SCENE.top + 60, 30, SCENE.height + 8, SCENE.width + 5)
    truths = [Truth("20180117", 1, larger), Truth("20180218", 2)]
    for truth in truths:
        usgs(tmp_path, scene_name("LE07", truth.day), truth)
    found = series(described(tmp_path))
    inside = np.s_[2 : 2 + SCENE.height, 3 : 3 + SCENE.width]
    observed = ~(products.usgs_invalid(truths[0]) | np.any([truths[0].holes(b) for b in COMMON], axis=0))
    assert np.array_equal(found.valid[0], observed[inside])
    for j, band in enumerate(COMMON):
        error = np.abs(found.values[0, j] - 10_000 * truths[0].values(band)[inside])
        assert error[observed[inside]].max() <= ERROR


def test_neighbouring_rows_of_one_day_are_one_date(tmp_path):
    for place in ("198029", "198030"):
        usgs(tmp_path, scene_name(place=place))
    taken, _ = take(described(tmp_path))
    assert [a.id[10:16] for a in taken.acquisitions] == ["198029", "198030"]
    assert len(series(described(tmp_path)).dates) == 1


def test_scenes_that_do_not_touch_the_tile_are_left_out_quietly(tmp_path, caplog):
    away = Grid(SCENE.crs, SCENE.left + 200_000, SCENE.top, 30, 30, 30)
    usgs(tmp_path, scene_name())
    usgs(tmp_path, scene_name(place="197030"), Truth("20180103", grid=away), without=("SR_B4",))
    with caplog.at_level(logging.INFO, "parcelle"):
        taken, _ = take(described(tmp_path))
    assert [a.id for a in taken.acquisitions] == [scene_name()]
    assert taken.problems == ()
    assert "1 lie beside the tile" in caplog.messages


def test_a_tile_with_all_scenes_elsewhere_says_so(tmp_path):
    usgs(tmp_path / "scenes", scene_name())
    away = Grid(SCENE.crs, SCENE.left, SCENE.top + 100_000, 30, 30, 30)
    with pytest.raises(InputError) as error:
        take(described(tmp_path / "scenes"), away)
    assert str(error.value) == (
        "tile 31TCJ has no usable acquisition of s2 from 2018-01-01 to 2018-12-31 (0 at other dates, 0 unusable, "
        f"1 elsewhere): looked for s2 in {tmp_path}/scenes."
    )


def test_each_tile_may_have_a_folder(tmp_path):
    usgs(tmp_path / "31TCJ" / "landsat", scene_name())
    assert len(take(described(tmp_path / "{tile}" / "landsat"))[0].acquisitions) == 1
    with pytest.raises(InputError, match=rf"looked for s2 in {tmp_path}/31TDJ/landsat\.$"):
        take(described(tmp_path / "{tile}" / "landsat"), tile="31TDJ")


def test_the_grid_of_a_tile_may_be_that_of_its_scenes(tmp_path):
    usgs(tmp_path, scene_name("LT05"))
    assert inventory.tile_grid({"s2": described(tmp_path)}, "31TCJ", "header") == SCENE


def test_of_a_scene_that_was_processed_again_the_newest_is_taken(tmp_path, caplog):
    for processed, end in (("20180201", "02_T2"), ("20200902", "02_T1"), ("20190101", "02_T1")):
        usgs(tmp_path, scene_name(processed=processed, end=end))
    with caplog.at_level(logging.INFO, "parcelle.sensors.landsat"):
        found, problems = LandsatC2L2().find(str(tmp_path), "31TCJ", "l")
    assert ([a.id for a in found], problems) == ([scene_name()], [])
    assert caplog.messages[0] == (
        f"{scene_name(processed='20180201', end='02_T2')} is left out: {scene_name(processed='20190101')} "
        "was processed later"
    )


def test_a_folder_comes_before_files_beside_and_these_before_an_archive(tmp_path):
    def root():
        (acquisition,), problems = LandsatC2L2().find(str(tmp_path), "31TCJ", "l")
        assert problems == []
        return acquisition.assets["blue"].path.rpartition("/")[0]

    name = scene_name()
    products.tarred(usgs(tmp_path, name))
    assert root() == f"/vsitar/{tmp_path}/{name}.tar"
    (tmp_path / f"{name}_MTL.xml").touch()  # what is fetched beside an archive
    (tmp_path / f"{name}_thumb_small.jpeg").touch()
    assert root() == f"/vsitar/{tmp_path}/{name}.tar"
    usgs(tmp_path, name, beside=True)
    assert root() == str(tmp_path)
    usgs(tmp_path, name)
    assert root() == f"{tmp_path}/{name}"


@pytest.mark.parametrize(
    "name",
    [
        scene_name(level="L1TP"),
        scene_name(end="01_T1"),
        scene_name("LM05"),
        scene_name(end="02_RT"),
        scene_name() + ".incomplete",
        scene_name("LT08"),
    ],
)
def test_names_of_other_products_are_problems(tmp_path, name):
    (tmp_path / name).mkdir()
    assert problem(LandsatC2L2(), tmp_path).why == (
        f"its name ({name}) is not that of a product of Collection 2 level 2, LXNN_L2SX_PPPRRR_YYYYMMDD_YYYYMMDD_02_TN"
    )


def test_a_day_that_does_not_exist_is_a_problem(tmp_path):
    usgs(tmp_path, scene_name(day="20180230"), Truth("20180201"))
    found = problem(LandsatC2L2(), tmp_path)
    assert (found.why, found.date) == ("its name says the day 20180230, which there is not", None)


def test_other_files_are_left_alone(tmp_path):
    usgs(tmp_path, scene_name())
    (tmp_path / "S2A_MSIL2A").mkdir()
    (tmp_path / "readme.txt").touch()
    (tmp_path / f"{scene_name(day='20180202')}_thumb_large.jpeg").touch()
    assert len(LandsatC2L2().find(str(tmp_path), "31TCJ", "l")[0]) == 1
    assert LandsatC2L2().products(str(tmp_path / "nowhere"), "31TCJ") == []
    assert LandsatC2L2().date_of(tmp_path / "readme.txt") is None


@pytest.fixture
def pair(tmp_path):
    """Two scenes; the first is to be damaged."""
    usgs(tmp_path, scene_name(day="20180612"))
    return usgs(tmp_path, scene_name())


@pytest.mark.parametrize("mask", ["QA_PIXEL", "QA_RADSAT"])
def test_a_missing_mask_is_named(tmp_path, pair, mask):
    (pair / f"{pair.name}_{mask}.TIF").unlink()
    assert damaged(described(tmp_path)) == f"{pair}: it has no {pair.name}_{mask}.TIF"


def test_a_band_that_is_missing_is_named_where_it_is_used(tmp_path, pair):
    (pair / f"{pair.name}_SR_B4.TIF").unlink()
    assert damaged(described(tmp_path)) == f"{pair.name}: it has no band red"
    assert len(take(described(tmp_path, bands=["blue", "nir08"]))[0].acquisitions) == 2


def test_a_band_that_a_satellite_does_not_have_is_named(tmp_path):
    for satellite, day in (("LT05", "20180103"), ("LC09", "20180612")):
        usgs(tmp_path, scene_name(satellite, day))
    sensor = described(tmp_path, bands=["coastal", "blue"])
    assert damaged(sensor) == f"{scene_name('LT05')}: it has no band coastal"


def test_a_scene_without_temperature_is_named_where_it_is_used(tmp_path):
    usgs(tmp_path, scene_name(level="L2SR"), without=("ST_B10",))
    usgs(tmp_path, scene_name(day="20180612"))
    assert len(take(described(tmp_path))[0].acquisitions) == 2
    assert damaged(described(tmp_path, bands=["lwir"])) == f"{scene_name(level='L2SR')}: it has no band lwir"


def test_a_folder_without_images_is_named(tmp_path, pair):
    for file in pair.glob("*_B?*.TIF"):
        file.unlink()
    assert damaged(described(tmp_path)) == (
        f"{pair}: it has no band: no file {pair.name}_SR_B?.TIF or _ST_B?.TIF is there"
    )


@pytest.mark.parametrize("end", ["SR_B3", "QA_PIXEL", "QA_RADSAT"])
@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_file_that_is_no_image_is_named(tmp_path, pair, end, content):
    path = pair / f"{pair.name}_{end}.TIF"
    path.write_bytes(content)
    assert damaged(described(tmp_path)).startswith(f"{pair.name}: {path} cannot be opened (")


def test_a_truncated_image_is_named(tmp_path, pair):
    path = pair / f"{pair.name}_SR_B5.TIF"
    os.truncate(path, path.stat().st_size - 100)
    assert damaged(described(tmp_path)).startswith(f"{pair.name}: {path} is truncated: its block (")


def test_a_mask_that_is_no_flags_is_named(tmp_path, pair):
    path = save(pair / f"{pair.name}_QA_PIXEL.TIF", constant(0, SCENE, "float32"), SCENE)
    sentence = f"{pair.name}: {path} is a mask of type float32, where whole numbers are expected"
    assert damaged(described(tmp_path)) == sentence


def test_another_number_for_no_data_is_named(tmp_path, pair):
    path = save(pair / f"{pair.name}_SR_B2.TIF", constant(9000, SCENE, "uint16"), SCENE, nodata=9)
    assert damaged(described(tmp_path)).startswith(f"{pair.name}: {path} says that no data is 9, where 0 is what")


def test_a_truncated_archive_is_named(tmp_path, pair):
    archive = products.tarred(pair)
    os.truncate(archive, archive.stat().st_size // 2)
    sentence = damaged(described(tmp_path))
    assert sentence.startswith(f"{archive}: it is no tar archive, or a truncated one (")
    assert sentence.endswith("): fetch it again")


@pytest.mark.parametrize("content", [b"", b"no archive" * 100])
def test_what_is_no_archive_is_named(tmp_path, pair, content):
    archive = products.tarred(pair)
    archive.write_bytes(content)
    assert damaged(described(tmp_path)).startswith(f"{archive}: it is no tar archive, or a truncated one (")


@pytest.mark.parametrize("member", ["../x", "/etc/x", "a/../../x"])
def test_an_archive_that_leads_out_of_itself_is_named(tmp_path, pair, member):
    archive = products.tarred(pair)
    with tarfile.open(archive, "a") as content:
        content.addfile(tarfile.TarInfo(member))
    assert damaged(described(tmp_path)) == f"{archive}: its member {member!r} leads out of it: fetch it again"


def test_a_link_in_an_archive_is_no_file(tmp_path, pair):
    name = f"{pair.name}_QA_PIXEL.TIF"
    (pair / name).unlink()
    archive = products.tarred(pair)
    with tarfile.open(archive, "a") as content:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        content.addfile(link)
    assert damaged(described(tmp_path)) == f"{archive}: it has no {name}"


@pytest.mark.parametrize("end", [".tar.gz", ".tgz", ".zip"])
def test_a_compressed_archive_is_named(tmp_path, pair, end):
    archive = products.tarred(pair)
    archive = archive.rename(f"{tmp_path}/{archive.stem}{end}")
    assert damaged(described(tmp_path)) == (
        f"{archive}: it is a compressed archive, which cannot be read in parts: unpack it, or make it a .tar"
    )


@pytest.mark.parametrize("end", ["", ".tar"])
@pytest.mark.parametrize("target", ["unmounted", "."])
def test_a_link_to_nothing_is_named(tmp_path, pair, end, target):
    products.tarred(pair).unlink()
    link = tmp_path / f"{pair.name}{end}"
    link.symlink_to(link if target == "." else tmp_path / target)
    assert damaged(described(tmp_path)) == f"{link}: it is a link to nothing"


def test_an_image_that_is_a_link_to_nothing_is_named(tmp_path):
    usgs(tmp_path, scene_name(day="20180612"))
    usgs(tmp_path, scene_name(), beside=True)
    image = tmp_path / f"{scene_name()}_SR_B2.TIF"
    image.unlink()
    image.symlink_to(tmp_path / "gone.TIF")
    assert damaged(described(tmp_path)).startswith(f"{scene_name()}: {image} cannot be opened (")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path, pair):
    pair.chmod(0)
    assert damaged(described(tmp_path)) == f"{pair}: {pair} cannot be read (Permission denied)"
    pair.chmod(0o700)
    tmp_path.chmod(0)
    with pytest.raises(InputError, match=r"cannot be listed \(Permission denied\): make it readable\.$"):
        take(described(tmp_path))
    tmp_path.chmod(0o700)
