"""Interpolation against GDAL's, and the same bits in any window."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.windows import Window
from unit.rasters_for_tests import coarser, noise, save

from parcelle.grid import Grid
from parcelle.resample import MARGIN, all_valid, taps, upsample

METHODS = sorted(MARGIN)
COARSE = Grid("EPSG:32631", 0, 0, 20, 15, 12)


def resampled(image, factor, method, window, valid=None):
    """Fine pixels of a window, from no more coarse ones than the margin promises."""
    height, width = image.shape[-2:]
    margin = MARGIN[method] if factor > 1 else 0
    top, left = max(window.row_off // factor - margin, 0), max(window.col_off // factor - margin, 0)
    bottom = min((window.row_off + window.height - 1) // factor + margin + 1, height)
    right = min((window.col_off + window.width - 1) // factor + margin + 1, width)
    rows = taps(window.row_off, window.height, factor, height, method)
    columns = taps(window.col_off, window.width, factor, width, method)
    if valid is not None:
        return all_valid(valid[top:bottom, left:right], rows, columns, (top, left))
    return upsample(image[:, top:bottom, left:right].astype(np.float32), rows, columns, (top, left))


def whole(image, factor, method, height=None, width=None):
    size = height or image.shape[1] * factor, width or image.shape[2] * factor
    return resampled(image, factor, method, Window(0, 0, size[1], size[0]))


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", [2, 3])
def test_interior_equals_that_of_gdal(tmp_path, method, factor):
    image = noise(COARSE)
    path = save(tmp_path / "a.tif", image.astype(np.float32), COARSE)
    with rasterio.open(path) as coarse:
        shape = (1, COARSE.height * factor, COARSE.width * factor)
        gdal = coarse.read(out_shape=shape, resampling=Resampling[method])
    inside = np.s_[:, 2 * factor : -2 * factor, 2 * factor : -2 * factor]
    assert np.abs(whole(image, factor, method) - gdal)[inside].max() < 1


def test_nearest_repeats_pixels():
    image = noise(COARSE)
    assert np.array_equal(whole(image, 3, "nearest"), image.repeat(3, axis=1).repeat(3, axis=2))


@pytest.mark.parametrize("method", METHODS)
def test_factor_1_is_the_image_itself(method):
    image = noise(COARSE)
    assert np.array_equal(whole(image, 1, method), image)


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
    image = noise(COARSE)
    assert np.array_equal(whole(image, factor, method)[:, factor // 2 :: factor, factor // 2 :: factor], image)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [2, 3, 6])
def test_a_constant_image_stays_constant(method, factor):
    image = np.full((2, 4, 5), 9999, np.float32)
    assert whole(image, factor, method) == pytest.approx(np.full((2, 4 * factor, 5 * factor), 9999), rel=1e-6)


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_ramp_is_reproduced_in_the_interior(method, factor):
    row, column = np.mgrid[:9, :8].astype(np.float32)
    fine_row, fine_column = (np.mgrid[: 9 * factor, : 8 * factor] + 0.5) / factor - 0.5
    found = whole((100 * row + 7 * column)[None], factor, method)[0]
    inside = np.s_[2 * factor : -2 * factor, 2 * factor : -2 * factor]
    assert found[inside] == pytest.approx((100 * fine_row + 7 * fine_column)[inside], abs=1e-3)


def test_beyond_the_image_its_outermost_pixel_is_repeated():
    image = np.array([[[0, 100]]], np.float32)
    assert whole(image, 2, "bilinear")[0, 0].tolist() == [0, 25, 75, 100]


@st.composite
def cases(draw):
    """A factor, a tile that need not be a multiple of it, and a window in the tile."""
    factor, height, width = draw(st.integers(2, 5)), draw(st.integers(1, 25)), draw(st.integers(1, 25))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    window = Window(left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))
    return factor, Grid("EPSG:32631", 0, 0, 10, height, width), window


@given(cases(), st.sampled_from(METHODS), st.integers(0, 99))
def test_any_window_has_the_bits_of_the_whole(case, method, seed):
    factor, tile, window = case
    image = noise(coarser(tile, factor), bands=2, seed=seed)
    expected = whole(image, factor, method, tile.height, tile.width)[:, *window.toslices()]
    assert resampled(image, factor, method, window).tobytes() == expected.tobytes()


@given(cases(), st.sampled_from(METHODS), st.integers(0, 99))
def test_validity_has_the_same_values_in_any_window(case, method, seed):
    factor, tile, window = case
    valid = noise(coarser(tile, factor), seed=seed)[0] > 2000
    expected = resampled(valid, factor, method, tile.whole, valid)[window.toslices()]
    assert np.array_equal(resampled(valid, factor, method, window, valid), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_an_invalid_pixel_spoils_exactly_what_it_contributes_to(method, factor):
    """A pixel contributes where the interpolation of an image that is 0 but there is not 0."""
    for row, column in [(0, 0), (0, 3), (2, 2), (5, 4)]:
        spike = np.zeros((1, 6, 5), np.float32)
        spike[0, row, column] = 1
        tile = Window(0, 0, 5 * factor, 6 * factor)
        touched = resampled(spike, factor, method, tile)[0] != 0
        assert np.array_equal(resampled(spike, factor, method, tile, valid=spike[0] == 0), ~touched)


@pytest.mark.parametrize(("method", "reach"), [("nearest", 2), ("bilinear", 4), ("cubic", 8)])
def test_reach_of_an_invalid_pixel_of_20_m(method, reach):
    valid = np.ones((9, 9), bool)
    valid[4, 4] = False
    spoilt = ~resampled(valid, 2, method, Window(0, 0, 18, 18), valid)
    assert spoilt.sum() == reach**2
    assert spoilt[4 * 2 + 1 - reach // 2 : 4 * 2 + 1 + reach // 2, 9].all()
