"""Interpolation against GDAL's and a slow reference, and the same bits in any window."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.windows import Window
from unit.rasters_for_tests import coarser, noise, save

from parcelle.grid import Grid
from parcelle.resample import LARGEST, MARGIN, Rows, all_valid, taps
from parcelle.series import Group

METHODS = sorted(MARGIN)
FACTORS = [2, 3, 6]
COARSE = Grid("EPSG:32631", 0, 0, 20, 15, 12)


def weight(method, distance):
    """Weight of a coarse pixel by its distance; of a cubic one, after Keys (1981) with a = −0.5."""
    d = np.abs(distance)
    if method == "nearest":
        return (d < 0.5).astype(float)
    if method == "bilinear":
        return np.maximum(1 - d, 0)
    near, far = 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def slow(image, factor, method):
    """Interpolate an image ``(row, column)`` in float64: every coarse pixel has its say in every fine one."""
    around = np.pad(image.astype(float), 2, mode="edge")
    down, across = (
        weight(method, (np.arange(size * factor)[:, None] + 0.5) / factor - 0.5 - np.arange(-2, size + 2))
        for size in image.shape
    )
    return down @ around @ across.T


def box_of(size, factor, method, window):
    """The part of an image of `size` that a window may look at."""
    group = Group((), factor, size, method)
    return group.under(window, group.margin)


def resampled(image, factor, method, window):
    """Fine pixels of a window of images ``(band, row, column)``, from no more coarse ones than the margin promises."""
    bands, *size = image.shape
    box = box_of(tuple(size), factor, method, window)
    values = np.ascontiguousarray(image[None, :, *box.toslices()])
    rows = Rows(factor, tuple(size), method, (1, bands), image.dtype.type)
    found = np.empty((bands, window.height, window.width), image.dtype)
    for row in range(window.height):
        place = window.row_off + row, window.col_off, window.width
        read = rows.read(values, np.ones(1, bool), (box.row_off, box.col_off), *place)
        first = window.col_off % factor
        found[:, row] = read[0, :, 0, first : first + window.width]
    return found


def whole(image, factor, method, height=None, width=None):
    """Fine pixels of a tile, which may end before its last coarse pixels do."""
    size = height or image.shape[1] * factor, width or image.shape[2] * factor
    return resampled(image, factor, method, Window(0, 0, size[1], size[0]))


def validity(valid, factor, method, window):
    """What `all_valid` says of a window."""
    box = box_of(valid.shape, factor, method, window)
    rows = taps(window.row_off, window.height, factor, valid.shape[0], method)
    columns = taps(window.col_off, window.width, factor, valid.shape[1], method)
    return all_valid(valid[box.toslices()], rows, columns, (box.row_off, box.col_off))


@st.composite
def images(draw, dtype):
    """Bands of any small size, over the whole range of integers or some of it."""
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 7)), draw(st.integers(1, 7))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    high = draw(st.sampled_from([3, 10_000, LARGEST]))
    values = random.integers(-high, high, shape, endpoint=True)
    return (values + (random.random(shape) if dtype is np.float32 else 0)).astype(dtype)


@given(images(np.float32), st.sampled_from(FACTORS), st.sampled_from(METHODS))
def test_floats_equal_the_reference(image, factor, method):
    found = whole(image, factor, method)
    assert found.dtype == np.float32
    for band, one in zip(image, found, strict=True):
        np.testing.assert_allclose(one, slow(band, factor, method), rtol=0, atol=1e-6 * np.abs(band).max())


@given(images(np.int16), st.sampled_from(FACTORS), st.sampled_from(METHODS))
def test_integers_are_the_nearest_to_the_reference_within_what_they_hold(image, factor, method):
    found = whole(image, factor, method)
    assert found.dtype == np.int16
    for band, one in zip(image, found, strict=True):
        exact = np.clip(slow(band, factor, method), -LARGEST, LARGEST)
        # What float32 cannot tell from a half, of numbers that large, may go either way.
        assert np.abs(one - exact).max() <= 0.5 + 2**-6


@given(images(np.int16))
def test_halves_of_the_common_case_go_up(image):
    """Weights of 20 m bands at 10 m are sixteenths: nothing is lost."""
    for band, one in zip(image, whole(image, 2, "bilinear"), strict=True):
        assert np.array_equal(one, np.floor(slow(band, 2, "bilinear") + 0.5))


def test_halves_go_up_below_zero_too():
    found = whole(np.array([[[0, 2, 0, -2, 0]]], np.int16), 2, "bilinear")[0, 0]
    assert found.tolist() == [0, 1, 2, 2, 1, 0, -1, -1, 0, 0]  # 0.5 → 1, 1.5 → 2, −0.5 → 0, −1.5 → −1


def test_overshoots_end_at_what_integers_hold():
    edge = np.array([[[-LARGEST] * 4 + [LARGEST] * 4]], np.int16)
    found = whole(edge, 2, "cubic")[0, 0]
    assert slow(edge[0], 2, "cubic").max() > LARGEST + 1000
    assert (found.min(), found.max()) == (-LARGEST, LARGEST)
    assert np.array_equal(np.sort(found), found)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", FACTORS)
def test_interior_equals_that_of_gdal(tmp_path, method, factor, dtype):
    image = noise(COARSE, dtype=dtype)
    path = save(tmp_path / "a.tif", image, COARSE)
    with rasterio.open(path) as coarse:
        shape = (1, COARSE.height * factor, COARSE.width * factor)
        gdal = coarse.read(out_shape=shape, resampling=Resampling[method])
    inside = np.s_[:, 2 * factor : -2 * factor, 2 * factor : -2 * factor]
    assert np.abs(whole(image, factor, method).astype(float) - gdal)[inside].max() <= 1


def test_nearest_repeats_pixels():
    image = noise(COARSE)
    assert np.array_equal(whole(image, 3, "nearest"), image.repeat(3, axis=1).repeat(3, axis=2))


@given(st.integers(0, 40), st.integers(1, 20), st.integers(1, 7), st.integers(1, 9), st.sampled_from(METHODS))
def test_weights_add_up_to_one_and_stay_within_the_image(start, count, factor, size, method):
    indices, weights = taps(start, min(count, factor * size), factor, size + start // factor + 1, method)
    assert weights.dtype == np.float32
    assert weights.sum(axis=1) == pytest.approx(np.ones(len(weights)), abs=1e-6)
    assert indices.min() >= 0
    assert indices.max() < size + start // factor + 1


def test_bilinear_weights_of_factor_2_are_quarters():
    indices, weights = taps(2, 2, 2, 10, "bilinear")
    assert indices.tolist() == [[0, 1], [1, 2]]
    assert weights.tolist() == [[0.25, 0.75], [0.75, 0.25]]


def test_cubic_weights_of_factor_2_are_those_of_keys():
    """Keys (1981) with a = −0.5 at distances 1.25, 0.25, 0.75, 1.75: 64ths of −4.5, 55.5, 14.5, −1.5."""
    weights = taps(3, 1, 2, 10, "cubic")[1][0]
    assert (weights * 128).tolist() == [-9, 111, 29, -3]


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", [3, 5, 7])
def test_the_centre_of_an_odd_factor_is_its_coarse_pixel_alone(method, factor):
    indices, weights = taps(factor + factor // 2, 1, factor, 10, method)
    assert indices[0][weights[0] != 0].tolist() == [1]
    assert weights.max() == 1
    for dtype in (np.int16, np.float32):
        image = noise(COARSE, dtype=dtype)
        assert np.array_equal(whole(image, factor, method)[:, factor // 2 :: factor, factor // 2 :: factor], image)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_constant_image_stays_constant(method, factor):
    for value in (0, 9999, -LARGEST, LARGEST):
        image = np.full((2, 4, 5), value, np.int16)
        assert np.array_equal(whole(image, factor, method), np.full((2, 4 * factor, 5 * factor), value))


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_ramp_is_reproduced_in_the_interior(method, factor):
    row, column = np.mgrid[:9, :8].astype(np.float32)
    fine_row, fine_column = (np.mgrid[: 9 * factor, : 8 * factor] + 0.5) / factor - 0.5
    found = whole((100 * row + 7 * column)[None], factor, method)[0]
    inside = np.s_[2 * factor : -2 * factor, 2 * factor : -2 * factor]
    assert found[inside] == pytest.approx((100 * fine_row + 7 * fine_column)[inside], abs=1e-3)


def test_beyond_the_image_its_outermost_pixel_is_repeated():
    for dtype in (np.int16, np.float32):
        assert whole(np.array([[[0, 100]]], dtype), 2, "bilinear")[0, 0].tolist() == [0, 25, 75, 100]


@st.composite
def cases(draw):
    """A factor, a tile that need not be a multiple of it, and a window in the tile."""
    factor, height, width = draw(st.integers(2, 6)), draw(st.integers(1, 25)), draw(st.integers(1, 25))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    window = Window(left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))
    return factor, Grid("EPSG:32631", 0, 0, 10, height, width), window


@given(cases(), st.sampled_from(METHODS), st.sampled_from([np.int16, np.float32]), st.integers(0, 99))
def test_any_window_has_the_bits_of_the_whole(case, method, dtype, seed):
    factor, tile, window = case
    image = noise(coarser(tile, factor), bands=2, seed=seed, dtype=dtype)
    expected = whole(image, factor, method, tile.height, tile.width)[:, *window.toslices()]
    assert resampled(image, factor, method, window).tobytes() == expected.tobytes()


def test_rows_of_several_widths_come_from_one_memory():
    image = noise(COARSE)
    rows, seen = Rows(2, (15, 12), "bilinear", (1, 1), np.int16), np.ones(1, bool)
    expected = whole(image, 2, "bilinear")[0]
    for start, count in [(0, 24), (4, 6), (5, 6), (20, 4), (0, 24)]:
        found = rows.read(image[None], seen, (0, 0), 7, start, count)[0, 0, 0]
        assert np.array_equal(found[start % 2 :][:count], expected[7, start : start + count])


def test_dates_that_nobody_asks_for_are_left_as_they_are():
    images = np.stack([noise(COARSE, seed=seed) for seed in range(3)])
    rows = Rows(3, (15, 12), "cubic", (3, 1), np.int16)
    before = rows.read(images, np.ones(3, bool), (0, 0), 4, 0, 36).copy()
    after = rows.read(images[::-1].copy(), np.array([True, False, True]), (0, 0), 4, 0, 36)
    assert np.array_equal(after, before[::-1])
    after = rows.read(images + np.int16(100), np.array([False, False, True]), (0, 0), 4, 0, 36)
    assert np.array_equal(after[:2], before[:0:-1])
    assert np.array_equal(after[2], before[2] + 100)


@given(cases(), st.sampled_from(METHODS), st.integers(0, 99))
def test_validity_has_the_same_values_in_any_window(case, method, seed):
    factor, tile, window = case
    valid = noise(coarser(tile, factor), seed=seed)[0] > 2000
    expected = validity(valid, factor, method, tile.whole)[window.toslices()]
    assert np.array_equal(validity(valid, factor, method, window), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6])
def test_an_invalid_pixel_spoils_exactly_what_it_contributes_to(method, factor):
    """A pixel contributes where the interpolation of an image that is 0 but there is not 0."""
    for row, column in [(0, 0), (0, 3), (2, 2), (5, 4)]:
        spike = np.zeros((6, 5), np.float32)
        spike[row, column] = 1
        # What rounding in float64 leaves of a weight that is 0 is no contribution.
        touched = np.abs(slow(spike, factor, method)) > 1e-9
        assert np.array_equal(validity(spike == 0, factor, method, Window(0, 0, 5 * factor, 6 * factor)), ~touched)


@given(cases(), st.sampled_from(METHODS), st.integers(0, 99))
def test_what_is_not_observed_has_no_say_in_what_is_valid(case, method, seed):
    """Though it is the lowest number there is, and the overshoots of an interpolation of it are infinite."""
    factor, tile, _ = case
    image = noise(coarser(tile, factor), seed=seed, dtype=np.float32)
    valid = noise(coarser(tile, factor), seed=seed + 1) > 3000
    fine = validity(valid[0], factor, method, tile.whole)
    expected = whole(image, factor, method, tile.height, tile.width)[0]
    lowest = np.where(valid, image, np.finfo(np.float32).min)
    found = whole(lowest, factor, method, tile.height, tile.width)[0]
    assert np.array_equal(found[fine], expected[fine])


@pytest.mark.parametrize(("method", "reach"), [("nearest", 2), ("bilinear", 4), ("cubic", 8)])
def test_reach_of_an_invalid_pixel_of_20_m(method, reach):
    valid = np.ones((9, 9), bool)
    valid[4, 4] = False
    spoilt = ~validity(valid, 2, method, Window(0, 0, 18, 18))
    assert spoilt.sum() == reach**2
    assert spoilt[4 * 2 + 1 - reach // 2 : 4 * 2 + 1 + reach // 2, 9].all()
