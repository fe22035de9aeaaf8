"""Numbers of files and masks, against loops over their pixels."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rasterio.windows import Window

from parcelle import decoding
from parcelle.decoding import MISSING
from parcelle.sensors import Asset, Mask

RAW = ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"]
SIDES = st.tuples(st.integers(1, 5), st.integers(1, 40))

# Where types end, where int16 ends after scaling, halves, and what no number is.
ODD = [0, 1, 2, 3, 5, 255, -1, -9999, -10_000, 10_000, 32766, 32767, 32768, 42767, 65535, -32767, -32768, -32769, 2**31]
FRACTIONS = [-9999.9, 0.5, 1.5, 32767.4, 32767.5, -32767.5, 1e30, 3.5e38, 1e300, np.nan, np.inf, -np.inf]
FRACTIONS += [MISSING[np.dtype(np.float32)], -MISSING[np.dtype(np.float32)]]


def elements(dtype):
    """Any values of a type, and often odd ones."""
    own = arrays.from_dtype(np.dtype(dtype))
    if np.dtype(dtype).kind == "f":
        with np.errstate(over="ignore"):
            odd = [float(np.dtype(dtype).type(v)) for v in ODD + FRACTIONS]
    else:
        limits = np.iinfo(dtype)
        odd = [v for v in ODD if limits.min <= v <= limits.max]
    return st.one_of(own, st.sampled_from(odd), st.integers(0, 100))


@st.composite
def bands(draw, types=RAW):
    """A band as a file has it, what it means, and the type of its series."""
    raw = draw(st.sampled_from(types))
    pixels = draw(arrays.arrays(raw, draw(SIDES), elements=elements(raw)))
    target = draw(st.sampled_from([np.int16, np.float32]))
    scale = draw(st.sampled_from([1e-4, 1.0, 2.75e-5, 5e-5, 0.01, 2.0]))
    offset = draw(st.sampled_from([0.0, -0.1, -0.2, 1.0]))
    nodata = draw(st.sampled_from([None, *ODD, *FRACTIONS]))
    return pixels, Asset("a.tif", 1, scale, offset, nodata), target


def is_nodata(value, nodata):
    """As the type of the file has it: -9999.9 is another number in float32."""
    if nodata is None or np.isnan(nodata):
        return False
    if np.issubdtype(type(value), np.floating):
        with np.errstate(over="ignore"):
            return value == type(value)(nodata)
    return int(value) == nodata


def one(value, asset, target):
    """Value of one pixel in the common unit; None if it is not observed."""
    unit = 10_000 if target is np.int16 else 1
    with np.errstate(over="ignore", invalid="ignore"):
        common = np.float32(value) * np.float32(asset.scale * unit) + np.float32(asset.offset * unit)
    if is_nodata(value, asset.nodata) or not np.isfinite(common):
        return None
    if target is np.int16:
        common = np.rint(common)
        return int(common) if -32768 < common < 32768 else None
    return common if common != MISSING[np.dtype(np.float32)] else None


def expected(pixels, asset, target):
    """Values, and whether all are observed."""
    made = np.empty(pixels.shape, target)
    found = [one(value, asset, target) for value in pixels.reshape(-1)]
    made.reshape(-1)[:] = [MISSING[made.dtype] if value is None else value for value in found]
    return made, None not in found


@given(bands(), st.integers(0, 3), st.integers(0, 3))
def test_bands_come_to_the_common_unit(band, row, column):
    pixels, asset, target = band
    values, complete = expected(pixels, asset, target)
    image = np.full((pixels.shape[0] + row + 1, pixels.shape[1] + column + 2), 77, target)
    before = pixels.copy()
    assert decoding.store(pixels, asset, image, row, column) is complete
    part = image[row : row + pixels.shape[0], column : column + pixels.shape[1]]
    assert part.tobytes() == values.tobytes()
    assert (image == 77).sum() == image.size - part.size + (part == 77).sum()
    assert pixels.tobytes() == before.tobytes()


@given(bands(["int16", "float32"]), st.integers(0, 3), st.integers(0, 3))
def test_a_band_that_is_in_its_place_is_changed_there(band, row, column):
    pixels, asset, _ = band
    values, complete = expected(pixels, asset, pixels.dtype.type)
    image = np.full((pixels.shape[0] + row + 1, pixels.shape[1] + column + 2), 77, pixels.dtype)
    part = image[row : row + pixels.shape[0], column : column + pixels.shape[1]]
    part[:] = pixels
    assert decoding.store(part, asset, image, row, column) is complete
    assert part.tobytes() == values.tobytes()
    assert (image == 77).sum() == image.size - part.size + (part == 77).sum()


def test_the_nodata_of_a_float_file_is_that_of_its_type():
    pixels = np.array([[-9999.9, -9999.8, -12.5]], np.float32)
    image = np.zeros((1, 3), np.float32)
    assert not decoding.store(pixels, Asset("a.tif", nodata=-9999.9), image)
    assert (image == MISSING[image.dtype]).tolist() == [[True, False, False]]


def test_a_nodata_that_the_type_does_not_hold_is_nowhere():
    for nodata in (-9999, 65536, 0.5, np.inf):
        image = np.zeros((1, 2), np.int16)
        assert decoding.store(np.array([[0, 255]], np.uint8), Asset("a.tif", 1, 1e-4, 0, nodata), image)
        assert image.tolist() == [[0, 255]]


def test_the_smallest_float_is_not_observed_whatever_else_there_is():
    """It stands for what is not observed: were it a value, it would be one in some windows only."""
    least = np.finfo(np.float32).min
    for others in ([1, 2], [1, np.nan]):
        image = np.zeros((1, 3), np.float32)
        assert not decoding.store(np.array([[least, *others]], np.float32), Asset("a.tif"), image)
        assert not decoding.observed(image[None])[0, 0]


@given(arrays.arrays(np.int16, st.tuples(st.integers(1, 4), *[st.integers(1, 6)] * 2), elements=elements("int16")))
def test_a_pixel_is_observed_if_all_its_bands_are(values):
    found = decoding.observed(values)
    for row, column in itertools.product(*map(range, values.shape[1:])):
        assert found[row, column] == all(value != -32768 for value in values[:, row, column].tolist())


@given(
    st.sampled_from(["int8", "uint8", "int16", "uint16", "int32"]).flatmap(
        lambda dtype: arrays.arrays(dtype, SIDES, elements=elements(dtype))
    ),
    st.lists(st.sampled_from([0, 1, 3, 8, 9, 255, 256, -1, 70_000])),
    st.sampled_from([0, 1, 0b1010, 0xFF, 1 << 9 | 1, 0xFFFF]),
)
def test_a_pixel_is_clear_by_its_flags(flags, values, bits):
    found = decoding.clear(flags, Mask("m.tif", 1, tuple(values), bits))
    own = 2 ** (8 * flags.itemsize) - 1
    for place in np.ndindex(flags.shape):
        flag = int(flags[place])
        assert found[place] == (flag not in values and (flag & own & bits) == 0)


@pytest.mark.parametrize(
    ("dtype", "bits", "clear"),
    [
        ("uint16", 1 << 9 | 1, [True, False, False]),
        ("uint8", 1 << 9 | 1, [True, False, True]),  # a byte has no bit 9
        ("int8", 0xFF, [True, False, False]),
        ("int16", 1 << 15, [True, True, True]),
    ],
)
def test_bits_go_with_any_type_of_mask(dtype, bits, clear):
    flags = np.array([[0, 1, 1 << 9 if dtype.endswith("16") else 2]], dtype)
    assert decoding.clear(flags, Mask("m.tif", invalid_bits=bits)).tolist() == [clear]


@pytest.mark.parametrize("factor", [1, 2, 3, 6])
@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 15), st.integers(1, 15), st.data())
def test_the_nearest_coarse_pixel_is_the_one_above(factor, top, left, height, width, data):
    image = np.random.default_rng(0).integers(0, 100, (40, 40))
    first = [data.draw(st.integers(0 if factor > 1 else start, start // factor)) for start in (top, left)]
    last = [-(-(start + size) // factor) for start, size in ((top, height), (left, width))]
    part = image[first[0] : last[0], first[1] : last[1]]
    found = decoding.nearest(part, factor, (first[0], first[1]), Window(left, top, width, height))
    assert found.shape == (height, width)
    for row, column in np.ndindex(height, width):
        assert found[row, column] == image[(top + row) // factor, (left + column) // factor]


@pytest.mark.parametrize("target", [np.int16, np.float32])
@pytest.mark.parametrize("raw", RAW)
def test_loops_are_compiled_under_the_lock_only(raw, target):
    """For a type of file and of series once, whatever its scale, its place and its nodata."""
    image = np.zeros((4, 5), target)
    for nodata, scale, shape in itertools.product((None, 0, float("nan")), (1, 1e-4, 3), ((2, 3), (1, 1), (4, 5))):
        decoding.store(np.ones(shape, raw), Asset("a.tif", 1, scale, 0, nodata), image)
        decoding.store(image[: shape[0], : shape[1]], Asset("a.tif", 1, scale, 0, nodata), image)
    assert len(decoding._convert.signatures) == decoding._ready.cache_info().currsize
    assert len(decoding._check.signatures) <= 2
