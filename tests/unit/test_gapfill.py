"""Gap-filling against a slow, obvious reference with exact fractions."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelle.gapfill import BLOCK, fill


def exact(values, valid, days, targets):
    """Linear interpolation of one series of integers in fractions, halves to even."""
    seen = [(int(d), int(v)) for d, v, ok in zip(days, values, valid, strict=True) if ok]
    if not seen:
        return [0] * len(targets)
    result = []
    for target in map(int, targets):
        before = max((s for s in seen if s[0] <= target), default=seen[0])
        after = min((s for s in seen if s[0] >= target), default=seen[-1])
        share = Fraction(target - before[0], after[0] - before[0]) if after[0] > before[0] else 0
        result.append(round(before[1] + (after[1] - before[1]) * share))
    return result


def slow(values, valid, days, targets, one=exact):
    """Every pixel and band by itself."""
    _, bands, height, width = values.shape
    filled = np.zeros((len(targets), bands, height, width), values.dtype)
    for band, row, column in np.ndindex(bands, height, width):
        series = values[:, band, row, column], valid[:, row, column]
        filled[:, band, row, column] = one(*series, days, targets)
    return filled


def by_interp(values, valid, days, targets):
    if not valid.any():
        return np.zeros(len(targets))
    return np.interp(targets, days[valid], values[valid].astype(float))


@st.composite
def problems(draw, dtype):
    """A small window: values, validity, days and regular dates; the two kinds of dates overlap in any way."""
    dates, bands = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    shape = dates, bands, draw(st.integers(1, 3)), draw(st.integers(1, 4))
    days = np.array(sorted(draw(st.sets(st.integers(0, 60), min_size=dates, max_size=dates))), np.int32)
    targets = np.arange(draw(st.integers(-10, 40)), draw(st.integers(41, 80)), draw(st.integers(1, 20)), np.int32)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    width = draw(st.sampled_from([3, 100, 32767]))
    values = random.integers(-width, width, shape, endpoint=True)
    if dtype is np.float32:
        values = values * 1e-3 + random.random(shape)
    valid = random.random((dates, *shape[2:])) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    return values.astype(dtype), valid, days + 736_000, targets + 736_000


@given(problems(np.int16))
def test_integers_equal_the_exact_reference(problem):
    filled = fill(*problem)
    assert filled.dtype == np.int16
    assert np.array_equal(filled, slow(*problem))


@given(problems(np.float32))
def test_floats_equal_numpys_interpolation(problem):
    filled = fill(*problem)
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, slow(*problem, one=by_interp), rtol=1e-6, atol=1e-6)


def one(values, days, targets, dtype=np.int16):
    """A single pixel; None is a gap."""
    array = np.array([0 if v is None else v for v in values], dtype)[:, None, None, None]
    valid = np.array([v is not None for v in values])[:, None, None]
    return fill(array, valid, np.array(days), np.array(targets))[:, 0, 0, 0].tolist()


def test_values_between_dates_lie_on_a_line():
    assert one([100, None, 300], [0, 10, 20], [0, 5, 10, 15, 20]) == [100, 150, 200, 250, 300]


def test_the_ends_are_constant():
    assert one([None, 100, 300, None], [0, 10, 20, 30], [-5, 0, 9, 21, 30, 99]) == [100, 100, 100, 300, 300, 300]


def test_a_valid_observation_on_a_regular_date_is_kept():
    assert one([7, -9, 5], [0, 3, 10], [0, 3, 10]) == [7, -9, 5]


def test_a_pixel_that_was_never_seen_is_zero():
    assert one([None, None], [0, 10], [0, 5]) == [0, 0]


def test_a_single_date_is_everywhere():
    assert one([42], [10], [0, 10, 20]) == [42, 42, 42]
    assert one([None, -3, None], [5, 10, 15], [0, 10, 20]) == [-3, -3, -3]


def test_no_date_at_all_is_zero():
    none = fill(np.empty((0, 2, 1, 3), np.int16), np.empty((0, 1, 3), bool), np.empty(0), np.array([1, 2]))
    assert np.array_equal(none, np.zeros((2, 2, 1, 3)))


def test_halves_go_to_even():
    assert one([0, 1], [0, 2], [1]) == [0]
    assert one([1, 2], [0, 2], [1]) == [2]
    assert one([0, -3], [0, 2], [1]) == [-2]


def test_halves_that_a_rounded_weight_would_miss_go_to_even():
    """7 / 10 is not a float: 1445 × 0.7 comes out below 1011.5, whereas 1445 × 7 / 10 is it."""
    assert one([0, 1445], [0, 10], [7]) == [1012]
    assert one([1, -1454], [0, 10], [7]) == [-1018]


def test_extreme_values_do_not_overflow():
    assert one([-32768, 32767], [0, 4], [0, 1, 3, 4]) == [-32768, -16384, 16383, 32767]


def test_what_invalid_pixels_hold_does_not_matter():
    values = np.array([1, np.nan, 3, np.inf], np.float32)[:, None, None, None]
    valid = np.array([True, False, True, False])[:, None, None]
    filled = fill(values, valid, np.array([0, 1, 2, 3]), np.array([0, 1, 2, 3]))
    assert filled.ravel().tolist() == [1, 2, 3, 3]


def window(height, width, dtype, seed=1):
    random = np.random.default_rng(seed)
    values = random.integers(-20_000, 20_000, (6, 2, height, width)).astype(dtype)
    if dtype is np.float32:
        values *= np.float32(0.37)
    return values, random.random((6, height, width)) < 0.4


DAYS, TARGETS = np.array([3, 8, 9, 21, 40, 41]), np.array([0, 7, 14, 21, 28, 35, 42])


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@settings(max_examples=30)
@given(data=st.data())
def test_any_window_has_the_same_bits(dtype, data):
    values, valid = window(60, 90, dtype)
    whole = fill(values, valid, DAYS, TARGETS)
    top, left = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 89))
    bottom, right = data.draw(st.integers(top + 1, 60)), data.draw(st.integers(left + 1, 90))
    part = fill(values[:, :, top:bottom, left:right], valid[:, top:bottom, left:right], DAYS, TARGETS)
    assert part.tobytes() == whole[:, :, top:bottom, left:right].tobytes()


@pytest.mark.parametrize("width", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_the_border_of_a_block_changes_nothing(width):
    values, valid = window(1, width, np.int16)
    whole = fill(values, valid, DAYS, TARGETS)
    for place in {0, BLOCK - 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, width - 1} & set(range(width)):
        pixel = slice(place, place + 1)
        assert np.array_equal(slow(values[..., pixel], valid[..., pixel], DAYS, TARGETS), whole[..., pixel])
    halves = [fill(values[..., s], valid[..., s], DAYS, TARGETS) for s in (slice(0, 1000), slice(1000, None))]
    assert np.array_equal(np.concatenate(halves, axis=3), whole)


def test_the_layout_of_the_input_does_not_matter():
    values, valid = window(5, 7, np.int16)
    turned = np.asfortranarray(values), np.asfortranarray(valid)
    assert np.array_equal(fill(*turned, DAYS, TARGETS), fill(values, valid, DAYS, TARGETS))


def test_processes_that_start_at_once_share_one_cache(tmp_path):
    """Half of them fill integers, half floats; each must get the code of its own type, from an empty cache."""
    code = """
import sys, numpy as np
from parcelle import gapfill
dtype = np.dtype(sys.argv[1])
values = np.array([0, 5], dtype).reshape(2, 1, 1, 1)
filled = gapfill.fill(values, np.ones((2, 1, 1), bool), np.array([0, 2]), np.array([0, 1, 2]))
print(filled.dtype, filled.ravel().tolist())
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    started = [
        subprocess.Popen([*command, dtype], env=environment, stdout=subprocess.PIPE, text=True)
        for dtype in ("int16", "float32") * 2
    ]
    said = [process.communicate()[0].strip() for process in started]
    assert said == ["int16 [0, 2, 5]", "float32 [0.0, 2.5, 5.0]"] * 2
    assert len(list(tmp_path.glob("**/*_fill*.nbc"))) == 2
