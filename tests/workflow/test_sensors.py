"""The workflow on several sensors: other grids, radar with a filter, a relief, a function; and its inventory again."""

import country
import pandas as pd
import pytest

from parcelle.demo import truth
from workflow import other_sensors

TILES = ["31TGM", "31TGL", "32TKR"]
SENSORS = {
    "l8": {"format": "landsat-c2-l2", "path": "country/landsat", "mask_buffer": 2, "indices": ["ndvi", "EVI"]},
    "s1": {"format": "sentinel1-s1tiling", "path": "country/radar", "speckle": "quegan"},
    "dem": {"format": "rasters", "path": "country/relief.tif", "names": ["altitude"]},
}
FUNCTION = '''
def contrast(series):
    """Difference of the polarisations, as it was first seen, and the height above the mean of the block."""
    return {"first": series["s1"].band("vv")[0] - series["s1"].band("vh")[0], "height": series["dem"].values[0, 0]}
'''
EXTERNAL = {"contrast": {"function": "functions.py:contrast", "margin": 2}}


def maps(folder, results="results"):
    found = sorted((folder / results).glob("m*/**/*.tif"))
    return {path.relative_to(folder / results): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The tiny country by Landsat, radar and relief, mapped."""
    folder = country.write(tmp_path_factory.mktemp("sensors"), sensors=SENSORS, external=EXTERNAL)
    (folder / "functions.py").write_text(FUNCTION)
    other_sensors.write(folder / "country")
    country.run(folder)
    return folder


def test_maps_are_right(seen):
    """Landsat's pixels are a sixth of the fields; half of those at a border see two of them."""
    correct, total = truth.pooled(truth.tile_accuracies(seen / "country", seen / "results"))
    assert total > 0.7 * 3 * 60 * 60
    assert correct / total > 0.75


def test_features_are_those_of_all_sensors(seen):
    columns = list(pd.read_parquet(seen / "results/samples/31TGM.parquet").columns)
    dates = 10
    assert sum(name.startswith("l8.") for name in columns) == (6 + 2) * dates
    assert sum(name.startswith("s1.v") for name in columns) == 2 * dates
    assert columns[-3:] == ["dem.altitude", "contrast.first", "contrast.height"]


def test_the_relief_is_that_of_the_place(seen):
    for tile in TILES:
        table = pd.read_parquet(seen / f"results/samples/{tile}.parquet")
        assert (table["dem.altitude"] == table["contrast.height"]).all()
        assert 0.5 < table["dem.altitude"].max() - table["dem.altitude"].min() < 60


def test_any_window_and_thread_count_gives_the_same_bytes(seen, tmp_path):
    folder = country.copy(seen, tmp_path / "other")
    country.configure(folder, sensors=SENSORS, external=EXTERNAL, window={"size": 30})
    country.run(folder, "--forcerun", "sample", "classify", "--set-threads", "classify=1", "sample=1")
    assert maps(folder) == maps(seen)
    for tile in TILES:
        path = f"results/samples/{tile}.parquet"
        assert (folder / path).read_bytes() == (seen / path).read_bytes()


def test_the_inventory_read_as_stac_gives_the_same_maps(seen, tmp_path):
    folder, path = country.copy(seen, tmp_path / "again"), "results/acquisitions/{tile}.json"
    listed = {
        "l8": SENSORS["l8"] | {"format": "stac", "collection": "landsat-c2-l2", "path": path},
        "s1": {"format": "stac", "collection": "sentinel1-s1tiling", "path": path, "speckle": "quegan"},
        "dem": SENSORS["dem"],
    }
    country.configure(folder, sensors=listed, external=EXTERNAL, results="again")
    country.run(folder)
    assert maps(folder, "again") == maps(folder) != {}
