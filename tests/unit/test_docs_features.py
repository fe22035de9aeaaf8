"""The example of the documentation does what is said of it."""

import re
from pathlib import Path

import numpy as np
import scipy.ndimage
import yaml
from unit import functions_for_tests as functions
from unit import tiny

from parcelle import features

PAGE = (Path(__file__).parents[2] / "docs/how-to/add-features.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_gives_its_features(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    functions.write(tmp_path, blocks("python")[0])
    external = yaml.safe_load(blocks("yaml")[0])["external"]
    made = functions.sources(tiny.recipes(), **external)
    assert features.names(made)[-2:] == ["texture.contrast", "texture.greenest"]
    scene = tiny.scene(tmp_path / "images", block=16)
    found, enough = functions.assert_independent(scene.inventory, made, tmp_path, (16, 48))
    year = found[:, :, 1:9:3].astype(float).mean(axis=2)
    contrast = scipy.ndimage.maximum_filter(year, 7) - scipy.ndimage.minimum_filter(year, 7)
    assert np.allclose(found[enough][:, -2], contrast[enough], rtol=1e-6)
    assert np.array_equal(found[enough][:, -1], found[:, :, 9:12].argmax(axis=2)[enough])
