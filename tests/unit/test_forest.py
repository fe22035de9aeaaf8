"""Forests: what they learn, that they are scikit-learn's, and what is saved of them."""

import re
import zipfile

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from parcelle.errors import InputError
from parcelle.models.forest import ExtraTrees, Forest
from parcelle.models.trees import BLOCK

CODES = np.array([3, 5, 12, 200])


def data(count, seed=0):
    """Codes that follow from two of six features, but for noise."""
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (count, 6)).astype(np.float32)
    places = (features[:, 0] > 0) * 2 + (features[:, 1] + random.normal(0, 0.3, count) > 0)
    return features, CODES[places.astype(int)]


TRAINING = data(400)
OTHERS = data(600, seed=1)[0]


KINDS = {Forest: RandomForestClassifier, ExtraTrees: ExtraTreesClassifier}


def fitted(kind=Forest, threads=1, seed=7, **options):
    return kind(**{"trees": 12, "depth": 6} | options).fit(*TRAINING, seed=seed, threads=threads)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def forest(request):
    return fitted(request.param)


def saved(forest, folder):
    folder.mkdir()
    assert forest.save(folder) == ["forest.npz"]
    return (folder / "forest.npz").read_bytes()


def test_it_learns(forest):
    features, codes = data(500, seed=2)
    assert (forest.classes[forest.probabilities(features).argmax(axis=1)] == codes).mean() > 0.85
    assert forest.classes.tolist() == CODES.tolist()


def test_probabilities_are_those_of_scikit_learn(forest):
    """Of floats, and of integers of both kinds of memory layout."""
    theirs = KINDS[type(forest)](12, max_depth=6, min_samples_split=5, max_features="sqrt", random_state=7)
    theirs.fit(*TRAINING)
    integers = np.rint(1000 * OTHERS).astype(np.int16)
    for features in (OTHERS, integers, np.asfortranarray(OTHERS), np.asfortranarray(integers)):
        assert np.array_equal(forest.probabilities(features), theirs.predict_proba(features.astype(np.float32)))
    assert forest.probabilities(OTHERS).sum(axis=1) == pytest.approx(np.ones(len(OTHERS)))


def test_thresholds_of_extra_trees_are_drawn():
    """Those of a forest lie in the middle between two samples; a tree that draws them is another one."""
    assert not np.array_equal(fitted(ExtraTrees).probabilities(OTHERS), fitted(Forest).probabilities(OTHERS))


@pytest.mark.parametrize("options", [{}, {"depth": None, "min_samples": 2}, {"features": 6, "trees": 1}, {"depth": 1}])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_saved_forest_is_the_same_bit_for_bit(kind, options, tmp_path):
    forest = fitted(kind, **options)
    saved(forest, tmp_path / "model")
    again = kind.load(tmp_path / "model")
    assert type(again) is kind
    assert np.array_equal(again.classes, forest.classes)
    assert np.array_equal(again.probabilities(OTHERS), forest.probabilities(OTHERS))


def test_a_loaded_forest_can_be_saved_again(forest, tmp_path):
    first = saved(forest, tmp_path / "first")
    assert saved(Forest.load(tmp_path / "first"), tmp_path / "second") == first


def test_two_classes_and_one_leaf(tmp_path):
    features, codes = TRAINING
    two = codes < 10
    forest = Forest(trees=3, min_samples=10_000).fit(features[two], codes[two], seed=1, threads=1)
    saved(forest, tmp_path / "model")
    again = Forest.load(tmp_path / "model")
    assert again.classes.tolist() == [3, 5]
    assert np.array_equal(again.probabilities(OTHERS), forest.probabilities(OTHERS))
    assert len(np.unique(forest.probabilities(OTHERS), axis=0)) == 1


def test_the_bytes_are_those_of_any_other_fit(forest, tmp_path):
    first = saved(forest, tmp_path / "first")
    assert saved(fitted(type(forest), threads=3), tmp_path / "second") == first
    assert saved(fitted(type(forest), seed=8), tmp_path / "third") != first
    with zipfile.ZipFile(tmp_path / "first/forest.npz") as members:
        assert {m.date_time[0] for m in members.infolist()} == {1980}


def test_nothing_in_the_file_can_be_executed(forest, tmp_path):
    saved(forest, tmp_path / "model")
    with np.load(tmp_path / "model/forest.npz", allow_pickle=False) as arrays:
        assert all(a.dtype.hasobject is False for a in arrays.values())


def test_threads_change_nothing(forest):
    expected = forest.probabilities(OTHERS)
    for threads in (2, 4):
        assert np.array_equal(fitted(type(forest), threads=threads).probabilities(OTHERS), expected)


def test_a_row_depends_on_nothing_but_that_row(forest):
    """Around the border between two blocks, alone, reversed, in another array layout."""
    many = OTHERS[: BLOCK + 3]
    together = forest.probabilities(many)
    for place in (0, BLOCK - 1, BLOCK, BLOCK + 2):
        assert np.array_equal(forest.probabilities(many[place : place + 1])[0], together[place])
    assert np.array_equal(forest.probabilities(many[:BLOCK]), together[:BLOCK])
    assert np.array_equal(forest.probabilities(many[::-1]), together[::-1])
    assert np.array_equal(forest.probabilities(np.asfortranarray(many)), together)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_what_is_no_number_is_neither_learnt_nor_asked_about(forest, wrong):
    """scikit-learn learns of NaN, that is of what is missing, without a word."""
    features, codes = TRAINING[0].copy(), TRAINING[1]
    features[17, 2] = wrong
    for what, task in (
        ("sample", lambda: type(forest)(trees=2).fit(features, codes, seed=1, threads=1)),
        ("pixel", lambda: forest.probabilities(features)),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(f'feature 3 of {what} 18 is {wrong}, no finite number')}"):
            task()


def test_another_number_of_features_is_refused(forest):
    with pytest.raises(InputError, match=r"^a model of 6 features is asked about 5\.$"):
        forest.probabilities(OTHERS[:, :5])


def test_an_untrained_forest_says_so(tmp_path):
    for task in (lambda: Forest().probabilities(OTHERS), lambda: Forest().save(tmp_path)):
        with pytest.raises(RuntimeError, match="not trained"):
            task()


def test_no_row_no_probability(forest):
    assert forest.probabilities(OTHERS[:0]).shape == (0, 4)
