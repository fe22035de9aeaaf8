"""What models see of a window, put together by hand and compared."""

import numpy as np
import pytest
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, acquired, constant, noise, save

from parcelle import cube
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError
from parcelle.features import Recipe
from parcelle.sensors import Asset, Mask

DATES = ("2018-03-01", "2018-03-11", "2018-03-21")
OPTICAL = Recipe("s2", True, ("b4", "b8"), True, "bilinear", (("ndvi", "(b8-b4)/(b8+b4)"),), DATES)
RADAR = Recipe("s1", False, ("vv",), False, "bilinear", (), DATES[:2])


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Three optical dates that see less and less of the tile, and two of radar."""
    folder = tmp_path_factory.mktemp("cube")
    acquisitions = []
    for day, clear in ((1, TILE.height), (11, 10), (21, 5)):
        image = save(folder / f"{day}.tif", np.stack([constant(100 * day), constant(300 * day)]))
        flags = constant(0, dtype="uint8")
        flags[clear:] = 1
        mask = Mask(save(folder / f"m{day}.tif", flags), 1, (1,))
        assets = {"b4": Asset(image, 1, 1e-4), "b8": Asset(image, 2, 1e-4)}
        acquisitions.append(acquired(day, assets, [mask] if day > 1 else [mask, mask]))
    for day in (1, 11):
        pixels = constant(-day, dtype="float32")
        pixels[:, 0] = np.nan
        path = save(folder / f"s1-{day}.tif", pixels)
        acquisitions.append(acquired(day, {"vv": Asset(path, nodata=float("nan"))}, sensor="s1"))
    return Inventory("31TCJ", TILE, tuple(acquisitions))


def test_series_of_all_sensors_are_gap_filled(inventory):
    found = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1)
    pixels = TILE.height * TILE.width
    assert [f.shape for f in found.filled] == [(3, 2, pixels), (2, 1, pixels)]
    assert [f.dtype for f in found.filled] == [np.int16, np.float32]
    bottom, middle, top = pixels - 1, 7 * TILE.width + 3, 3
    assert found.filled[0][:, 0, bottom].tolist() == [100, 100, 100]  # seen on the first date only
    assert found.filled[0][:, 0, middle].tolist() == [100, 1100, 1100]
    assert found.filled[0][:, 1, top].tolist() == [300, 3300, 6300]
    assert found.filled[1][:, 0, top].tolist() == [-1, -11]
    assert found.filled[1][:, 0, 0].tolist() == [0, 0]  # never seen


def test_validity_counts_optical_dates(inventory):
    found = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1)
    assert found.validity.dtype == np.uint16
    rows = [3] * 5 + [2] * 5 + [1] * (TILE.height - 10)
    assert np.array_equal(found.validity, np.repeat([rows], TILE.width, axis=0).T)


def test_validity_counts_all_dates_where_nothing_is_optical(inventory):
    found = cube.read(inventory, [RADAR], TILE.whole, 1)
    assert found.validity[:, 1:].min() == 2
    assert found.validity[:, 0].max() == 0


@pytest.mark.parametrize("min_valid", [1, 2, 3])
def test_a_pixel_needs_enough_dates_of_every_sensor(inventory, min_valid):
    enough = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, min_valid).enough
    expected = np.zeros((TILE.height, TILE.width), bool)
    expected[: {1: TILE.height, 2: 10, 3: 0}[min_valid], 1:] = True  # radar has two dates, and none in column 0
    assert np.array_equal(enough, expected)


def test_clear_pixels_are_counted_by_date(inventory):
    optical, radar = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1).clear
    assert optical.tolist() == [TILE.height * TILE.width, 10 * TILE.width, 5 * TILE.width]
    assert radar.tolist() == [TILE.height * (TILE.width - 1)] * 2
    assert optical.dtype == np.int64


def test_clear_pixels_of_windows_add_up(inventory):
    whole = cube.read(inventory, [OPTICAL], TILE.whole, 1).clear[0]
    parts = [Window(0, 0, 18, 7), Window(0, 7, 18, 14)]
    assert np.array_equal(sum(cube.read(inventory, [OPTICAL], w, 1).clear[0] for w in parts), whole)


def test_features_are_those_of_all_sensors_side_by_side(inventory):
    found = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1)
    values = found.features(np.array([3, 7 * TILE.width + 3]))
    assert values.dtype == np.float32
    assert values.tolist() == [
        [100, 300, 1100, 3300, 2100, 6300, 0.5, 0.5, 0.5, -1, -11],
        [100, 300, 1100, 3300, 1100, 3300, 0.5, 0.5, 0.5, -1, -11],
    ]
    assert found.features(np.array([], int)).shape == (0, 11)


def test_features_of_a_pixel_have_the_same_bits_in_any_window(tmp_path):
    acquisitions = []
    for i, day in enumerate((2, 8, 9, 19)):
        image = save(tmp_path / f"{day}.tif", noise(bands=2, seed=i, dtype="int16"))
        mask = save(tmp_path / f"m{day}.tif", (noise(seed=50 + i)[0] < 4000).astype("uint8"))
        assets = {"b4": Asset(image, 1, 1e-4), "b8": Asset(image, 2, 1e-4)}
        acquisitions.append(acquired(day, assets, [Mask(mask, 1, (1,))]))
    inventory = Inventory("31TCJ", TILE, tuple(acquisitions))
    whole = cube.read(inventory, [OPTICAL], TILE.whole, 1)
    expected = whole.features(np.arange(TILE.height * TILE.width)).reshape(TILE.height, TILE.width, -1)
    for window in (Window(0, 0, 5, 5), Window(5, 3, 7, 11), Window(17, 20, 1, 1)):
        part = cube.read(inventory, [OPTICAL], window, 1)
        found = part.features(np.arange(window.height * window.width))
        assert found.tobytes() == expected[window.toslices()].tobytes()
        assert np.array_equal(part.validity, whole.validity[window.toslices()])
        assert np.array_equal(part.enough, whole.enough[window.toslices()])


def test_the_same_features_pass():
    cube.check_features(["a", "b"], ("a", "b"), "model.json")


@pytest.mark.parametrize(
    ("found", "expected", "sentence"),
    [
        (["a", "x"], ["a", "b"], "feature 2 is x, where b is expected (2 features, 2 expected)"),
        (["b", "a"], ["a", "b"], "feature 1 is b, where a is expected (2 features, 2 expected)"),
        (["a"], ["a", "b"], "feature 2 is nothing, where b is expected (1 features, 2 expected)"),
        (["a", "b", "c"], ["a", "b"], "feature 3 is c, where nothing is expected (3 features, 2 expected)"),
    ],
)
def test_the_first_other_feature_is_named(found, expected, sentence):
    with pytest.raises(InputError) as error:
        cube.check_features(found, expected, "model.json")
    assert str(error.value).startswith(f"model.json: {sentence}. Train again")


def test_bytes_of_a_pixel():
    # 70 dates of 2 bands int16 and a flag; of one date, the values and three float32 copies.
    assert cube.series_bytes(70, OPTICAL) == 70 * (2 * 2 + 1) + 2 * 16
    assert cube.series_bytes(70, RADAR) == 70 * (4 + 1) + 16
    assert cube.filled_bytes(OPTICAL) == 3 * 2 * 2
    assert cube.filled_bytes(RADAR) == 2 * 1 * 4
