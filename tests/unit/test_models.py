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
        assert models.build({"name": "their_models:Constant", "code": 7}).classes.tolist() == [7]
    finally:
        del sys.modules["their_models"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("svm", r"^no model 'svm'; choose from forest, extra-trees, or 'module:Class'$"),
        ("nowhere:Model", r"^model 'nowhere:Model' cannot be imported: No module named 'nowhere'$"),
        ("parcelle.models.forest:Tree2", r"^model 'parcelle.models.forest:Tree2' cannot be imported: .*Tree2"),
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
