"""The classifier of docs/how-to/add-a-model.md works as the page says."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from parcelle import models, settings
from parcelle.errors import InputError

PAGE = (Path(__file__).parents[2] / "docs/how-to/add-a-model.md").read_text()
RANDOM = np.random.default_rng(0)
LABELS = np.repeat([2, 5, 9], 50)
FEATURES = (RANDOM.normal(0, 100, (150, 4)) + 3000 * (LABELS[:, None] == np.array([2, 5, 9, 0]))).astype(np.float32)


@pytest.fixture
def described(tmp_path, monkeypatch):
    """What the settings on the page describe, with the class on the page."""
    monkeypatch.chdir(tmp_path)
    Path("centroids.py").write_text(re.search(r"```python\n(\"\"\"Nearest.*?)```", PAGE, re.DOTALL)[1])
    written = yaml.safe_load(re.search(r"```yaml\n(model:.*?)```", PAGE, re.DOTALL)[1])
    least = yaml.safe_load(
        "{tiles: [a], sensors: {s2: {format: sentinel2-theia-l2a, path: a}}, nomenclature: a.csv,"
        " period: {start: 2018-01-01, end: 2018-12-31}, reference: {path: a.gpkg, field: code}}"
    )
    asked = settings.read(least | written).model
    assert asked.memory_mb == 200
    return models.described(asked.model_dump(mode="json"))


def test_the_class_of_the_page_tells_three_classes_apart_and_is_the_same_when_loaded(described, tmp_path):
    model = models.build(described).fit(FEATURES, LABELS, seed=1, threads=2)
    found = model.probabilities(FEATURES)
    assert model.temperature == 800
    assert np.array_equal(model.classes[found.argmax(axis=1)], LABELS)
    assert np.allclose(found.sum(axis=1), 1)
    model.save(tmp_path)
    loaded = models.find(described["name"]).load(tmp_path)
    assert np.array_equal(loaded.probabilities(np.asfortranarray(FEATURES)), found)


def test_the_class_of_the_page_refuses_what_is_not_defined(described):
    wrong = FEATURES.copy()
    wrong[3, 1] = np.nan
    with pytest.raises(InputError):
        models.build(described).fit(wrong, LABELS, seed=1, threads=1)


def test_the_class_of_the_page_keeps_what_the_page_says_is_checked(described, tmp_path):
    model = models.untrained(described).fit(FEATURES, LABELS, seed=1, threads=2)
    assert model.save(tmp_path) == ["centroids.npz"]
    loaded = models.load(described["name"], tmp_path, [2, 5, 9])
    assert np.array_equal(loaded.probabilities(FEATURES), model.probabilities(FEATURES))
