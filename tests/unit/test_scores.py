import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from parcelle import scores
from parcelle.errors import InputError
from parcelle.scores import GroupCounts

# Rows are the reference. Total 50, agreement 38; rows 25, 15, 10; columns 23, 17, 10.
KNOWN = np.array([[20, 5, 0], [3, 10, 2], [0, 2, 8]])
# Congalton and Green (1999), with the reference as rows: OA 74 %, kappa 0.65.
TEXTBOOK = np.array([[65, 6, 0, 4], [4, 81, 11, 7], [22, 5, 85, 3], [24, 8, 19, 90]])


def samples_of(matrix):
    """Reference and predicted positions of the samples a matrix counts."""
    reference, predicted = (index.ravel() for index in np.indices(matrix.shape))
    return np.repeat(reference, matrix.ravel()), np.repeat(predicted, matrix.ravel())


def binary(right, *, seeds=1, strata=None, samples=1):
    """Groups of `samples` samples, all of class 0, that are predicted as 0 or 1; the same in every seed."""
    right = np.asarray(right)
    seed, group = (index.ravel() for index in np.indices((seeds, len(right))))
    cell = seed * 4 + np.where(right[group], 0, 1)
    strata = np.zeros(len(right), int) if strata is None else np.asarray(strata)
    return GroupCounts.of(cell, group, np.full(len(cell), samples), strata=strata, seeds=seeds, classes=2)


def overall(ends):
    return ends[0][0], ends[1][0]


def test_scores_computed_by_hand():
    found = scores.scores_of(KNOWN)
    chance = (25 * 23 + 15 * 17 + 10 * 10) / 2500
    assert found["oa"] == pytest.approx(38 / 50)
    assert found["kappa"] == pytest.approx((0.76 - chance) / (1 - chance))
    np.testing.assert_allclose(found["precision"], [20 / 23, 10 / 17, 8 / 10])
    np.testing.assert_allclose(found["recall"], [20 / 25, 10 / 15, 8 / 10])
    np.testing.assert_allclose(found["f1"], [40 / 48, 20 / 32, 16 / 20])


def test_scores_of_a_textbook():
    found = scores.scores_of(TEXTBOOK)
    assert found["oa"] == pytest.approx(0.74, abs=0.005)
    assert found["kappa"] == pytest.approx(0.65, abs=0.005)
    np.testing.assert_allclose(found["recall"], [0.87, 0.79, 0.74, 0.64], atol=0.005)
    np.testing.assert_allclose(found["precision"], [0.57, 0.81, 0.74, 0.87], atol=0.005)


@pytest.mark.parametrize("matrix", [KNOWN, TEXTBOOK, np.array([[3, 0, 1], [0, 0, 2], [0, 0, 0]])])
def test_scores_are_those_of_scikit_learn(matrix):
    reference, predicted = samples_of(matrix)
    every = {"labels": range(len(matrix)), "average": None, "zero_division": np.nan}
    found = scores.scores_of(matrix)
    assert found["oa"] == pytest.approx(sklearn.metrics.accuracy_score(reference, predicted))
    assert found["kappa"] == pytest.approx(sklearn.metrics.cohen_kappa_score(reference, predicted))
    for name in ("precision", "recall", "f1"):
        theirs = getattr(sklearn.metrics, f"{name}_score")(reference, predicted, **every)
        np.testing.assert_allclose(found[name], theirs, err_msg=name)


def test_undefined_is_nan_and_nothing_else_is():
    # Class 1 is never predicted, class 2 never in the reference, class 3 neither.
    found = scores.scores_of(np.array([[4, 0, 1, 0], [2, 0, 0, 0], [0] * 4, [0] * 4]))
    np.testing.assert_array_equal(found["precision"], [4 / 6, np.nan, 0, np.nan])
    np.testing.assert_array_equal(found["recall"], [4 / 5, 0, np.nan, np.nan])
    np.testing.assert_array_equal(found["f1"], [8 / 11, 0, 0, np.nan])


@pytest.mark.parametrize("count", [1, 7, 10_000_019])
def test_kappa_of_one_class_is_undefined(count):
    found = scores.scores_of(np.diag([0, count]))
    assert found["oa"] == 1
    assert np.isnan(found["kappa"])


def test_all_is_undefined_without_samples():
    assert np.isnan(scores.stacked(np.zeros((3, 3)))).all()


def test_kappa_of_chance_is_zero_and_of_the_contrary_negative():
    assert scores.scores_of(np.outer([2, 3], [4, 6]))["kappa"] == 0
    assert scores.scores_of(np.array([[0, 5], [5, 0]]))["kappa"] == -1


def test_leading_dimensions_are_independent_matrices():
    matrices = np.random.default_rng(0).integers(0, 5, (4, 2, 3, 3))
    found = scores.stacked(matrices)
    assert found.shape == (4, 2, 2 + 3 * 3)
    for index in np.ndindex(4, 2):
        np.testing.assert_array_equal(found[index], scores.stacked(matrices[index]))


def test_labels_name_what_is_stacked():
    found = dict(zip(scores.labels([7, 3, 5]), scores.stacked(KNOWN), strict=True))
    expected = scores.scores_of(KNOWN)
    assert found["", "kappa"] == expected["kappa"]
    assert found["3", "precision"] == expected["precision"][1]
    assert found["5", "f1"] == expected["f1"][2]
    assert list(found)[:5] == [("", "oa"), ("", "kappa"), ("7", "precision"), ("7", "recall"), ("7", "f1")]


def test_confusion_is_in_the_order_of_the_codes():
    codes = np.array([300, 7, 12])
    reference, predicted = samples_of(KNOWN)
    shuffled = np.random.default_rng(0).permutation(len(reference))
    found = scores.confusion(codes[reference][shuffled], codes[predicted][shuffled], list(codes))
    np.testing.assert_array_equal(found, KNOWN)
    assert found.dtype == np.int64


def test_confusion_of_nothing_is_zero():
    np.testing.assert_array_equal(scores.confusion(np.array([]), np.array([]), [1, 2]), np.zeros((2, 2)))


@pytest.mark.parametrize("strange", [0, 2, 9])
def test_confusion_refuses_a_code_it_does_not_know(strange):
    with pytest.raises(InputError, match=rf"prediction: class {strange} is not in the nomenclature \(5, 1\)"):
        scores.confusion(np.array([5, 1]), np.array([5, strange]), [5, 1])


def test_mean_leaves_out_the_undefined():
    values = np.array([[1, np.nan, 0.2], [0, np.nan, np.nan]])
    np.testing.assert_array_equal(scores.mean_of_defined(values), [0.5, np.nan, 0.2])
    np.testing.assert_array_equal(scores.mean_of_defined(values, axis=1), [0.6, 0])


def test_spread_has_one_degree_of_freedom_less_than_runs():
    values = np.array([[0.81, 0.5], [0.84, np.nan], [0.79, 0.7], [0.9, 0.6]])
    low, high = scores.spread(values)
    for column in range(2):
        runs = values[~np.isnan(values[:, column]), column]
        expected = scipy.stats.t.interval(0.95, len(runs) - 1, runs.mean(), scipy.stats.sem(runs))
        np.testing.assert_allclose([low[column], high[column]], expected)


def test_spread_needs_two_runs():
    low, high = scores.spread(np.array([[0.8, np.nan, 0.3], [np.nan, np.nan, 0.3]]))
    np.testing.assert_array_equal(low, [np.nan, np.nan, 0.3])
    np.testing.assert_array_equal(high, [np.nan, np.nan, 0.3])


def test_counts_of_a_group_add_up():
    counts = GroupCounts.of([0, 0, 3, 7], [1, 1, 0, 1], [2, 3, 4, 5], strata=np.zeros(2, int), seeds=2, classes=2)
    np.testing.assert_array_equal(counts.confusions, [[[5, 0], [0, 4]], [[0, 0], [0, 5]]])
    # Class 1 is validated on in group 0 by the first seed and in group 1 by the second.
    np.testing.assert_array_equal(counts.groups, [1, 2])


def test_draws_keep_the_size_of_each_stratum():
    strata = np.array([0, 1, 1, 0, 1, 0, 0])
    drawn = np.concatenate(list(scores.weights(strata, 2000, chunk=300)), axis=1)
    assert drawn.shape == (7, 2000)
    for stratum, size in ((0, 4), (1, 3)):
        assert (drawn[strata == stratum].sum(0) == size).all()
        # The count of a group is binomial (n, 1/n): mean 1, variance 1 - 1/n.
        np.testing.assert_allclose(drawn[strata == stratum].mean(1), 1, atol=0.08)
        np.testing.assert_allclose(drawn[strata == stratum].var(1), 1 - 1 / size, atol=0.12)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_draws_do_not_depend_on_chunks(chunk):
    strata = np.array([0, 1, 1, 0, 1])
    drawn = np.concatenate(list(scores.weights(strata, 50, chunk)), axis=1)
    np.testing.assert_array_equal(drawn, next(scores.weights(strata, 50, 50)))


def test_interval_does_not_depend_on_chunks(monkeypatch):
    counts = binary(np.arange(40) % 3 > 0, strata=np.arange(40) % 2)
    expected = scores.interval(counts)
    monkeypatch.setattr(scores, "CHUNK", 300)
    np.testing.assert_array_equal(scores.interval(counts), expected)


def test_bootstrap_equals_scores_of_the_drawn_samples():
    """The plain way: copy the samples of each drawn group, and score them."""
    rng = np.random.default_rng(3)
    group, seed, cell = rng.integers(12, size=200), rng.integers(2, size=200), rng.integers(9, size=200)
    strata = np.arange(12) % 2
    counts = GroupCounts.of(seed * 9 + cell, group, np.ones(200), strata=strata, seeds=2, classes=3)
    drawn = next(scores.weights(strata, 20, 20)).astype(int)
    for replicate, found in enumerate(scores.bootstrap(counts, 20)):
        values = []
        for s in range(2):
            copies = np.repeat(cell[seed == s], drawn[group[seed == s], replicate])
            values.append(scores.stacked(scores.confusion(copies // 3, copies % 3, [0, 1, 2])))
        np.testing.assert_allclose(found, scores.mean_of_defined(np.array(values)))


def test_interval_of_single_samples_is_that_of_a_proportion():
    share, number = 0.8, 400
    low, high = overall(scores.interval(binary(np.arange(number) < share * number)))
    half = 1.96 * np.sqrt(share * (1 - share) / number)
    assert low == pytest.approx(share - half, abs=0.1 * half)
    assert high == pytest.approx(share + half, abs=0.1 * half)


def test_interval_holds_the_truth_as_often_as_it_says():
    rng, truth = np.random.default_rng(1), 0.75
    ends = [overall(scores.interval(binary(rng.random(100) < truth))) for _ in range(200)]
    covered = np.mean([low <= truth <= high for low, high in ends])
    # 95 % is within four standard errors (1.5 %); the percentile interval is known to be a little short.
    assert 0.89 <= covered <= 0.99


def test_same_groups_in_five_seeds_have_the_interval_of_one():
    right = np.arange(60) % 4 > 0
    one, five = scores.interval(binary(right)), scores.interval(binary(right, seeds=5))
    np.testing.assert_allclose(five, one, rtol=1e-12)


def test_more_samples_in_a_group_do_not_shrink_the_interval():
    right = np.arange(60) % 4 > 0
    np.testing.assert_array_equal(scores.interval(binary(right)), scores.interval(binary(right, samples=50)))


def test_groups_widen_the_interval():
    """10 samples that are all right or all wrong together make it √10 times as wide as 10 on their own."""
    right = np.arange(200) % 5 > 0
    clustered = np.subtract(*overall(scores.interval(binary(right, samples=10))))
    alone = np.subtract(*overall(scores.interval(binary(np.repeat(right, 10)))))
    assert clustered / alone == pytest.approx(np.sqrt(10), rel=0.12)


def test_strata_that_explain_the_errors_narrow_the_interval():
    right = np.arange(60) < 40
    low, high = overall(scores.interval(binary(right, strata=~right * 1)))
    assert low == high == pytest.approx(40 / 60)
    low, high = overall(scores.interval(binary(right)))
    assert high - low > 0.15


def test_a_group_alone_in_its_stratum_is_drawn_with_the_largest():
    np.testing.assert_array_equal(scores.pooled(np.array([0, 1, 1, 2, 2, 2, 3])), [2, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(scores.pooled(np.array([0, 1, 2])), [0, 0, 0])
    low, high = overall(scores.interval(binary([True, False], strata=[0, 1])))
    assert (low, high) == (0, 1)


def test_one_group_has_no_interval():
    assert np.isnan(scores.interval(binary([True], samples=30))).all()
    assert np.isnan(scores.interval(binary([]))).all()


def test_a_class_in_one_group_has_no_interval_but_others_have():
    # Class 0 in groups 0 to 5; class 1 in group 6 only.
    cell, group = [0, 0, 0, 1, 0, 0, 3], [0, 1, 2, 3, 4, 5, 6]
    counts = GroupCounts.of(cell, group, np.ones(7), strata=np.zeros(7, int), seeds=1, classes=2)
    low, high = (dict(zip(scores.labels([1, 2]), ends, strict=True)) for ends in scores.interval(counts))
    assert low["1", "recall"] < 5 / 6 <= high["1", "recall"]
    assert not np.isnan(low["", "oa"])
    assert all(np.isnan(ends["2", name]) for ends in (low, high) for name in scores.PER_CLASS)


def test_a_rare_class_leaves_out_replicates_that_miss_it():
    # 2 of 20 groups are of class 1: a draw misses both in about 12 % of the replicates.
    cell = [0] * 18 + [3, 2]
    counts = GroupCounts.of(cell, range(20), np.ones(20), strata=np.zeros(20, int), seeds=1, classes=2)
    recall = scores.bootstrap(counts)[:, scores.labels([1, 2]).index(("2", "recall"))]
    assert np.isnan(recall).mean() == pytest.approx(0.9**20, abs=0.04)
    assert np.nanmean(recall) == pytest.approx(0.5, abs=0.05)
    assert not np.isnan(scores.interval(counts)).any()
