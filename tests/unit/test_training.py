import hashlib
import importlib.metadata
import json
import struct
import sys
import types
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

import parcelle
from parcelle import training
from parcelle.errors import InputError, StaleError
from parcelle.hashing import number
from parcelle.samples import KEYS, Samples, Size
from parcelle.splitting import LEARNING, VALIDATION

FEATURES = ["s2.b4.20180301", "s2.b8.20180301", "s2.ndvi.20180301"]
FOREST = {"name": "forest", "trees": 8, "depth": 5, "min_samples": 2, "features": "sqrt"}
MEANS = {3: (0, 0, 0), 5: (3, 0, 1), 12: (0, 3, 2)}


def frame(polygons=30, pixels=12, seed=0, codes=(3, 5, 12)):
    """Samples of polygons whose classes follow each other; every third polygon has pixels in two tiles."""
    random, rows = np.random.default_rng(seed), []
    for i in range(polygons):
        code = codes[i % len(codes)]
        for j in range(pixels):
            tile = "T2" if i % 3 == 0 and j % 2 else "T1"
            rows.append((f"p{i:02}", code, "alps", 10 * i + j // 4, j % 4, tile, *random.normal(MEANS[code], 0.8)))
    table = pd.DataFrame(rows, columns=[*KEYS, "tile", *FEATURES])
    types = {"code": "int32", "row": "int32", "column": "int32"} | dict.fromkeys(FEATURES, "float32")
    return table.astype(types).sort_values(["polygon", "tile", "row", "column"], ignore_index=True)


def as_samples(table, dtype=np.float32):
    """Samples of a frame of keys and features."""
    keys = table[[*KEYS, "tile"]].reset_index(drop=True)
    return Samples(keys, FEATURES, table[FEATURES].to_numpy(dtype))


def split(table, learning=lambda i: i % 2 == 0):
    """Groups of the name's first digit; polygons by number learn or not."""
    names = sorted(table.polygon.unique())
    code = table.groupby("polygon").code.first()[names].to_numpy()
    side = [LEARNING if learning(int(n[1:])) else VALIDATION for n in names]
    return pd.DataFrame({"polygon": names, "code": code, "group": [f"g{n[1]}" for n in names], "side": side})


TABLE = frame()
SPLIT = split(TABLE)


def train(table=TABLE, sides=SPLIT, region="alps", seed="3", per_class=None, threads=1, settings=FOREST):
    found = table if isinstance(table, Samples) else as_samples(table)
    return training.train(found, sides, region, seed, settings, per_class, threads)


@pytest.fixture(scope="module")
def trained():
    return train()


def test_sides_and_groups_are_those_of_the_polygon():
    sided = training.sides(TABLE, SPLIT)
    side, group = (dict(zip(SPLIT.polygon, SPLIT[name], strict=True)) for name in ("side", "group"))
    assert sided.side.tolist() == [side[p] for p in TABLE.polygon]
    assert sided.group.tolist() == [group[p] for p in TABLE.polygon]
    assert sided.drop(columns=["group", "side"]).equals(TABLE)


def test_without_a_split_everything_learns():
    sided = training.sides(TABLE, None)
    assert set(sided.side) == {LEARNING} and (sided.group == TABLE.polygon).all()


def test_a_polygon_that_the_split_does_not_know():
    with pytest.raises(InputError, match=r"polygon p07 has samples but no side: .* snakemake --forcerun plan"):
        training.sides(TABLE, SPLIT[SPLIT.polygon != "p07"])


def test_without_a_limit_all_learning_samples_are_taken():
    sided = training.sides(TABLE, SPLIT)
    assert training.chosen(sided, None, "0").equals(sided[sided.side == LEARNING])


@pytest.mark.parametrize("most", [1, 25, 60])
def test_per_class_takes_so_many_to_learn_from(most, caplog):
    sided = training.sides(TABLE, SPLIT)
    kept = training.chosen(sided, most, "0")
    assert set(kept.side) == {LEARNING}
    assert kept.code.value_counts().to_dict() == dict.fromkeys((3, 5, 12), most)
    assert kept.index.is_monotonic_increasing and not caplog.messages


def test_a_larger_choice_holds_the_smaller_one_whatever_stands_beside():
    sided = training.sides(TABLE, SPLIT)
    few, more = (training.chosen(sided, n, "0") for n in (10, 20))
    assert set(few.index) < set(more.index)
    shuffled = training.chosen(sided.sample(frac=1, random_state=1), 10, "0")
    assert set(shuffled.index) == set(few.index)
    assert set(training.chosen(sided[sided.code == 5], 10, "0").index) == set(few.index[few.code == 5])


def test_seeds_choose_differently_and_over_all_polygons():
    sided = training.sides(TABLE, SPLIT)
    choices = [training.chosen(sided, 20, seed) for seed in ("0", "1", "all")]
    assert len({tuple(c.index) for c in choices}) == 3
    assert all(c.polygon.nunique() > 10 for c in choices)


def test_a_shortfall_is_told(caplog):
    table = TABLE[(TABLE.code != 5) | (TABLE.polygon == "p04")]
    kept = training.chosen(training.sides(table, SPLIT), 40, "0")
    assert kept.code.value_counts().to_dict() == {3: 40, 12: 40, 5: 12}
    assert caplog.messages == ["class 5 has 12 samples to learn from, fewer than per_class = 40"]


def test_predictions_are_of_the_validation_side_and_good(trained):
    _, predictions = trained
    validation = training.sides(TABLE, SPLIT).query("side == 'validation'").reset_index(drop=True)
    assert list(predictions.columns) == ["polygon", "group", "tile", "row", "column", "reference", "predicted"]
    assert [str(predictions[c].dtype) for c in ("row", "column", "reference", "predicted")] == ["int32"] * 4
    for name in ("polygon", "group", "tile", "row", "column"):
        assert predictions[name].tolist() == validation[name].tolist()
    assert predictions.reference.tolist() == validation.code.tolist()
    assert (predictions.reference == predictions.predicted).mean() > 0.9


def test_the_model_is_scikit_learns_on_the_learning_side(trained):
    model, predictions = trained
    learning, validation = (TABLE[TABLE.polygon.isin(SPLIT.polygon[SPLIT.side == s])] for s in (LEARNING, VALIDATION))
    random_state = number("3", "alps") % 2**31
    theirs = RandomForestClassifier(8, max_depth=5, min_samples_split=2, random_state=random_state)
    theirs.fit(learning[FEATURES].to_numpy(), learning.code.to_numpy())
    assert np.array_equal(predictions.predicted, theirs.predict(validation[FEATURES].to_numpy()))
    assert model.classifier.classes.tolist() == [3, 5, 12]


@pytest.mark.parametrize("sides", [SPLIT, None], ids=["split", "all"])
def test_the_type_of_the_samples_changes_nothing(sides, tmp_path):
    """Integers are learnt from, applied to and digested alike, whether they are stored as int16 or as float32."""
    table = TABLE.assign(**{name: np.rint(TABLE[name] * 5000) for name in FEATURES})
    made = {}
    for dtype in (np.int16, np.float32):
        model, predictions = train(as_samples(table, dtype), sides)
        path = tmp_path / np.dtype(dtype).name / "model.json"
        training.save(model, str(path))
        made[dtype] = (predictions, *(p.read_bytes() for p in (path, path.with_name("forest.npz"))))
    assert made[np.int16][1:] == made[np.float32][1:]
    pd.testing.assert_frame_equal(made[np.int16][0], made[np.float32][0])


class Witness:
    """A classifier of somebody else, which keeps what it is given; the largest of three features is its class."""

    seen: ClassVar[dict] = {}

    def fit(self, features, labels, *, seed, threads):
        self.classes = np.unique(labels)
        self.seen.update(fitted=features, threads=threads, applied=[])
        return self

    def probabilities(self, features):
        self.seen["applied"].append(features)
        return np.eye(3)[features.argmax(axis=1)]


@pytest.mark.parametrize("chunk", [7, 1000])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_models_learn_from_float32_and_are_applied_to_chunks_of_the_files_type(dtype, chunk, monkeypatch):
    monkeypatch.setattr(training, "CHUNK", chunk)
    monkeypatch.setitem(sys.modules, "theirs", types.SimpleNamespace(Witness=Witness))
    values = as_samples(TABLE.assign(**{name: np.rint(TABLE[name] * 5000) for name in FEATURES}), dtype)
    _, predictions = train(values, settings={"name": "theirs:Witness", "arguments": {}}, threads=3)
    learns = training.sides(values.keys, SPLIT).side == LEARNING
    fitted, applied = Witness.seen["fitted"], Witness.seen["applied"][2:]  # twice it is tried when it is trained
    assert fitted.dtype == np.float32 and np.array_equal(fitted, values.values[learns]) and Witness.seen["threads"] == 3
    assert {a.dtype for a in applied} == {np.dtype(dtype)} and max(map(len, applied)) == min(chunk, (~learns).sum())
    assert np.array_equal(np.concatenate(applied), values.values[~learns])
    assert np.array_equal(predictions.predicted, np.array([3, 5, 12])[values.values[~learns].argmax(axis=1)])


class Undecided:
    """A classifier of somebody else, which finds two classes equally probable."""

    def fit(self, features, labels, *, seed, threads):
        self.classes = np.unique(labels)
        return self

    def probabilities(self, features):
        return np.tile([0.2, 0.4, 0.4], (len(features), 1))


def test_of_equal_probabilities_the_lowest_code_is_predicted(monkeypatch):
    monkeypatch.setitem(sys.modules, "theirs", types.SimpleNamespace(Undecided=Undecided))
    _, predictions = train(settings={"name": "theirs:Undecided", "arguments": {}})
    assert set(predictions.predicted) == {5}


def test_the_description_says_what_the_model_is(trained):
    description = trained[0].description
    learning = TABLE[TABLE.polygon.isin(SPLIT.polygon[SPLIT.side == LEARNING])]
    assert description["name"] == "forest" and description["settings"] == FOREST
    assert (description["region"], description["seed"]) == ("alps", "3")
    assert description["classes"] == [3, 5, 12] and description["features"] == FEATURES == trained[0].features
    assert description["versions"] == {
        "parcelle": parcelle.__version__,
        "numpy": np.__version__,
        "scikit-learn": importlib.metadata.version("scikit-learn"),
    }
    # Polygons 0, 6, 12, 18, 24 are of class 3 and learn; each has 12 pixels; groups are their tens.
    assert description["samples"][0] == {
        "code": 3,
        "learning": 60,
        "learning_groups": 3,
        "learning_polygons": 5,
        "validation": 60,
        "validation_groups": 3,
        "validation_polygons": 5,
    }
    assert [row["code"] for row in description["samples"]] == [3, 5, 12]
    assert sum(row["learning"] for row in description["samples"]) == len(learning) == 180
    assert json.loads(json.dumps(description)) == description


def test_counts_of_a_class_that_only_learns_and_of_per_class():
    table = frame()
    sides = split(table, lambda i: i % 2 == 0 or i % 3 == 2)
    description = train(table, sides, per_class=7)[0].description
    row = description["samples"][2]
    assert (row["code"], row["learning"], row["validation"], row["validation_groups"]) == (12, 7, 0, 0)
    assert [r["learning"] for r in description["samples"]] == [7, 7, 7]
    assert [r["validation"] for r in description["samples"]] == [60, 60, 0]


def test_a_model_of_everything_has_no_predictions():
    model, predictions = train(sides=None, seed="all")
    assert len(predictions) == 0
    assert list(predictions.columns) == ["polygon", "group", "tile", "row", "column", "reference", "predicted"]
    assert str(predictions.predicted.dtype) == "int32"
    assert [row["learning"] for row in model.description["samples"]] == [120] * 3


def test_threads_change_nothing(trained, tmp_path):
    for name, (model, _) in {"one": trained, "three": train(threads=3)}.items():
        training.save(model, str(tmp_path / name / "model.json"))
    for name in ("forest.npz", "model.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


def test_seeds_and_regions_grow_other_trees(trained):
    expected = trained[0].classifier.probabilities(TABLE[FEATURES].to_numpy())
    for change in ({"seed": "4"}, {"region": "plains"}):
        found = train(**change)[0].classifier.probabilities(TABLE[FEATURES].to_numpy())
        assert not np.array_equal(found, expected)


def test_the_digest_is_that_of_the_training_samples(trained):
    digest = trained[0].description["digest"]
    assert train(seed="4")[0].description["digest"] == digest
    learns, validates = TABLE.index[TABLE.polygon == "p00"], TABLE.index[TABLE.polygon == "p01"]

    def changed(rows, column, value):
        table = TABLE.copy()
        table.loc[rows, column] = value
        return train(table)[0].description["digest"]

    assert changed(validates, FEATURES[0], 9) == digest
    found = [
        changed(learns[:1], c, v)
        for c, v in [(FEATURES[0], 9), ("row", 99), ("column", 99), ("code", 5), ("tile", "T9")]
    ]
    assert len({digest, *found}) == 6
    assert train(per_class=3)[0].description["digest"] != digest


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_what_is_digested(dtype):
    table = TABLE.assign(**{name: np.rint(TABLE[name] * 5000) for name in FEATURES})
    learning = table[table.polygon.isin(SPLIT.polygon[SPLIT.side == LEARNING])]
    expected = hashlib.sha256(("\n".join(learning.polygon) + "\n".join(learning.tile)).encode())
    for name in ("row", "column", "code"):
        expected.update(b"".join(int(v).to_bytes(4, "little") for v in learning[name]))
    for row in learning[FEATURES].to_numpy():
        expected.update(struct.pack("<3f", *row))
    assert train(as_samples(table, dtype))[0].description["digest"] == expected.hexdigest()


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (TABLE[TABLE.code == 5], r"only class 5 to learn from, of 120 samples"),
        (TABLE.iloc[:0], r"no sample to learn from, of 0 samples"),
        (TABLE[TABLE.polygon.isin(["p01", "p05"])], r"no sample to learn from, of 24 samples"),
        (TABLE[TABLE.polygon.isin(["p00", "p01"])], r"only class 3 to learn from, of 24 samples"),
    ],
    ids=["one class", "none", "none learns", "one learns"],
)
def test_two_classes_are_needed_to_learn(table, found):
    with pytest.raises(InputError, match=rf"^region 'alps', seed 3: {found}\. The region needs valid pixels"):
        train(table)


def test_a_model_is_read_back(trained, tmp_path):
    path = tmp_path / "model/alps/3/model.json"
    training.save(trained[0], str(path))
    read = training.load(str(path), FEATURES)
    rows = TABLE[FEATURES].to_numpy()
    assert np.array_equal(read.classifier.probabilities(rows), trained[0].classifier.probabilities(rows))
    weights = hashlib.sha256((path.parent / "forest.npz").read_bytes()).hexdigest()
    assert read.description == trained[0].description | {"files": {"forest.npz": weights}}
    assert sorted(p.name for p in path.parent.iterdir()) == ["forest.npz", "model.json", "model.json.sha256"]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            [FEATURES[0], "s2.b8.20180311", FEATURES[2]],
            r"feature 2 is s2.b8.20180311, where s2.b8.20180301 is expected",
        ),
        (FEATURES[::-1], r"feature 1 is s2.ndvi.20180301, where s2.b4.20180301 is expected"),
        (FEATURES[:2], r"feature 3 is nothing, where s2.ndvi.20180301 is expected \(2 features, 3 expected\)"),
        (
            [*FEATURES, "x.y.20180301"],
            r"feature 4 is x.y.20180301, where nothing is expected \(4 features, 3 expected\)",
        ),
    ],
    ids=["date", "order", "fewer", "more"],
)
def test_other_features_are_refused_by_the_first_difference(features, message, trained, tmp_path):
    training.save(trained[0], str(tmp_path / "model.json"))
    with pytest.raises(InputError, match=rf"model\.json: {message}"):
        training.load(str(tmp_path / "model.json"), features)


def test_weights_that_were_changed_are_refused(trained, tmp_path):
    path = tmp_path / "model.json"
    training.save(trained[0], str(path))
    training.save(train(seed="4")[0], str(tmp_path / "other/model.json"))
    (tmp_path / "forest.npz").write_bytes((tmp_path / "other/forest.npz").read_bytes())
    message = r"forest\.npz is not the one that was written\. Make it again: snakemake --forcerun .*model\.json"
    with pytest.raises(StaleError, match=message):
        training.load(str(path), FEATURES)
    (tmp_path / "forest.npz").unlink()
    with pytest.raises(StaleError, match=message):
        training.load(str(path), FEATURES)


def test_a_description_that_was_changed_is_refused(trained, tmp_path):
    path = tmp_path / "model.json"
    training.save(trained[0], str(path))
    path.write_text(path.read_text().replace("s2.b4", "s2.b3"))
    with pytest.raises(StaleError, match=r"model\.json was changed or cut after it was written"):
        training.load(str(path), FEATURES)


def test_memory_is_that_of_the_features_in_both_types_and_of_the_trees():
    model = {"name": "forest", "trees": 100, "min_samples": 4}
    features = 400_000 * 468 * 2 + 100_000 * 468 * 4
    beside = 400_000 * 250 + 100_000 * 2 * 80
    nodes = 100 * 0.23 * 100_000
    expected = 460 + (features + beside + nodes * (200 + 8 * 21)) / 2**20
    assert training.memory_mb(Size(400_000, 468, 2), 100_000, 21, model, 2) == pytest.approx(expected)
