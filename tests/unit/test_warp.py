"""Images on other grids: against the field they sample, GDAL, and themselves in other windows."""

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio.windows import Window

from parcelle.grid import Grid
from parcelle.warp import Warp

TILE = Grid("EPSG:32631", 500_000, 4_900_020, 10, 97, 131)
AROUND = Window(0, 0, TILE.width, TILE.height)
ELSEWHERE = {
    "shifted": Grid("EPSG:32631", 499_000 + 3.7, 4_901_000 - 1.3, 10, 400, 400),
    "30 m": Grid("EPSG:32631", 498_985, 4_901_005, 30, 120, 120),
    "other zone": Grid("EPSG:32630", 975_000, 4_925_000, 30, 800, 800),
    "Lambert-93": Grid("EPSG:2154", 694_000, 6_356_000, 20, 600, 600),
    "degrees": Grid("EPSG:4326", 2.9, 44.35, 0.0003, 900, 900),
}


def field(x, y):
    """A smooth field on the ground: a plane."""
    return 3 + (x - 500_000) / 100 - (y - 4_900_000) / 50


def sampled(image):
    """The field at the pixel centres of an image."""
    x, y = image.centres(image.whole)
    x, y = np.meshgrid(x, y)
    if image.crs != TILE.crs:
        x, y = rasterio.warp.transform(image.crs, TILE.crs, x.ravel(), y.ravel())
        x, y = np.reshape(x, (image.height, image.width)), np.reshape(y, (image.height, image.width))
    return field(np.asarray(x), np.asarray(y)).astype(np.float32)


def read(warp, raw, window, method):
    source = warp.source(window, method)
    part = raw[source.row_off : source.row_off + source.height, source.col_off : source.col_off + source.width]
    return warp.values(part, source, window, method)


@pytest.mark.parametrize("method", ["bilinear", "cubic"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_plane_is_found_again_wherever_the_image_lies(where, method):
    image = ELSEWHERE[where]
    found = read(Warp(image, TILE), sampled(image), AROUND, method)
    assert np.abs(found - field(*np.meshgrid(*TILE.centres(AROUND)))).max() < 5e-3


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_every_window_gives_the_same_bits(where, method):
    image = ELSEWHERE[where]
    raw = np.random.default_rng(0).normal(0, 1, (image.height, image.width)).astype(np.float32)
    raw[np.random.default_rng(1).random(raw.shape) < 0.02] = np.nan
    warp, whole = Warp(image, TILE), None
    whole = read(warp, raw, AROUND, method)
    assert 0 < np.isnan(whole).mean() < 0.5
    for window in (Window(0, 0, 17, 40), Window(16, 32, 48, 16), Window(61, 33, 70, 64), Window(130, 96, 1, 1)):
        part = whole[window.row_off :, window.col_off :][: window.height, : window.width]
        assert read(warp, raw, window, method).tobytes() == part.tobytes()


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("where", ["shifted", "30 m", "other zone", "Lambert-93"])
def test_gdal_gives_the_same_to_a_tenth_of_a_percent(where, method):
    image = ELSEWHERE[where]
    raw = sampled(image) + 40 * np.sin(np.arange(image.width) / 7).astype(np.float32)
    theirs = np.empty((TILE.height, TILE.width), np.float32)
    rasterio.warp.reproject(
        raw, theirs, src_crs=image.crs, src_transform=image.transform, dst_crs=TILE.crs,
        dst_transform=TILE.transform, resampling=rasterio.warp.Resampling[method], tolerance=0,
    )  # fmt: skip
    difference = np.abs(read(Warp(image, TILE), raw, AROUND, method) - theirs)
    assert np.quantile(difference, 0.99) < 0.05 and difference.max() < (20 if method == "nearest" else 0.2)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
def test_aligned_grids_give_the_numbers_themselves(method):
    image = Grid(TILE.crs, TILE.left - 50, TILE.top + 70, 10, 300, 300)
    raw = np.random.default_rng(0).normal(0, 1, (300, 300)).astype(np.float32)
    raw[20, 30] = np.nan
    found = read(Warp(image, TILE), raw, AROUND, method)
    assert np.array_equal(found, raw[7 : 7 + TILE.height, 5 : 5 + TILE.width], equal_nan=True)


def test_what_a_missing_pixel_contributes_to_is_missing_and_nothing_else():
    image = Grid(TILE.crs, TILE.left + 5, TILE.top + 5, 10, 97, 131)
    raw = np.ones((97, 131), np.float32)
    raw[40, 50] = np.nan
    missing = np.argwhere(np.isnan(read(Warp(image, TILE), raw, Window(20, 20, 60, 60), "bilinear")))
    assert (missing + 20).tolist() == [[39, 50], [39, 51], [40, 50], [40, 51]] or (missing + 20).tolist() == [
        [40, 49], [40, 50], [41, 49], [41, 50]]  # fmt: skip


def test_beyond_the_image_nothing_is_known():
    image = Grid(TILE.crs, TILE.left + 200, TILE.top - 300, 10, 20, 30)
    found = read(Warp(image, TILE), np.ones((20, 30), np.float32), AROUND, "bilinear")
    inside = np.zeros(found.shape, bool)
    inside[30:50, 20:50] = True
    assert np.array_equal(~np.isnan(found), inside)
    assert Warp(image, TILE).source(Window(100, 0, 10, 10), "bilinear") is None


def test_finer_pixels_are_averaged():
    fine = Grid(TILE.crs, TILE.left, TILE.top, 10, 90, 90)
    coarse = Grid(TILE.crs, TILE.left, TILE.top, 30, 30, 30)
    raw = np.random.default_rng(0).normal(0, 1, (90, 90)).astype(np.float32)
    found = read(Warp(fine, coarse), raw, coarse.whole, "bilinear")
    assert found == pytest.approx(raw.reshape(30, 3, 30, 3).mean(axis=(1, 3)), abs=1e-6)


def test_masks_go_by_nearest_and_say_what_stands_beyond():
    image = Grid(TILE.crs, TILE.left, TILE.top, 30, 10, 10)
    flags = np.random.default_rng(0).random((10, 10)) < 0.5
    warp, window = Warp(image, TILE), Window(0, 0, 40, 35)
    source = warp.source(window, "nearest")
    part = flags[: source.height, : source.width]
    for beyond in (False, True):
        found = warp.nearest(part, source, window, beyond)
        assert np.array_equal(found[:30, :30], flags.repeat(3, 0).repeat(3, 1))
        assert (found[30:] == beyond).all() and (found[:, 30:] == beyond).all()


def test_where_a_projection_is_not_defined_nothing_is_known():
    image = Grid("EPSG:3857", 0, 0, 1000, 10, 10)
    polar = Grid("EPSG:3031", -1_000_000, 1_000_000, 100_000, 20, 20)
    warp = Warp(image, polar)
    source = warp.source(polar.whole, "bilinear")
    if source:
        found = warp.values(np.ones((source.height, source.width), np.float32), source, polar.whole, "bilinear")
        assert np.isnan(found).all()
