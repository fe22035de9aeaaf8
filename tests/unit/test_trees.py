"""Trees as Parcelle applies them, against scikit-learn's own way: the very same bits."""

import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from parcelle.errors import InputError
from parcelle.models import trees
from parcelle.models.trees import BLOCK, LANES, Trees

DTYPES = [np.int16, np.float32]
KINDS = [RandomForestClassifier, ExtraTreesClassifier, DecisionTreeClassifier]


def grown(model):
    """Trees of a model of scikit-learn."""
    return [tree.tree_ for tree in getattr(model, "estimators_", [model])]


def packed(model):
    return Trees.of(grown(model))


def probabilities(packed, features):
    return packed.sums(features) / (len(packed.starts) - 1)


def values(random, count, features, dtype, kind):
    """Features of the whole range of integers or beyond it, of some of it, or with many ties."""
    high = {"any": 32767, "some": 500, "ties": 3, "beyond": 90_000}[kind]
    found = random.integers(-high - 1, high, (count, features), endpoint=True)
    if dtype is np.int16:
        return np.clip(found, -32768, 32767).astype(np.int16)
    return (found * random.choice([1, 1e-3, np.pi], (1, features))).astype(np.float32)


def at_thresholds(model, features, random):
    """Change some features to where their comparison tips: the threshold, and the numbers beside it."""
    found = features.copy()
    for tree in grown(model):
        for node in np.flatnonzero(tree.children_left >= 0)[:50]:
            pixel, feature = random.integers(len(found)), tree.feature[node]
            nearest = np.float32(tree.threshold[node])
            ends = [nearest, np.nextafter(nearest, np.float32(-np.inf)), np.nextafter(nearest, np.float32(np.inf))]
            value = random.choice(ends)
            if found.dtype == np.int16:
                value = np.clip(np.floor(value) + random.integers(2), -32768, 32767)
            found[pixel, feature] = value
    return found


@st.composite
def contests(draw):
    """A model of scikit-learn, and pixels to ask it about."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    features, samples, classes = draw(st.integers(1, 9)), draw(st.integers(2, 300)), draw(st.integers(2, 40))
    dtype, kind = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(["any", "some", "ties", "beyond"]))
    learnt = values(random, samples, features, dtype, kind)
    labels = random.integers(0, classes, samples) * 3
    labels[:2] = 0, 3
    options = {"max_depth": draw(st.sampled_from([1, 2, 6, None])), "random_state": draw(st.integers(0, 99))}
    options["min_samples_split"] = draw(st.sampled_from([2, 5, 10_000]))
    options["class_weight"] = draw(st.sampled_from([None, "balanced"]))
    made = draw(st.sampled_from(KINDS))
    if made is not DecisionTreeClassifier:
        options |= {"n_estimators": draw(st.integers(1, 6)), "n_jobs": 1}
    weights = random.random(samples) if draw(st.booleans()) else None
    model = made(**options).fit(learnt.astype(np.float32), labels, sample_weight=weights)
    asked = values(random, draw(st.integers(1, 600)), features, dtype, draw(st.sampled_from([kind, "any"])))
    return model, at_thresholds(model, asked, random)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@settings(max_examples=150)
@given(contests())
def test_probabilities_have_the_bits_of_scikit_learn(contest):
    model, asked = contest
    expected = model.predict_proba(asked.astype(np.float32))
    found = probabilities(packed(model), asked)
    assert found.tobytes() == expected.tobytes()
    assert np.array_equal(model.classes_[found.argmax(axis=1)], model.predict(asked.astype(np.float32)))


@pytest.mark.filterwarnings("ignore:The number of unique classes")
@settings(max_examples=60)
@given(contests(), st.data())
def test_any_slicing_and_layout_has_the_same_bits(contest, data):
    model, asked = contest
    mine = packed(model)
    whole = mine.sums(asked)
    ends = sorted({0, len(asked), *data.draw(st.lists(st.integers(0, len(asked)), max_size=5))})
    parts = [mine.sums(asked[start:stop]) for start, stop in pairwise(ends)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    order = np.random.default_rng(0).permutation(len(asked))
    assert mine.sums(asked[order]).tobytes() == whole[order].tobytes()
    assert mine.sums(np.asfortranarray(asked)).tobytes() == whole.tobytes()
    wider = np.repeat(asked, 2, axis=1)[:, ::2]
    assert mine.sums(wider).tobytes() == whole.tobytes()
    if asked.dtype == np.int16:
        assert mine.sums(asked.astype(np.float32)).tobytes() == whole.tobytes()


def model_of(dtype, made=RandomForestClassifier, samples=500, features=6, classes=5, **options):
    random = np.random.default_rng(1)
    learnt = values(random, samples, features, dtype, "some")
    labels = (learnt[:, 0] > 0) * 2 + (learnt[:, -1] > 100) + random.integers(0, classes - 3, samples)
    options = {"random_state": 3} | options
    return made(**options).fit(learnt.astype(np.float32), labels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_of_pixels_around_lanes_and_blocks(dtype):
    model = model_of(dtype, n_estimators=3)
    mine, asked = packed(model), values(np.random.default_rng(2), 2 * BLOCK + LANES, 6, dtype, "some")
    expected = model.predict_proba(asked.astype(np.float32))
    for count in (*range(2 * LANES + 2), *range(BLOCK - LANES - 1, BLOCK + LANES + 2), 2 * BLOCK, 2 * BLOCK + 1):
        assert np.array_equal(probabilities(mine, asked[:count]), expected[:count])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{"max_depth": 1}, {"min_samples_split": 10_000}], ids=["depth 1", "one leaf"])
def test_the_smallest_trees(dtype, options):
    for made in KINDS:
        model = model_of(dtype, made, **options)
        assert max(tree.node_count for tree in grown(model)) <= 3
        asked = values(np.random.default_rng(2), 40, 6, dtype, "some")
        assert np.array_equal(probabilities(packed(model), asked), model.predict_proba(asked.astype(np.float32)))


def test_a_forest_with_a_single_class():
    model = RandomForestClassifier(3, random_state=0).fit(np.zeros((4, 2)), np.full(4, 7))
    assert probabilities(packed(model), np.zeros((5, 2), np.int16)).tolist() == [[1.0]] * 5


def test_a_tree_of_more_nodes_than_16_bits_count():
    random = np.random.default_rng(0)
    learnt = random.integers(-32768, 32768, (50_000, 2)).astype(np.int16)
    model = DecisionTreeClassifier(splitter="random", random_state=0).fit(learnt, random.integers(0, 3, 50_000))
    assert model.tree_.node_count > 2**16
    asked = np.concatenate([learnt[:3000], learnt[:3000] + np.int16(1)])
    for features in (asked, asked.astype(np.float32)):
        assert np.array_equal(probabilities(packed(model), features), model.predict_proba(asked))


def test_as_many_features_as_a_node_can_name():
    """Only the last one tells the classes apart."""
    learnt = np.zeros((4, trees.MOST_FEATURES), np.float32)
    learnt[:, -1] = [-5, -5, 9, 9]
    model = DecisionTreeClassifier(random_state=0).fit(learnt, [0, 0, 1, 1])
    assert model.tree_.feature[0] == trees.MOST_FEATURES - 1
    for dtype in DTYPES:
        asked = learnt.astype(dtype)
        assert probabilities(packed(model), asked).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_every_int16_is_compared_as_it_is():
    """Also −32,768 and 32,767, on either side of a threshold."""
    every = np.arange(-32768, 32768).astype(np.int16)[:, None]
    for border in (-32768, -32767, -1, 0, 32766):
        learnt = np.array([[border], [border + 1]], np.float32)
        mine = packed(DecisionTreeClassifier().fit(learnt, [0, 1]))
        assert mine._fits_int16
        for features in (every, every.astype(np.float32)):
            assert np.array_equal(mine.sums(features)[:, 1], every[:, 0] > border)


@pytest.mark.parametrize("border", [-40_000, 33_000, 1e30])
def test_thresholds_that_no_int16_reaches_are_compared_as_floats(border):
    learnt = np.array([[border], [np.nextafter(np.float32(border), np.float32(np.inf))]], np.float32)
    mine = packed(DecisionTreeClassifier().fit(learnt, [0, 1]))
    assert not mine._fits_int16
    every = np.array([[-32768], [0], [32767]], np.int16)
    assert mine.sums(every)[:, 1].tolist() == [float(border < 0)] * 3


@pytest.mark.parametrize("low", [0.1, 1e-45, -1e-45, -0.1, 1e38, -3e38])
def test_neighbouring_floats_are_told_apart(low):
    """The threshold lies between them, where float32 has no number."""
    low = np.float32(low)
    pair = np.array([[low], [np.nextafter(low, np.float32(np.inf))]])
    laid = packed(DecisionTreeClassifier().fit(np.array([[0.0], [1.0]]), [0, 1]))
    rounded = trees._rounded_down(np.array([pair.astype(float).mean()]))
    one = replace(laid, threshold=np.repeat(rounded.astype(np.float32), 3))
    assert one.sums(pair).tolist() == [[1, 0], [0, 1]]


@given(st.floats(-(2.0**127), 2.0**127), st.floats(-(2.0**127), 2.0**127, width=32))
def test_a_threshold_rounded_down_divides_floats_as_it_did(threshold, value):
    rounded = trees._rounded_down(np.array([threshold]))[0]
    for x in (np.float32(value), np.float32(threshold), rounded):
        assert (x > rounded) == (float(x) > threshold)


def test_other_types_are_compared_as_float32():
    model = model_of(np.float32, n_estimators=4)
    asked = values(np.random.default_rng(5), 30, 6, np.float32, "some")
    expected = model.predict_proba(asked)
    mine = packed(model)
    assert np.array_equal(probabilities(mine, asked.astype(float)), expected)
    whole = np.rint(asked)
    for dtype in (np.int32, np.int64):
        assert np.array_equal(mine.sums(whole.astype(dtype)), mine.sums(whole))


def test_leaves_with_the_same_frequencies_share_a_row():
    model = model_of(np.int16, n_estimators=20, samples=2000)
    mine = packed(model)
    leaves = np.concatenate([tree.value[tree.children_left < 0, 0] for tree in grown(model)])
    assert len(mine.table) == len(np.unique(leaves, axis=0)) + 1 < len(leaves) / 4  # one is of the other nodes
    # The most visited row is the first: a leaf of one class.
    assert mine.table[0].max() == 1


def test_children_are_neighbours_and_come_after_their_parent():
    mine = packed(model_of(np.int16, n_estimators=4))
    for first, last in pairwise(mine.starts):
        left, place = mine.left[first:last], np.arange(last - first)
        inner = left != place
        assert (left[inner] > place[inner]).all()
        children = np.concatenate([left[inner], left[inner] + 1])
        assert np.array_equal(np.sort(children), np.arange(1, last - first))


@pytest.mark.parametrize("made", KINDS)
def test_what_is_saved_and_read_has_the_same_bits(made, tmp_path):
    mine = packed(model_of(np.float32, made))
    np.savez(tmp_path / "trees.npz", **mine.to_arrays())
    with np.load(tmp_path / "trees.npz", allow_pickle=False) as arrays:
        again = Trees.from_arrays(dict(arrays))
    asked = values(np.random.default_rng(2), 300, 6, np.float32, "some")
    assert again.sums(asked).tobytes() == mine.sums(asked).tobytes()
    assert again.to_arrays().keys() == mine.to_arrays().keys()
    assert isinstance(again.features, int)


def test_no_pixel_is_no_sum():
    mine = packed(model_of(np.int16))
    for dtype in DTYPES:
        assert mine.sums(np.empty((0, 6), dtype)).shape == (0, mine.table.shape[1])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_no_number_is_refused_with_its_place(wrong, order):
    features = np.zeros((300, 6), np.float32, order)
    features[271, 4] = wrong
    expected = f"feature 5 of pixel 272 is {wrong}, no finite number. Look at what it is made of, or leave it out."
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        packed(model_of(np.float32)).sums(features)


def test_the_place_is_counted_through_all_that_is_looked_at():
    features = np.zeros((trees.CHECKED + 5, 3), np.float32)
    features[-2, 1] = np.nan
    with pytest.raises(InputError, match=f"^feature 2 of sample {trees.CHECKED + 4} is nan"):
        trees.refuse_undefined(features, "sample")
    trees.refuse_undefined(features[:-2], "sample")


def test_numbers_that_float32_cannot_hold_are_refused():
    features = np.zeros((2, 6))
    features[1, 0] = 1e300
    with (
        pytest.raises(InputError, match=r"^feature 1 of pixel 2 is inf, no finite number\."),
        np.errstate(over="ignore"),
    ):
        packed(model_of(np.float32)).sums(features)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [0, 5, 7])
def test_another_number_of_features_is_refused(dtype, count):
    with pytest.raises(InputError, match=rf"^a model of 6 features is asked about {count}\.$"):
        packed(model_of(dtype)).sums(np.zeros((3, count), dtype))


@pytest.mark.parametrize(
    ("nodes", "features", "sentence"),
    [
        (2**24 + 1, 10, "the forest has 10 features and a tree of 16777217 nodes; at most 58254 and 16777216 can be"),
        (5, 58_255, "the forest has 58255 features and a tree of 5 nodes; at most 58254 and 16777216 can be applied."),
    ],
)
def test_more_than_a_node_can_name_is_refused(nodes, features, sentence):
    small, large = (SimpleNamespace(node_count=n, n_features=features) for n in (3, nodes))
    with pytest.raises(InputError) as error:
        Trees.of([small, large])
    assert str(error.value).startswith(sentence)
    assert str(error.value).endswith("Set `model.depth`, or use fewer dates.")
