"""One observation a day, month or dekad, and smoothed series: against slow references, and known truth."""

import datetime
from fractions import Fraction

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from unit.times_for_tests import combined, nearest, of_days, period_of, smoothed

from parcelle.gapfill import Neighbours, fill
from parcelle.periods import Composite, Filling
from parcelle.temporal import Observations, factors, weights

METHODS = ["mean", "median", "medoid"]
START = datetime.date(2018, 1, 1).toordinal()


@st.composite
def rows(draw, dtype):
    """Acquisitions of some days of two or three months, several of some days, with bands of two groups."""
    days = sorted(draw(st.lists(st.integers(0, 70), min_size=1, max_size=14)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = len(days), draw(st.integers(2, 3)), draw(st.integers(1, 5))
    width = draw(st.sampled_from([2, 32767]))  # 2: equal values, equal distances
    values = random.integers(-width, width, shape, endpoint=True)
    values = values if dtype is np.int16 else values * 0.125
    valid = random.random((shape[0], shape[2])) < draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    return START + np.array(days), values.astype(dtype), valid


def made(days, values, valid, composite):
    """What `Observations` make of values (acquisition, band, pixel): the first band stands alone in its group."""
    dates, starts = np.unique(days, return_index=True)
    joined = Observations(starts, dates, composite)
    padded = np.full((*values.shape[:2], 3, values.shape[2] + 2), 77, values.dtype)
    padded[:, :, 1, 2:] = values
    groups = [[0], list(range(1, values.shape[1]))]
    parts = [(np.ascontiguousarray(padded[:, g]), (1, 2), np.array(g)) for g in groups]
    ((found, at, places),) = joined.make(parts, valid)
    assert (at, places.tolist()) == ((0, 0), list(range(values.shape[1])))
    return joined.days.tolist(), found[:, :, 0], joined.seen[:, 0]


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_acquisitions_of_a_day_are_their_mean(dtype):
    @given(rows(dtype))
    def check(row):
        days, values, valid = row
        found_days, found, seen = made(days, values, valid, None)
        expected = of_days(days, values, valid)
        assert found_days == sorted(set(days.tolist()))
        for i, day in enumerate(found_days):
            for pixel in range(values.shape[2]):
                assert seen[i, pixel] == ((day, pixel) in expected)
                if seen[i, pixel]:
                    assert found[i, :, pixel].tolist() == expected[day, pixel]

    check()


def test_the_mean_of_a_day_goes_to_the_nearest_even():
    values = np.array([[[1, 3, -1]], [[2, 4, -2]]], np.int16)
    days = np.array([START, START])
    dates, starts = np.unique(days, return_index=True)
    joined = Observations(starts, dates, None)
    ((found, _, _),) = joined.make([(values[:, :, None], (0, 0), np.array([0]))], np.ones((2, 3), bool))
    assert found[0, 0, 0].tolist() == [2, 4, -2]


@pytest.mark.parametrize("by", ["month", "dekad"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_composites_equal_a_slow_reference(dtype, method, by):
    @given(rows(dtype))
    def check(row):
        days, values, valid = row
        middles, found, seen = made(days, values, valid, Composite(by, method))
        dates = of_days(days, values, valid)
        periods = sorted({period_of(day, by) for day in days.tolist()})
        assert [period_of(day, by) for day in middles] == periods
        for i, period in enumerate(periods):
            for pixel in range(values.shape[2]):
                same = [v for (day, p), v in sorted(dates.items()) if p == pixel and period_of(day, by) == period]
                assert seen[i, pixel] == bool(same)
                if same:
                    expected = combined(same, method, dtype is np.int16)
                    if method == "mean" and dtype is np.float32:
                        np.testing.assert_allclose(found[i, :, pixel], expected, rtol=2**-23)
                    else:
                        assert found[i, :, pixel].tolist() == expected

    check()


def composite(observed, method, dtype=np.int16):
    """Of January, what is made of one pixel's observations (date, band)."""
    values = np.array(observed, dtype)[:, :, None]
    days = START + np.arange(len(observed))
    return made(days, values, np.ones((len(observed), 1), bool), Composite("month", method))[1][0, :, 0].tolist()


def test_halves_of_composites_go_up():
    assert composite([[1, -2], [2, -1]], "median") == [2, -1]
    assert composite([[1, -2], [2, -1]], "mean") == [2, -1]


def test_an_odd_median_is_an_observation_and_a_cloud_does_not_move_it():
    assert composite([[100, 5], [9000, 1], [120, 3]], "median") == [120, 3]


def test_a_medoid_is_one_date_in_all_bands():
    """The median of each band would be (2, 2): no date was ever so."""
    dates = [[1, 3], [2, 9], [9, 2], [3, 1], [2, 3]]
    assert composite(dates, "medoid") == [2, 3]


def test_of_equal_medoids_the_first_counts():
    assert composite([[4, 0], [0, 4]], "medoid") == [4, 0]
    assert composite([[7, 7], [0, 0], [7, 7]], "medoid") == [7, 7]


def test_memory_follows_the_number_of_pixels():
    joined = Observations(np.array([0]), np.array([START]), Composite("month", "mean"))
    for count in (3, 5, 5, 2):
        values = np.arange(count, dtype=np.int16).reshape(1, 1, 1, count)
        ((found, _, _),) = joined.make([(values, (0, 0), np.array([0]))], np.ones((1, count), bool))
        assert found[0, 0, 0].tolist() == list(range(count))


def exact(dates, smoothing):
    """(I + λ D'D) in fractions, dense."""
    matrix = [[Fraction(int(i == j)) for j in range(dates)] for i in range(dates)]
    for i in range(dates - 2):
        for j, a in enumerate((1, -2, 1)):
            for k, b in enumerate((1, -2, 1)):
                matrix[i + j][i + k] += Fraction(smoothing) * a * b
    return matrix


@pytest.mark.parametrize("dates", [1, 2, 3, 4, 37, 200])
@pytest.mark.parametrize("smoothing", [1e-3, 1, 10, 1e6])
def test_the_factors_of_whittaker_are_those_of_its_matrix(dates, smoothing):
    diagonal, below, second = factors(dates, smoothing)
    lower = np.eye(dates) + np.diag(below[:-1], -1) + (np.diag(second[:-2], -2) if dates > 2 else 0)
    np.testing.assert_allclose(
        lower @ np.diag(diagonal) @ lower.T, np.array(exact(dates, smoothing), float), rtol=1e-12
    )


@pytest.mark.parametrize("dates", [1, 2, 3, 7, 37])
@pytest.mark.parametrize("smoothing", [0.5, 10, 1e6])
def test_whittaker_solves_its_equations(dates, smoothing):
    series = np.random.default_rng(dates).normal(-12, 3, (dates, 2, 5)).astype(np.float32)
    found = smoothed(series.copy(), Filling("whittaker", smoothing=smoothing))
    matrix = np.array(exact(dates, smoothing), float)
    expected = np.linalg.solve(matrix, series.reshape(dates, -1).astype(float)).reshape(series.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_whittaker_keeps_lines_and_the_sum():
    line = (np.arange(20)[:, None, None] * 300 - 1000).astype(np.int16)
    assert np.array_equal(smoothed(line, Filling("whittaker", smoothing=50)), line)
    series = np.random.default_rng(1).normal(0, 1, (30, 1, 4)).astype(np.float32)
    np.testing.assert_allclose(
        smoothed(series.copy(), Filling("whittaker", smoothing=3)).sum(0), series.sum(0), atol=1e-4
    )


@pytest.mark.parametrize(("window", "order"), [(3, 1), (5, 2), (7, 3), (11, 4), (51, 6)])
def test_weights_of_savgol_are_those_of_the_literature(window, order):
    found, starts = weights(60, window, order)
    middle = scipy.signal.savgol_coeffs(window, order, use="dot")
    np.testing.assert_allclose(found[30], middle, atol=1e-9)
    assert starts.tolist() == [min(max(i - window // 2, 0), 60 - window) for i in range(60)]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


def test_weights_of_five_dates_are_savitzky_and_golays():
    assert weights(9, 5, 2)[0][4].tolist() == [w / 35 for w in (-3, 12, 17, 12, -3)]


@pytest.mark.parametrize(("window", "order"), [(5, 2), (7, 3)])
@pytest.mark.parametrize("dates", [7, 8, 37])
def test_savgol_fits_the_ends_as_the_first_and_the_last_window(dates, window, order):
    series = np.random.default_rng(dates).normal(280, 9, (dates, 2, 3)).astype(np.float32)
    found = smoothed(series.copy(), Filling("savgol", window=window, order=order))
    expected = scipy.signal.savgol_filter(series.astype(float), window, order, axis=0, mode="interp")
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_savgol_keeps_polynomials():
    days = np.arange(12)[:, None, None]
    series = (7 * days**2 - 40 * days + 3).astype(np.int16)
    assert np.array_equal(smoothed(series.copy(), Filling("savgol", window=5, order=2)), series)


@pytest.mark.parametrize("filling", [Filling("whittaker", smoothing=2.0), Filling("savgol", window=5, order=2)])
def test_integers_are_rounded_halves_up_and_end_at_what_they_hold(filling):
    random = np.random.default_rng(3)
    series = random.integers(-32767, 32767, (20, 2, 50)).astype(np.int16)
    series[:, :, 0] = np.where(np.arange(20) < 10, 32767, -32767)[:, None]
    found = smoothed(series.copy(), filling)
    floats = smoothed(series.astype(np.float32), filling).astype(float)
    expected = np.clip(np.floor(floats + 0.5), -32767, 32767)
    assert found.dtype == np.int16
    # Floats of this size have steps of 2⁻⁹: only near halves may they differ by 1.
    near = np.abs(floats - np.floor(floats) - 0.5) < 0.01
    assert np.array_equal(found[~near], expected[~near])
    assert found[:, :, 0].max() == 32767 and found[:, :, 0].min() == -32767


def test_halves_go_up_after_smoothing():
    """At the first of three dates the line through them is (5a + 2b − c) / 6."""
    series = np.array([[[1, -1]], [[0, 0]], [[2, -2]]], np.int16)
    assert smoothed(series, Filling("savgol", window=3, order=1))[0, 0].tolist() == [1, 0]


@given(st.data())
def test_without_gap_filling_the_nearest_observation_counts(data):
    dates = data.draw(st.integers(1, 8))
    days = np.array(sorted(data.draw(st.sets(st.integers(0, 40), min_size=dates, max_size=dates))), np.int32)
    targets = np.array(sorted(data.draw(st.sets(st.integers(-5, 45), min_size=1, max_size=6))), np.int32)
    within = data.draw(st.sampled_from([0.0, 2.5, 5.0, 8.0]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    dtype = data.draw(st.sampled_from([np.int16, np.float32]))
    values = random.integers(-9000, 9000, (dates, 2, 1, 6)).astype(dtype)
    valid = random.random((dates, 1, 6)) < 0.6
    near, planes = Neighbours(len(targets), 6), np.full((2 * len(targets), 6), 99, dtype)
    near.find(valid, 0, 0, days, targets, Filling("none", within=within))
    near.fill(values, 0, 0, np.arange(2), planes, 2)
    for band, pixel in np.ndindex(2, 6):
        expected = nearest(values[:, band, 0, pixel], valid[:, 0, pixel], days, targets, within)
        assert planes[band::2, pixel].tolist() == expected


def season(days):
    """NDVI × 10,000 of a crop: it grows in spring and is harvested in summer."""
    return 1500 + 6000 / (1 + np.exp(-(days - 110) / 12)) - 5500 / (1 + np.exp(-(days - 220) / 10))


@pytest.mark.parametrize(
    ("filling", "share"), [(Filling("whittaker", smoothing=1.0), 0.8), (Filling("savgol", window=5, order=2), 0.9)]
)
def test_a_smooth_season_is_better_known_after_smoothing(filling, share):
    """Observed every 5 days, 60 % of them in clouds, with a noise of 0.05."""
    random, pixels = np.random.default_rng(8), 400
    days, targets = np.arange(0, 365, 5), np.arange(0, 365, 10)
    observed = season(days)[:, None, None, None] + random.normal(0, 500, (len(days), 1, 1, pixels))
    valid = random.random((len(days), 1, pixels)) < 0.4
    linear = fill(np.rint(observed).astype(np.int16), valid, days, targets)
    better = smoothed(linear[:, :, 0].copy(), filling)
    truth = season(targets)[:, None, None]
    errors = [np.sqrt(np.mean((found - truth) ** 2)) for found in (linear[:, :, 0].astype(float), better)]
    assert errors[1] < share * errors[0]


def test_a_median_of_months_is_not_moved_by_clouds_that_the_mask_missed():
    days = START + np.arange(0, 360, 5)
    truth = season(np.arange(0, 360, 5))
    cloudy = np.where(np.arange(72) % 6 == 0, -2000, truth).astype(np.int16)
    valid = np.ones((72, 1), bool)
    errors = {}
    for method in ("median", "mean"):
        middles, found, _ = made(days, np.repeat(cloudy[:, None, None], 2, 1), valid, Composite("month", method))
        errors[method] = np.abs(found[:, 0, 0] - season(np.array(middles) - START)).mean()
    assert errors["median"] < 0.35 * errors["mean"]
