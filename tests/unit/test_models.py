import os

import numpy as np
import pytest

from parcelle import models
from parcelle.errors import SettingsError
from parcelle.models.forest import ExtraTrees, Forest
from parcelle.settings import Forest as Options


class Constant:
    """A classifier of somebody else."""

    def __init__(self, code=1):
        self.classes = np.array([code])


def test_a_model_is_found_by_its_name():
    assert models.find("forest") is Forest
    assert models.find("extra-trees") is ExtraTrees


def test_a_model_from_elsewhere():
    import sys

    sys.modules["their_models"] = type(sys)("their_models")
    sys.modules["their_models"].Constant = Constant
    try:
        assert models.build({"name": "their_models:Constant", "arguments": {"code": 7}}).classes.tolist() == [7]
    finally:
        del sys.modules["their_models"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svm", r"^no model 'svm'; choose from forest, extra-trees, or 'module:Class'$"),
        ("nowhere:Model", r"^nowhere:Model cannot be imported \(ModuleNotFoundError: No module named 'nowhere'\)$"),
        ("parcelle.models.forest:Tree2", r"^parcelle.models.forest:Tree2 cannot be imported \(AttributeError: .*Tree2"),
    ],
)
def test_a_model_that_is_not_there(name, message):
    with pytest.raises(SettingsError, match=message):
        models.find(name)


@pytest.mark.parametrize(("name", "made"), [("forest", Forest), ("extra-trees", ExtraTrees)])
def test_a_model_is_built_from_its_settings(name, made):
    settings = Options.model_validate({"name": name, "trees": 7, "depth": 3, "min_samples": 4, "features": 2})
    forest = models.build(settings.model_dump())
    assert type(forest) is made
    asked = forest._options
    names = ("n_estimators", "max_depth", "min_samples_split", "max_features")
    assert [asked[name] for name in names] == [7, 3, 4, 2]


def test_defaults_of_the_settings_are_those_of_the_model():
    for name in ("forest", "extra-trees"):
        settings = Options.model_validate({"name": name}).model_dump()
        assert models.build(settings)._options == models.find(name)()._options


def test_every_known_name_can_be_imported_and_chosen():
    for name in models.MODELS:
        assert callable(models.find(name).load)
        assert Options.model_validate({"name": name}).name == name


OWN = """
import os

import numpy as np


class Nearest:
    gpu = True

    def __init__(self, power=1):
        self.power = power

    def fit(self, features, labels, *, seed, threads): ...
    def probabilities(self, features): ...
    def save(self, folder): ...
    @classmethod
    def load(cls, folder): ...


class Half:
    def fit(self, features, labels, *, seed, threads): ...


def function(): ...
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return path


def test_a_class_of_ones_own_depends_on_its_file_and_arguments_and_not_on_its_memory(own, tmp_path):
    def described(path=own, **changes):
        return models.described({"name": f"{path}:Nearest", "arguments": {}, "memory_mb": 1000} | changes)

    assert described() == described(memory_mb=5)
    assert described()["arguments"] == {} != described(arguments={"power": 2})["arguments"]
    other = tmp_path / "other.py"
    other.write_text(OWN + "\n")
    assert described()["digest"] != described(other)["digest"]
    assert models.build(described(arguments={"power": 2})).power == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Half", "own.py:Half is no classifier: it has no method `probabilities`"),
        ("function", "own.py:function is no Python class, but a function"),
        ("Missing", r"own.py:Missing cannot be imported \(AttributeError"),
    ],
)
def test_what_is_no_classifier_is_refused(own, name, message):
    with pytest.raises(SettingsError, match=message):
        models.described({"name": f"{own}:{name}", "arguments": {}, "memory_mb": 1})


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("Nearest", {"depth": 2}, "got an unexpected keyword argument 'depth'"),
        ("Needs", {}, "missing a required argument: 'power'"),
    ],
)
def test_arguments_that_a_class_does_not_take_are_refused_before_any_job(own, name, arguments, why):
    own.write_text(f"{OWN}\n\nclass Needs(Nearest):\n    def __init__(self, power): ...\n")
    message = rf"^model.arguments: .*own.py:{name} does not take them \(TypeError: {why}\)$"
    with pytest.raises(SettingsError, match=message):
        models.described({"name": f"{own}:{name}", "arguments": arguments, "memory_mb": 1})


def test_values_that_a_class_does_not_take_are_refused_when_it_is_built(own):
    own.write_text(OWN.replace("self.power = power", "self.power = 1 / power"))
    described = models.described({"name": f"{own}:Nearest", "arguments": {"power": 0}, "memory_mb": 1})
    with pytest.raises(SettingsError, match=r"model.arguments: .*own.py:Nearest does not take them \(ZeroDivision"):
        models.build(described)


def test_only_a_class_that_says_so_uses_a_gpu_and_only_where_it_got_one(own, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert models.uses_gpu(f"{own}:Nearest") and not models.uses_gpu(f"{own}:Half") and not models.uses_gpu("forest")
    models.limit_gpus(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    models.limit_gpus(0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


@pytest.mark.parametrize("says", ["'no'", "1", "None"])
def test_whether_a_class_uses_a_gpu_is_true_or_false(own, says):
    own.write_text(OWN.replace("gpu = True", f"gpu = {says}"))
    with pytest.raises(
        SettingsError, match=rf"^model.name: .*own.py:Nearest says gpu = {says}; allowed: True or False$"
    ):
        models.uses_gpu(f"{own}:Nearest")


@pytest.mark.parametrize("neighbour", ["near.py", "near/parts.py"])
def test_a_class_that_imports_its_neighbour_is_told_what_to_do(own, neighbour):
    own.write_text(f"from {neighbour.removesuffix('.py').replace('/', '.')} import means\n" + OWN)
    lacks = r"own.py:Nearest cannot be imported \(ModuleNotFoundError: No module named 'near'\)"
    with pytest.raises(SettingsError, match=f"{lacks}$"):
        models.find(f"{own}:Nearest")
    path = own.parent / neighbour
    path.parent.mkdir(exist_ok=True)
    path.write_text("means = 1")
    with pytest.raises(
        SettingsError, match=f"{lacks}: near lies beside it, .*; put both into one file, or install them"
    ):
        models.find(f"{own}:Nearest")
