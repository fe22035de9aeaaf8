"""What runs again after a change: exactly what depends on it."""

import os
import shutil
import signal
import subprocess
import sys
import time

import country
import geopandas as gpd
import pytest
import rasterio

PRODUCTS = ["mosaic/class", "mosaic/confidence", "mosaic/validity"]
END = ["assess", *PRODUCTS, "report", "provenance"]
END_OF_SEEDS = ["assess", "report", "provenance"]
TILES = ["31TGM", "31TGL", "32TKR"]  # both regions; south; north


TRAINS_OF_SEEDS = [f"train/{region}/{seed}" for region in ("north", "south") for seed in (0, 1)]


def trains(*regions):
    return [f"train/{region}/{seed}" for region in regions for seed in (0, 1, "all")]


def splits(*regions):
    return [f"split/{region}/{seed}" for region in regions for seed in (0, 1)]


def per_tile(rule, *tiles):
    return [f"{rule}/{tile}" for tile in tiles]


def test_nothing_changed(again):
    assert country.run(again) == []


def test_everything_is_made_once(mapped):
    assert sorted(p.name for p in (mapped / "results").iterdir() if p.suffix != ".sha256") == sorted(
        ["acquisitions", "areas", "assessment", "benchmarks", "jobs", "logs", "map", "model", "mosaic", "plan.json"]
        + ["provenance", "reference", "report", "samples", "split"]
    )


def test_one_image_of_one_tile(again):
    image = next((again / "country/sentinel2/31TGL").glob("*/*_FRE_B4.tif"))
    with rasterio.open(image, "r+") as band:
        pixels = band.read()
        band.write(pixels + 300)
    expected = ["inventory/31TGL", "sample/31TGL", *trains("south"), *per_tile("classify", "31TGM", "31TGL"), *END]
    assert country.rerun(again) == sorted(expected)


def test_a_replaced_image_is_not_forgotten_when_the_run_stops_after_the_inventory(again):
    os.utime(next((again / "country/sentinel2/32TKR").glob("*/*_FRE_B4.tif")))
    assert country.run(again, "--until", "inventory") == ["inventory/32TKR"]
    expected = ["sample/32TKR", *trains("north"), *per_tile("classify", "31TGM", "32TKR"), *END]
    assert country.run(again) == sorted(expected)


def test_an_image_of_another_year_reruns_nothing(again):
    folder = next((again / "country/sentinel2/32TKR").iterdir())
    shutil.copytree(folder, folder.with_name(folder.name.replace("_2018", "_2019")))
    assert country.run(again) == []


def test_one_image_less(again):
    shutil.rmtree(sorted((again / "country/sentinel2/32TKR").iterdir())[-1])
    expected = ["inventory/32TKR", "sample/32TKR", *trains("north"), *per_tile("classify", "31TGM", "32TKR"), *END]
    assert country.rerun(again) == sorted(expected)


def test_one_polygon(again):
    path = again / "country/reference.gpkg"
    frame = gpd.read_file(path)
    local = frame.to_crs("EPSG:32631")
    lowest = local.bounds.maxy.idxmin()
    assert local.bounds.maxy[lowest] < 5_094_900, "lies in tile 31TGL alone"
    frame.loc[lowest, "geometry"] = frame.geometry[lowest].buffer(-3)
    frame.to_file(path)
    expected = [
        "plan",
        "sample/31TGL",
        *splits("south"),
        *trains("south"),
        *per_tile("classify", "31TGM", "31TGL"),
        *END,
    ]
    assert country.rerun(again) == sorted(expected)


def test_a_reference_replaced_by_an_older_file(again):
    path = again / "country/reference.gpkg"
    times = path.stat()
    frame = gpd.read_file(path)
    frame.loc[0, "geometry"] = frame.geometry[0].buffer(-3)
    frame.to_file(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns - 10**12))
    assert "plan" in country.run(again, "--until", "plan")


def test_one_colour(again):
    path = again / "country/nomenclature.csv"
    lines = path.read_text().splitlines()
    code, name, _, *rest = lines[1].split(",")
    path.write_text("\n".join([lines[0], ",".join([code, name, "#ff00ff", *rest]), *lines[2:]]) + "\n")
    assert country.rerun(again) == ["mosaic/class", "provenance", "report"]
    with rasterio.open(again / "results/mosaic/class.tif") as mosaic:
        assert mosaic.colormap(1)[int(code)] == (255, 0, 255, 255)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": {"ratio": 0.6}}, [*splits("north", "south"), *TRAINS_OF_SEEDS, *END_OF_SEEDS]),
        ({"model": {"name": "forest", "trees": 12}}, [*trains("north", "south"), *per_tile("classify", *TILES), *END]),
        (
            {"map": {"products": ["class", "confidence", "validity", "probability"]}},
            [*per_tile("classify", *TILES), *END, "mosaic/probability"],
        ),
        ({"window": {"size": 16}}, []),
    ],
)
def test_one_setting(again, change, expected):
    country.configure(again, **change)
    assert country.rerun(again) == sorted(expected)


def test_threads_rerun_nothing(again):
    assert country.run(again, "--set-threads", "classify=1", "sample=1", cores=1) == []


def test_touched_script_and_edited_package_rerun_nothing(again, tmp_path):
    root = tmp_path / "clone"
    for name in ("workflow", "scripts", "profiles", "envs"):
        shutil.copytree(country.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(country.ROOT / "Snakefile", root)
    (root / "scripts/train.py").touch()
    with (root / "workflow/parcelle/training.py").open("a") as module:
        module.write("\n# edited\n")
    assert country.run(again, root=root) == []
    assert country.run(again, "--forcerun", "assess", root=root) == ["assess", "provenance", "report"]


def test_interrupted_run_goes_on(again):
    """Killed while it trains: the next run makes what is missing, and the maps are those of an undisturbed run."""
    before = {p.name: p.read_bytes() for p in (again / "results/mosaic").glob("*.tif")}
    shutil.rmtree(again / "results")
    shutil.rmtree(again / ".snakemake")
    command = [sys.executable, "-m", "snakemake", "-s", country.ROOT / "Snakefile", "--directory", again]
    command += ["--configfile", again / "settings.yaml", "--cores", "2"]
    process = subprocess.Popen(
        [str(w) for w in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list((again / "results").glob("model/*/*/model.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    country.snakemake(again, "--unlock")
    ran = country.run(again)
    assert "plan" not in ran and "inventory/31TGM" not in ran
    assert {p.name: p.read_bytes() for p in (again / "results/mosaic").glob("*.tif")} == before
