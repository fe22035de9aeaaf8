"""A classifier of the user's own that does not keep what it promises is refused with a sentence, and maps nothing."""

import numpy as np
import pytest
from unit.test_training import FEATURES, SPLIT, TABLE, as_samples

from parcelle import foreign, mapping, training
from parcelle.errors import InputError

NEAREST = '''
import numpy as np


class Nearest:
    """The class of the nearest mean."""

    def fit(self, features, labels, *, seed, threads):
        self.classes = np.unique(labels)
        self.means = np.stack([features[labels == code].mean(axis=0) for code in self.classes])
        {fit}
        return self

    def probabilities(self, features):
        {begin}
        distances = np.stack([np.abs(features - mean).sum(axis=1) for mean in self.means], axis=1)
        made = np.exp(-distances.astype(float))
        made /= made.sum(axis=1, keepdims=True)
        {give}
        return made

    def save(self, folder):
        np.savez(folder / "means.npz", means=self.means, classes=self.classes)
        {save}
        return ["means.npz"]

    @classmethod
    def load(cls, folder):
        model = cls()
        with np.load(folder / "means.npz") as arrays:
            model.means, model.classes = arrays["means"], arrays["classes"]
        {load}
        return model
'''
LINES = dict.fromkeys(("fit", "begin", "give", "save", "load"), "")
VALUES = TABLE[FEATURES].to_numpy()


@pytest.fixture
def own(tmp_path):
    """Writes the class with some lines in the places of that name; gives what the settings say of it."""

    def write(name="own", **lines):
        path = tmp_path / f"{name}.py"
        path.write_text(NEAREST.format(**LINES | lines))
        return {"name": f"{path}:Nearest", "arguments": {}}

    return write


def train(settings, sides=None):
    return training.train(as_samples(TABLE), sides, "alps", "3", settings, None, 1)[0]


def test_a_class_that_keeps_what_it_promises_is_trained_saved_and_read(own, tmp_path):
    model = train(own(), SPLIT)
    path = tmp_path / "model/model.json"
    training.save(model, str(path))
    read = training.load(str(path), FEATURES).classifier
    assert read.classes.tolist() == model.description["classes"] == [3, 5, 12]
    assert np.array_equal(read.probabilities(VALUES), model.classifier.probabilities(VALUES))
    assert (read.classes[read.probabilities(VALUES).argmax(axis=1)] == TABLE.code).mean() > 0.9
    names = ["means.npz", "means.npz.sha256", "model.json", "model.json.sha256"]
    assert sorted(p.name for p in path.parent.iterdir()) == names


NUMBERS = [
    ("made[:] = np.nan", "gives nan, where probabilities are expected, from 0 to 1"),
    ("made[-1, 1] = np.inf", "gives inf, where probabilities are expected"),
    ("made = made * 1000", r"gives [0-9.]+, where probabilities are expected"),
    ("made[:, 0] -= 1; made[:, 1] += 1", r"gives -[0-9.]+, where probabilities are expected"),
    ("made = made / 2", r"gives probabilities of a pixel that add up to 0\.5: divide each row by its sum"),
    ("made = np.ones((len(made), 1))", r"gives an array of shape \(\d+, 1\), where \(pixel, class\) is \(\d+, 3\)"),
    ("made = made[1:]", r"gives an array of shape \(\d+, 3\), where \(pixel, class\) is"),
    ("made = np.hstack([made, 0 * made])", r"gives an array of shape \(\d+, 6\), where"),
    ("made = made.ravel()", r"gives an array of shape \(\d+,\), where"),
    ("made = None", "gives nothing, where an array of numbers is expected"),
    ("made = made.tolist()", "gives a list, where an array"),
    ("made = made.astype(str)", "gives an array of <U32, where an array"),
    ("made = np.ma.masked_less(made, 0.1)", "gives a MaskedArray, where an array"),
    ("raise KeyError('no GPU')", r"fails \(KeyError: 'no GPU'\)"),
]


@pytest.mark.parametrize(("line", "message"), NUMBERS)
def test_what_are_no_probabilities_is_refused_while_training(own, line, message):
    with pytest.raises(InputError, match=rf"own\.py:Nearest\.probabilities {message}"):
        train(own(give=line))


@pytest.mark.parametrize(("line", "message"), NUMBERS)
def test_what_are_no_probabilities_is_refused_while_mapping(own, tmp_path, line, message):
    """Such as where the model is good, and its file is another one on the machine that maps."""
    path = tmp_path / "model.json"
    training.save(train(own()), str(path))
    own(give=line)
    foreign._of_file.cache_clear()
    read = training.load(str(path), FEATURES)
    with pytest.raises(InputError, match=rf"own\.py:Nearest\.probabilities {message}"):
        read.classifier.probabilities(VALUES)


@pytest.mark.parametrize(
    "line", ["made = made.astype(np.float32)", "made = made.astype(np.float16)", "made = made == made.max(1)[:, None]"]
)
def test_probabilities_of_any_type_of_numbers_are_taken(own, line):
    found = train(own(give=line)).classifier.probabilities(VALUES)
    assert found.dtype == np.float64 and np.allclose(found.sum(axis=1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("self.classes = self.classes.astype(float)", r"\[3\.0, 5\.0, 12\.0\]"),
        ("self.classes = np.array([3, 5, 5])", r"\[3, 5, 5\]"),
        ("self.classes = np.arange(3)", r"\[0, 1, 2\]"),
        ("self.classes = self.classes[::-1]", r"\[12, 5, 3\]"),
        ("self.classes = self.classes[:0]", r"\[\]"),
        ("self.classes = self.classes[:, None]", r"\[\[3\], \[5\], \[12\]\]"),
        ("self.classes = None", "None"),
        ("self.classes = np.arange(1000)", r"\[0, 1, 2, .{60,70}…"),
    ],
)
def test_classes_that_are_not_those_of_the_labels(own, line, found):
    message = rf"own\.py:Nearest\.classes is {found} after `fit`, where codes of its labels are expected, as whole num"
    with pytest.raises(InputError, match=message):
        train(own(fit=line))


def test_a_class_without_classes(own):
    message = r"own\.py:Nearest\.classes cannot be read after `fit` \(AttributeError: .*'classes'\)$"
    with pytest.raises(InputError, match=message):
        train(own(fit="del self.classes"))


def test_some_classes_of_the_labels_are_enough(own):
    model = train(own(fit="self.classes, self.means = self.classes[1:], self.means[1:]"))
    assert model.description["classes"] == [5, 12]


@pytest.mark.parametrize("line", ["raise ValueError('no  memory')", "import sys; sys.exit('no memory')"])
def test_a_fit_that_fails_is_named_and_its_trace_kept(own, line):
    with pytest.raises(
        InputError, match=r"own\.py:Nearest\.fit fails \((ValueError|SystemExit): no memory\)$"
    ) as found:
        train(own(fit=line))
    assert type(found.value.__cause__) in (ValueError, SystemExit)


def test_a_sentence_of_the_class_itself_is_passed_on(own):
    line = "from parcelle.errors import InputError; raise InputError('feature 2 of sample 1 is nan')"
    with pytest.raises(InputError, match=r"^feature 2 of sample 1 is nan$"):
        train(own(fit=line))


@pytest.mark.parametrize(
    ("lines", "method"), [({"fit": "features -= 1"}, "fit"), ({"begin": "features *= 0"}, "probabilities")]
)
def test_features_must_not_be_changed_other_models_get_them_too(own, lines, method):
    with pytest.raises(
        InputError, match=rf"own\.py:Nearest\.{method} changes the features it is given: let it work on"
    ):
        train(own(**lines))


@pytest.mark.parametrize(
    "line",
    [
        "features = features - features.mean(axis=0)",
        "features = features.ravel(order='K').reshape(features.shape)",
    ],
    ids=["neighbours", "layout"],
)
def test_a_pixel_must_depend_on_nothing_but_itself(own, line):
    with pytest.raises(
        InputError, match=r"own\.py:Nearest\.probabilities gives for the same samples what differs by 0\."
    ):
        train(own(begin=line))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            {"load": "model.means = model.means + 1"},
            r"load gives another model than was saved: .* differ by up to [01]",
        ),
        ({"load": "model = None"}, r"load gives nothing, where a trained Nearest is expected"),
        ({"load": "model.classes = model.classes[:2]"}, r"load gives a model of the classes \[3, 5\], where it learnt"),
        ({"load": "raise OSError('gone')"}, r"load fails \(OSError: gone\)"),
        ({"save": "return []"}, "save named no file: let it give the names of the files that it wrote"),
        ({"save": "return None"}, "save gives nothing, where a list of the names of its files is expected"),
        ({"save": "return 'means.npz'"}, "save gives a str, where a list of the names"),
        ({"save": "return [folder / 'means.npz']"}, "save gives a PosixPath in its list, where a list of the names"),
        ({"save": "return ['other.npz']"}, "save names a file 'other.npz', but has written none of that name into its"),
        ({"save": "return ['../means.npz']"}, r"save names a file '\.\./means\.npz': write it right into the folder"),
        ({"save": "return ['model.json']"}, r"save names a file 'model\.json': write it .*, under another name"),
        ({"save": "np.save(folder / 'a.npy', 1); return ['a.npy']"}, r"load fails \(FileNotFoundError: .*means\.npz"),
        ({"save": "raise OSError('disk full')"}, r"save fails \(OSError: disk full\)"),
    ],
)
def test_what_is_saved_must_be_what_is_read(own, tmp_path, lines, message):
    path = tmp_path / "model/model.json"
    with pytest.raises(InputError, match=rf"own\.py:Nearest\.{message}"):
        training.save(train(own(**lines)), str(path))
    assert not path.exists()


def test_weights_of_an_earlier_class_are_removed_and_files_of_the_user_are_not(own, tmp_path):
    folder = tmp_path / "model"
    training.save(
        train(own(save="np.save(folder / 'first.npy', 1); return ['means.npz', 'first.npy']")), f"{folder}/model.json"
    )
    assert (folder / "first.npy").is_file()
    (folder / "notes.txt").write_text("mine")
    (folder / "validation.parquet").write_text("")
    (folder / "validation.parquet.sha256").write_text("")
    # It does not save what it reads: the file of the class before would be read.
    forgets = own("second", save="(folder / 'means.npz').rename(folder / 'other.npz'); return ['other.npz']")
    with pytest.raises(InputError, match=r"second\.py:Nearest\.load fails \(FileNotFoundError: .*means\.npz"):
        training.save(train(forgets), f"{folder}/model.json")
    training.save(train(own("third")), f"{folder}/model.json")
    left = {"means.npz", "model.json", "validation.parquet"}
    assert {p.name for p in folder.iterdir()} == left | {f"{name}.sha256" for name in left} | {"notes.txt"}


def test_nothing_is_mapped_by_what_goes_wrong_on_some_pixels_only(own):
    """A value that no sample has makes NaN of one pixel among many."""
    model = train(own(give="made[features[:, 0] == 99] = np.nan"))
    options, planes = mapping.Options((3, 5, 12), ("class",), 1), VALUES.T.copy()
    products = {"class": np.zeros((1, len(VALUES)), np.uint8)}
    region = np.zeros(len(VALUES), np.int16)
    mapping.predict(planes, region, [[model]], options, products)
    expected = model.classifier.classes[model.classifier.probabilities(VALUES).argmax(axis=1)]
    assert np.array_equal(products["class"][0], expected)
    planes[0, 7] = 99
    with pytest.raises(InputError, match=r"own\.py:Nearest\.probabilities gives nan, where probabilities are expected"):
        mapping.predict(planes, region, [[model]], options, products)


def test_a_model_that_is_not_trained_is_not_saved(own, tmp_path):
    model = training.models.untrained(own())
    with pytest.raises(RuntimeError, match="not trained"):
        model._refuse_other_model(tmp_path)
