"""Images as they lie on disk, brought to one unit and one grid."""

import datetime

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, acquired, coarser, constant, noise, save
from unit.rasters_for_tests import read_series as read

from parcelle import series
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.sensors import Asset, Mask

COARSE = coarser(TILE, 2)


def one(path, dtype=np.int16, **asset):
    """Values and validity of a single band of a single acquisition."""
    found = read([acquired(1, {"b": Asset(path, **asset)})], ["b"], dtype=dtype)
    return found.values[0, 0], found.valid[0]


def test_plain_reflectances_are_kept(tmp_path):
    pixels = noise(low=-500)[0].astype("int16")
    values, valid = one(save(tmp_path / "a.tif", pixels), scale=1e-4)
    assert values.dtype == np.int16
    assert np.array_equal(values, pixels)
    assert valid.all()


@pytest.mark.parametrize(
    ("scale", "offset", "raw", "expected"),
    [
        (1e-4, 0, 1234, 1234),
        (1e-4, -0.1, 1234, 234),  # Sentinel-2 since January 2022
        (1e-4, -0.1, 1, -999),
        (2.75e-5, -0.2, 20_000, 3500),  # Landsat collection 2
        (2.75e-5, -0.2, 7273, 0),  # 0.0075
        (0.01, 0, 37, 3700),
        (0.00005, 0, 3, 2),  # 1.5 and 2.5: halves to even
        (0.00005, 0, 5, 2),
    ],
)
def test_scale_and_offset_give_reflectance_times_10000(tmp_path, scale, offset, raw, expected):
    values, valid = one(save(tmp_path / "a.tif", constant(raw, dtype="uint16")), scale=scale, offset=offset)
    assert (values == expected).all()
    assert valid.all()


def test_nodata_is_a_raw_value_and_not_valid(tmp_path):
    pixels = constant(1234, dtype="uint16")
    pixels[3, 4] = 0
    _, valid = one(save(tmp_path / "a.tif", pixels), scale=1e-4, offset=-0.1, nodata=0)
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1


def test_without_nodata_all_values_are_valid(tmp_path):
    pixels = constant(0)
    values, valid = one(save(tmp_path / "a.tif", pixels, nodata=0), scale=1e-4)
    assert valid.all()
    assert (values == 0).all()


@pytest.mark.parametrize("nodata", [None, float("nan")])
def test_decibels_stay_floats_and_nan_is_not_valid(tmp_path, nodata):
    pixels = (noise(dtype="float32")[0] / 500 - 30).astype("float32")
    holes = pixels.copy()
    holes[0, 0], holes[5, 5], holes[6, 6] = np.nan, np.inf, -np.inf
    values, valid = one(save(tmp_path / "a.tif", holes), dtype=np.float32, nodata=nodata)
    assert values.dtype == np.float32
    assert [valid[0, 0], valid[5, 5], valid[6, 6]] == [False] * 3
    assert valid.sum() == valid.size - 3
    assert np.array_equal(values[valid], pixels[valid])
    assert np.isfinite(values).all()


def test_a_float_nodata_is_compared_as_the_file_has_it(tmp_path):
    pixels = constant(-12.5, dtype="float32")
    pixels[0, 0] = -9999.9  # which float32 does not hold exactly
    _, valid = one(save(tmp_path / "a.tif", pixels), dtype=np.float32, nodata=-9999.9)
    assert not valid[0, 0]
    assert valid.sum() == valid.size - 1


def test_temperatures_are_scaled_but_not_by_10000(tmp_path):
    values, _ = one(save(tmp_path / "a.tif", constant(2931, dtype="uint16")), dtype=np.float32, scale=0.1, offset=1)
    assert values == pytest.approx(np.full(values.shape, 294.1), abs=1e-4)


def test_reflectances_above_32767_are_saturated(tmp_path):
    pixels = constant(1000, dtype="uint16")
    pixels[0, :4] = [32767, 32768, 65535, 40_000]
    values, valid = one(save(tmp_path / "a.tif", pixels), scale=1e-4)
    assert values[0, 0] == 32767
    assert valid[0, :5].tolist() == [True, False, False, False, True]
    assert valid.sum() == valid.size - 3


def test_one_saturated_band_spoils_the_pixel(tmp_path):
    pixels = np.stack([constant(1000, dtype="uint16"), constant(1000, dtype="uint16")])
    pixels[1, 2, 3] = 33_000
    path = save(tmp_path / "a.tif", pixels)
    found = read([acquired(1, {"a": Asset(path, 1, 1e-4), "b": Asset(path, 2, 1e-4)})], ["a", "b"])
    assert not found.valid[0, 2, 3]
    assert found.valid.sum() == found.valid.size - 1


def test_a_saturated_pixel_of_20_m_spoils_all_it_contributes_to(tmp_path):
    """Averaged with dark neighbours it would look like an honest value."""
    pixels = constant(1000, COARSE, "uint16")
    pixels[4, 4] = 33_000
    _, valid = one(save(tmp_path / "a.tif", pixels, COARSE), scale=1e-4)
    assert (~valid).sum() == 16
    assert not valid[7:11, 7:11].any()


@pytest.mark.parametrize(
    ("mask", "clear"),
    [
        ({"invalid_values": (8, 9)}, [True, True, True, False, False, True]),
        ({"invalid_bits": 0b1000}, [True, True, True, False, False, True]),
        ({"invalid_bits": 0b0011}, [True, False, False, True, False, True]),
        ({"invalid_bits": 0xFF}, [True, False, False, False, False, False]),
        ({"invalid_values": (0,), "invalid_bits": 0b0011}, [False, False, False, True, False, True]),
        ({}, [True] * 6),
    ],
)
def test_masks_go_by_values_and_bits(tmp_path, mask, clear):
    flags = constant(0, dtype="uint8")
    flags[0, :6] = [0, 1, 2, 8, 9, 4]
    image, path = save(tmp_path / "a.tif", constant(1)), save(tmp_path / "m.tif", flags)
    found = read([acquired(1, {"b": Asset(image)}, [Mask(path, **mask)])], ["b"])
    assert found.valid[0, 0, :6].tolist() == clear


def test_several_masks_and_the_band_of_a_mask(tmp_path):
    flags = np.stack([constant(0, dtype="uint8")] * 3)
    flags[1, 0, 0] = flags[2, 0, 1] = flags[0, 0, 2] = 1
    image, path = save(tmp_path / "a.tif", constant(1)), save(tmp_path / "m.tif", flags)
    masks = [Mask(path, 2, (1,)), Mask(path, 3, (), 1)]
    found = read([acquired(1, {"b": Asset(image)}, masks)], ["b"])
    assert found.valid[0, 0, :4].tolist() == [False, False, True, True]


def test_masks_of_20_m_go_by_nearest(tmp_path):
    flags = constant(0, COARSE, "uint8")
    flags[1, 2] = flags[10, 8] = 9
    image, path = save(tmp_path / "a.tif", constant(1)), save(tmp_path / "m.tif", flags, COARSE)
    found = read([acquired(1, {"b": Asset(image)}, [Mask(path, 1, (9,))])], ["b"])
    expected = np.ones((TILE.height, TILE.width), bool)
    expected[2:4, 4:6] = expected[20:, 16:18] = False  # the last row of 20 m is cut
    assert np.array_equal(found.valid[0], expected)


def test_what_is_masked_everywhere_is_zero_and_not_valid(tmp_path):
    image = save(tmp_path / "a.tif", constant(7))
    path = save(tmp_path / "m.tif", constant(9, dtype="uint8"))
    found = read([acquired(1, {"b": Asset(image)}, [Mask(path, 1, (9,))])], ["b"])
    assert not found.valid.any()
    assert not found.values.any()


@pytest.mark.parametrize(("resampling", "reach"), [("nearest", 2), ("bilinear", 4), ("cubic", 8)])
def test_nodata_of_20_m_spoils_what_it_contributes_to(tmp_path, resampling, reach):
    pixels = constant(1000, COARSE)
    pixels[5, 5] = -10_000
    asset = Asset(save(tmp_path / "a.tif", pixels, COARSE), 1, 1e-4, 0, -10_000)
    found = read([acquired(1, {"b": asset})], ["b"], resampling=resampling)
    start, stop = 11 - reach // 2, min(11 + reach // 2, TILE.width)
    expected = np.ones((TILE.height, TILE.width), bool)
    expected[start : 11 + reach // 2, start:stop] = False
    assert np.array_equal(found.valid[0], expected)
    assert (found.values[0, 0][expected] == 1000).all()


def test_a_ramp_of_20_m_becomes_a_ramp_of_10_m(tmp_path):
    row, column = np.mgrid[: COARSE.height, : COARSE.width]
    path = save(tmp_path / "a.tif", (400 * row + 40 * column).astype("int16"), COARSE)
    values, _ = one(path, scale=1e-4)
    fine_row, fine_column = np.mgrid[: TILE.height, : TILE.width]
    expected = 200 * fine_row - 100 + 20 * fine_column - 10
    assert np.array_equal(values[1:20, 1:17], expected[1:20, 1:17])
    assert values[0, 1] == 10  # beyond the first row it is repeated


def test_values_are_rounded_before_they_are_interpolated(tmp_path):
    """What is held of a 20 m band is int16: of 0.5 and 1.5, rounded to even, halves are made that are rounded up."""
    pixels = constant(1, COARSE, "uint16")
    pixels[:, 4:] = 3
    values, _ = one(save(tmp_path / "a.tif", pixels, COARSE), scale=5e-5)
    assert values[5, 6:10].tolist() == [0, 1, 2, 2]
    pixels = constant(0, COARSE)
    pixels[:, 4:] = -2
    values, _ = one(save(tmp_path / "b.tif", pixels, COARSE), scale=1e-4)
    assert values[5, 6:10].tolist() == [0, 0, -1, -2]


def test_bands_are_held_at_their_own_pixel_size(tmp_path):
    fine, coarse = noise(dtype="int16"), noise(COARSE, 2, dtype="int16")
    assets = {"a": Asset(save(tmp_path / "a.tif", fine), 1, 1e-4)}
    path = save(tmp_path / "b.tif", coarse, COARSE)
    assets |= {"b": Asset(path, 1, 1e-4), "c": Asset(path, 2, 1e-4)}
    held = read([acquired(1, assets)], "bac", Window(4, 6, 5, 8)).held
    assert held.boxes == [Window(1, 2, 5, 6), Window(4, 6, 5, 8)]  # 20 m with a pixel around
    assert np.array_equal(held.values[0][0], coarse[:, 2:8, 1:6])
    assert np.array_equal(held.values[1][0], fine[:, 6:14, 4:9])


def test_bands_of_several_files_come_in_the_order_asked(tmp_path):
    two = save(tmp_path / "two.tif", np.stack([constant(1), constant(2)]))
    three = save(tmp_path / "three.tif", np.stack([constant(v, COARSE) for v in (3, 4, 5)]), COARSE)
    assets = {
        "a": Asset(two, 1, 1e-4),
        "b": Asset(two, 2, 1e-4),
        "c": Asset(three, 3, 1e-4),
        "d": Asset(three, 1, 1e-4),
    }
    found = read([acquired(1, assets)], ["c", "b", "d", "a"])
    assert found.values[0, :, 7, 7].tolist() == [5, 2, 3, 1]


def test_each_file_is_opened_once(tmp_path, monkeypatch):
    path = save(tmp_path / "a.tif", np.stack([constant(v) for v in range(4)]))
    opened, real = [], rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda p, *a, **k: (opened.append(p), real(p, *a, **k))[1])
    read([acquired(1, {str(i): Asset(path, i + 1) for i in range(4)})], ["3", "0", "1"])
    assert opened == [path]


def test_what_is_masked_everywhere_is_not_decoded(tmp_path):
    image = save(tmp_path / "a.tif", np.stack([constant(1), constant(2)]), blockysize=7, interleave="band")
    coarse = save(tmp_path / "c.tif", constant(3, COARSE), COARSE, blockysize=11)
    assets = {"a": Asset(image, 1, 1e-4), "b": Asset(image, 2, 1e-4), "c": Asset(coarse, 1, 1e-4)}
    flags = constant(0, dtype="uint8")
    flags[7:14] = 1
    masks = [Mask(save(tmp_path / "m.tif", flags, blockysize=7), 1, (1,))]
    hidden, halfway = Window(0, 7, TILE.width, 7), Window(0, 7, TILE.width, 8)
    assert read([acquired(1, assets, masks)], "abc", hidden).blocks == 1
    # A block of the mask more, two of each fine band, one of the coarse band.
    found = read([acquired(1, assets, masks)], "abc", halfway)
    assert found.blocks == 2 + 2 * 2 + 1
    assert found.valid.sum() == TILE.width
    two = read([acquired(1, assets, masks), acquired(2, assets)], "abc", hidden)
    assert two.blocks == 1 + 2 + 1
    assert two.valid.all(axis=(1, 2)).tolist() == [False, True]


def test_dates_ascend_and_days_with_several_acquisitions_are_one(tmp_path):
    """However they are listed: a user may write the list."""
    paths = [save(tmp_path / f"{v}.tif", constant(v)) for v in (1, 2, 4, 7)]
    times = [(9, 10), (3, 10), (9, 22), (31, 0)]
    listed = [
        acquired(day, {"b": Asset(path, scale=1e-4)}, hour=hour) for (day, hour), path in zip(times, paths, strict=True)
    ]
    found = read(listed, ["b"])
    assert [d.day for d in found.dates] == [3, 9, 31]
    assert found.dates == series.dates_of(listed)
    assert found.days.dtype == np.int32
    assert np.diff(found.days).tolist() == [6, 22]
    assert found.days[0] == datetime.date(2018, 3, 3).toordinal()
    assert found.values.shape == (3, 1, TILE.height, TILE.width)
    assert found.values[:, 0, 0, 0].tolist() == [2, 2, 7]  # 2.5 to even


def test_a_day_is_the_mean_of_its_valid_acquisitions(tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 10_000, (3, 2, TILE.height, TILE.width)).astype("int16")
    clear = random.random((3, TILE.height, TILE.width)) < 0.5
    acquisitions = []
    for i in range(3):
        image = save(tmp_path / f"{i}.tif", pixels[i])
        mask = save(tmp_path / f"m{i}.tif", clear[i].astype("uint8"))
        assets = {"a": Asset(image, 1, 1e-4), "b": Asset(image, 2, 1e-4)}
        acquisitions.append(acquired(5, assets, [Mask(mask, 1, (0,))], hour=i))
    found = read(acquisitions, ["a", "b"])
    assert np.array_equal(found.valid[0], clear.any(axis=0))
    with np.errstate(invalid="ignore"):
        mean = np.where(clear[:, None], pixels, 0).sum(axis=0) / clear.sum(axis=0)
    assert np.array_equal(found.values[0][:, found.valid[0]], np.rint(mean)[:, found.valid[0]])


def test_the_mean_of_a_day_does_not_overflow_and_rounds_halves_to_even(tmp_path):
    paths = [save(tmp_path / f"{v}.tif", constant(v)) for v in (32767, 32766, 32764)]
    for chosen, expected in [((0, 1), 32766), ((1, 2), 32765), ((0, 1, 2), 32766)]:
        found = read([acquired(5, {"b": Asset(paths[i], scale=1e-4)}, hour=i) for i in chosen], ["b"])
        assert (found.values == expected).all()


def test_the_mean_of_decibels_is_a_float(tmp_path):
    paths = [save(tmp_path / f"{v}.tif", constant(v, dtype="float32")) for v in (-10, -13)]
    found = read([acquired(5, {"b": Asset(p)}, hour=i) for i, p in enumerate(paths)], ["b"], dtype=np.float32)
    assert found.values.dtype == np.float32
    assert (found.values == -11.5).all()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Acquisitions with bands of 10, 20 and 30 m, holes in all of them, masks of 10 and 20 m, two on one day."""
    folder = tmp_path_factory.mktemp("mixed")
    acquisitions = []
    for i, (day, hour) in enumerate([(1, 10), (7, 10), (7, 11), (20, 10)]):
        assets, masks = {}, []
        for factor, names in ((1, "ab"), (2, "cd"), (3, "e")):
            grid = coarser(TILE, factor)
            pixels = noise(grid, len(names), seed=10 * i + factor, dtype="int16")
            pixels[noise(grid, len(names), seed=i)[:1].repeat(len(names), 0) < 300] = -10_000
            path = save(folder / f"{i}-{factor}.tif", pixels, grid, tiled=True, blockxsize=16, blockysize=16)
            assets |= {n: Asset(path, k, 1e-4, 0, -10_000) for k, n in enumerate(names, start=1)}
        for factor in (1, 2):
            grid = coarser(TILE, factor)
            flags = (noise(grid, seed=77 * i + factor)[0] < 1500).astype("uint8")
            masks.append(Mask(save(folder / f"m{i}-{factor}.tif", flags, grid), 1, (1,)))
        acquisitions.append(acquired(day, assets, masks, hour=hour))
    return acquisitions


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window_has_the_bits_of_the_whole(mixed, resampling, data):
    top, left = data.draw(st.integers(0, TILE.height - 1)), data.draw(st.integers(0, TILE.width - 1))
    height, width = data.draw(st.integers(1, TILE.height - top)), data.draw(st.integers(1, TILE.width - left))
    window = Window(left, top, width, height)
    whole = read(mixed, "ecab", resampling=resampling)
    part = read(mixed, "ecab", window, resampling=resampling)
    rows, columns = window.toslices()
    valid = whole.valid[:, rows, columns]
    assert 0.1 < whole.valid.mean() < 0.9
    assert np.array_equal(part.valid, valid)
    expected = np.where(valid[:, None], whole.values[:, :, rows, columns], 0)
    assert np.where(part.valid[:, None], part.values, 0).tobytes() == expected.tobytes()


def refused(path, mask=None, **asset):
    with pytest.raises(InputError) as error:
        read([acquired(1, {"b": Asset(str(path), **asset)}, [mask] if mask else [])], ["b"], Window(2, 3, 4, 5))
    return str(error.value)


def test_a_missing_or_unreadable_image_is_named(tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    for name in ("missing.tif", "text.tif"):
        message = refused(tmp_path / name)
        assert message.startswith(f"{tmp_path / name} cannot be read (")
        assert message.endswith("): repair or remove the product.")


def test_an_image_that_breaks_off_is_named_with_the_window(tmp_path):
    grid = Grid("EPSG:32631", 0, 0, 10, 64, 64)
    path = save(tmp_path / "a.tif", noise(grid), grid, compress="deflate", blockysize=8)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    acquisitions = [acquired(1, {"b": Asset(path)})]
    read(acquisitions, ["b"], Window(0, 0, 8, 8), grid=grid)
    with pytest.raises(InputError, match=r"a\.tif cannot be read .* window rows 56–63, columns 0–7: repair"):
        read(acquisitions, ["b"], Window(0, 56, 8, 8), grid=grid)


def test_a_missing_mask_is_named(tmp_path):
    path = save(tmp_path / "a.tif", constant(1))
    message = refused(path, mask=Mask(str(tmp_path / "clouds.tif"), 1, (1,)))
    assert message.startswith(f"{tmp_path / 'clouds.tif'} cannot be read (")


def test_a_band_that_the_file_does_not_have_is_named(tmp_path):
    path = save(tmp_path / "a.tif", constant(1))
    assert refused(path, band=2).startswith(f"{path} cannot be read (band index 2 out of range")
    mask = refused(path, mask=Mask(path, 3, (1,)))
    assert mask.startswith(f"{path} cannot be read (band index 3 out of range")


def test_a_band_may_have_pixels_of_other_sizes_from_date_to_date(tmp_path):
    pixels = noise(COARSE)[0]
    fine, coarse = save(tmp_path / "a.tif", noise()[0]), save(tmp_path / "b.tif", pixels, COARSE)
    found = read([acquired(1, {"b": Asset(fine, 1, 1e-4)}), acquired(2, {"b": Asset(coarse, 1, 1e-4)})], ["b"])
    alone = read([acquired(2, {"b": Asset(coarse, 1, 1e-4)})], ["b"])
    assert np.array_equal(found.values[0, 0], noise()[0])
    assert np.abs(found.values[1, 0].astype(int) - alone.values[0, 0]).max() <= 1


def test_an_image_of_another_grid_is_brought_to_the_tile_s(tmp_path):
    other = Grid(TILE.crs, TILE.left + 50, TILE.top - 30, 10, TILE.height, TILE.width)
    pixels, flags = noise(other)[0], (noise(other, seed=5)[0] < 1000).astype("uint8")
    pixels[4, 4] = -10_000
    image, mask = save(tmp_path / "a.tif", pixels, other), save(tmp_path / "b.tif", flags, other)
    found = read([acquired(1, {"b": Asset(image, 1, 1e-4, 0, -10_000)}, [Mask(mask, 1, (1,))])], ["b"])
    expected = np.zeros((TILE.height, TILE.width), bool)
    expected[3:, 5:] = flags[:-3, :-5] == 0
    expected[7, 9] = False
    assert np.array_equal(found.valid[0], expected)
    shifted = np.roll(pixels, (3, 5), axis=(0, 1))
    assert np.array_equal(found.values[0, 0][expected], shifted[expected])


def test_linear_power_is_brought_to_decibels_where_it_is_above_0(tmp_path):
    power = np.abs(noise(seed=3)[0]).astype("float32") / 1e4 + 1e-6
    power[2, 3], power[4, 5], power[6, 7] = 0, -1, np.nan
    values, valid = one(save(tmp_path / "a.tif", power), np.float32, power=True)
    good = np.ones(power.shape, bool)
    good[[2, 4, 6], [3, 5, 7]] = False
    assert np.array_equal(valid, good)
    assert values[good] == pytest.approx(10 * np.log10(power[good].astype(float)), abs=1e-5)
