"""Gap-filling against a slow, obvious reference with exact fractions."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parcelle.gapfill import Neighbours, fill


def exact(values, valid, days, targets):
    """One series in fractions; of several observations on one day, the one that is nearer in order counts."""
    seen = [(int(d), Fraction(v.item())) for d, v, ok in zip(days, values, valid, strict=True) if ok]
    result = []
    for target in map(int, targets):
        before, after = [s for s in seen if s[0] <= target], [s for s in seen if s[0] >= target]
        if not seen:
            result.append(Fraction(0))
        elif not before:
            result.append(after[0][1])
        elif not after or before[-1][0] == target:
            result.append(before[-1][1])
        else:
            (first, start), (last, end) = before[-1], after[0]
            result.append(start + (end - start) * Fraction(target - first, last - first))
    return result


def halves_up(fraction):
    return floor(fraction + Fraction(1, 2))


def slow(values, valid, days, targets, rounded=halves_up):
    """Every pixel and band by itself."""
    _, bands, height, width = values.shape
    filled = np.zeros((len(targets), bands, height, width), values.dtype)
    for band, row, column in np.ndindex(bands, height, width):
        series = values[:, band, row, column], valid[:, row, column]
        filled[:, band, row, column] = [rounded(v) for v in exact(*series, days, targets)]
    return filled


@st.composite
def problems(draw, dtype):
    """A small window: values, validity, days and regular dates; the two kinds of dates overlap in any way."""
    dates, bands = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    shape = dates, bands, draw(st.integers(1, 3)), draw(st.integers(1, 4))
    last = draw(st.sampled_from([3, 60, 84_000]))
    days = np.array(sorted(draw(st.lists(st.integers(0, last), min_size=dates, max_size=dates))), np.int32)
    targets = np.array(sorted(draw(st.lists(st.integers(-10, last + 10), max_size=9))), np.int32)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    width = draw(st.sampled_from([3, 100, 32767]))
    values = random.integers(-width, width, shape, endpoint=True)
    if dtype is np.float32:
        values = values * 1e-3 + random.random(shape)
    valid = random.random((dates, *shape[2:])) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
    return values.astype(dtype), valid, days + 736_000, targets + 736_000


@settings(max_examples=300)
@given(problems(np.int16))
def test_integers_equal_the_exact_reference(problem):
    filled = fill(*problem)
    assert filled.dtype == np.int16
    assert np.array_equal(filled, slow(*problem))


@given(problems(np.float32))
def test_floats_equal_the_exact_reference(problem):
    filled = fill(*problem)
    assert filled.dtype == np.float32
    np.testing.assert_allclose(filled, slow(*problem, rounded=float), rtol=2**-23, atol=1e-12)


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


def test_halves_go_up():
    assert one([0, 1], [0, 2], [1]) == [1]
    assert one([1, 2], [0, 2], [1]) == [2]
    assert one([0, -3], [0, 2], [1]) == [-1]


def test_halves_that_a_rounded_weight_would_miss_go_up():
    """7 / 10 is not a float: 1445 × 0.7 comes out below 1011.5, whereas 1445 × 7 / 10 is it."""
    assert 1445 * 0.7 < 1011.5
    assert one([0, 1445], [0, 10], [7]) == [1012]
    assert one([1, -1454], [0, 10], [7]) == [-1017]


def test_what_is_nearly_a_half_goes_to_the_nearest():
    """Over two centuries, the day before the half and the day of it."""
    assert one([0, 1], [0, 80_000], [39_999, 40_000]) == [0, 1]
    assert one([0, -1], [0, 80_000], [40_000, 40_001]) == [0, -1]


def test_of_observations_on_one_day_the_last_is_that_days_and_the_nearer_one_starts_a_line():
    assert one([10, 20, 30, 40], [5, 5, 9, 9], [0, 5, 7, 9, 20]) == [10, 20, 25, 40, 40]


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


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_rows_of_long_and_of_short_runs_of_pixels_with_the_same_dates(share, dtype):
    """Clouds of many pixels, of single ones, and single gaps in them."""
    values, _ = window(1, 700, dtype)
    random = np.random.default_rng(3)
    valid = (random.random((6, 1, 700)) < share) ^ (np.arange(700) // random.integers(1, 90, (6, 1, 1)) % 2 == 0)
    rounded = halves_up if dtype is np.int16 else float
    expected = slow(values, valid, DAYS, TARGETS, rounded)
    assert fill(values, valid, DAYS, TARGETS) == pytest.approx(expected, rel=2**-23, abs=0)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_pixels_of_a_row_go_to_the_planes_that_are_asked_for(dtype):
    """Two bands of another array with margins, into the third and the first of four planes of each regular date."""
    values, valid = window(4, 30, dtype)
    expected = fill(values, valid, DAYS, TARGETS)[:, :, 2, 5:25]
    around = np.zeros((6, 2, 9, 50), dtype)
    around[:, :, 3:7, 10:40] = values
    planes = np.full((4 * len(TARGETS), 20), 7, dtype)
    near = Neighbours(len(TARGETS), 20)
    assert near.shape == (len(TARGETS), 20)
    near.find(valid, 2, 5, DAYS, TARGETS)
    near.fill(around, 5, 15, np.array([2, 0]), planes, 4)
    found = planes.reshape(len(TARGETS), 4, 20)
    assert np.array_equal(found[:, [2, 0]], expected)
    assert (found[:, [1, 3]] == 7).all()


def test_the_layout_of_the_input_does_not_matter():
    values, valid = window(5, 7, np.int16)
    turned = np.asfortranarray(values), np.asfortranarray(valid)
    assert np.array_equal(fill(*turned, DAYS, TARGETS), fill(values, valid, DAYS, TARGETS))
