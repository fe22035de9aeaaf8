import zipfile

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from parcelle.models.forest import BATCH, Forest

CODES = np.array([3, 5, 12, 200])


def data(count, seed=0):
    """Codes that follow from two of six features, but for noise."""
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (count, 6)).astype(np.float32)
    places = (features[:, 0] > 0) * 2 + (features[:, 1] + random.normal(0, 0.3, count) > 0)
    return features, CODES[places.astype(int)]


TRAINING = data(400)
OTHERS = data(600, seed=1)[0]


def fitted(threads=1, seed=7, **options):
    return Forest(**{"trees": 12, "depth": 6} | options).fit(*TRAINING, seed=seed, threads=threads)


@pytest.fixture(scope="module")
def forest():
    return fitted()


def saved(forest, folder):
    folder.mkdir()
    assert forest.save(folder) == ["forest.npz"]
    return (folder / "forest.npz").read_bytes()


def test_it_learns(forest):
    features, codes = data(500, seed=2)
    assert (forest.classes[forest.probabilities(features).argmax(axis=1)] == codes).mean() > 0.85
    assert forest.classes.tolist() == CODES.tolist()


def test_probabilities_are_those_of_scikit_learn(forest):
    theirs = RandomForestClassifier(12, max_depth=6, min_samples_split=5, max_features="sqrt", random_state=7)
    theirs.fit(*TRAINING)
    assert np.array_equal(forest.probabilities(OTHERS), theirs.predict_proba(OTHERS))
    assert forest.probabilities(OTHERS).sum(axis=1) == pytest.approx(np.ones(len(OTHERS)))


@pytest.mark.parametrize("options", [{}, {"depth": None, "min_samples": 2}, {"features": 6, "trees": 1}, {"depth": 1}])
def test_a_saved_forest_is_the_same_bit_for_bit(options, tmp_path):
    forest = fitted(**options)
    saved(forest, tmp_path / "model")
    again = Forest.load(tmp_path / "model")
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
    assert saved(fitted(threads=3), tmp_path / "second") == first
    assert saved(fitted(seed=8), tmp_path / "third") != first
    with zipfile.ZipFile(tmp_path / "first/forest.npz") as members:
        assert {m.date_time[0] for m in members.infolist()} == {1980}


def test_nothing_in_the_file_can_be_executed(forest, tmp_path):
    saved(forest, tmp_path / "model")
    with np.load(tmp_path / "model/forest.npz", allow_pickle=False) as arrays:
        assert all(a.dtype.hasobject is False for a in arrays.values())


def test_threads_change_nothing(forest):
    expected = forest.probabilities(OTHERS)
    for threads in (2, 4):
        assert np.array_equal(fitted(threads=threads).probabilities(OTHERS), expected)


def test_a_row_depends_on_nothing_but_that_row(forest):
    """Around the border between two batches, alone, reversed, in another array layout."""
    many = np.concatenate([OTHERS] * (BATCH // len(OTHERS) + 1))[: BATCH + 3]
    together = forest.probabilities(many)
    for place in (0, BATCH - 1, BATCH, BATCH + 2):
        assert np.array_equal(forest.probabilities(many[place : place + 1])[0], together[place])
    assert np.array_equal(forest.probabilities(many[:BATCH]), together[:BATCH])
    assert np.array_equal(forest.probabilities(many[::-1]), together[::-1])
    assert np.array_equal(forest.probabilities(np.asfortranarray(many)), together)


def test_no_row_no_probability(forest):
    assert forest.probabilities(OTHERS[:0]).shape == (0, 4)
