import os
import re

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, acquired, noise, save

from parcelle import cube, scratch
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError, SettingsError
from parcelle.features import Recipe
from parcelle.sensors import Asset, Mask

RECIPE = Recipe("s2", True, ("b4",), True, "bilinear", (), ("2018-03-01", "2018-03-11"))


def jpeg(path, pixels):
    """Write JPEG 2000 without loss."""
    plain = save(path.with_suffix(".tif"), pixels)
    with rasterio.open(plain) as image:
        rasterio.shutil.copy(image, path, driver="JP2OpenJPEG", quality="100", reversible="YES")
    (path.with_suffix(".tif")).unlink()
    return str(path)


@pytest.fixture
def inventory(tmp_path):
    """Two dates in JPEG 2000, with a mask in it, and one in GeoTIFF."""
    folder = tmp_path / "images"
    folder.mkdir()
    found = []
    for day in (1, 11):
        pixels = np.abs(noise(seed=day, dtype="int16")[0]).astype("uint16")
        flags = (noise(seed=50 + day)[0] < 2000).astype("uint8")
        assets = {"b4": Asset(jpeg(folder / f"{day}.jp2", pixels), 1, 1e-4)}
        found.append(acquired(day, assets, [Mask(jpeg(folder / f"m{day}.jp2", flags), 1, (1,))]))
    plain = save(folder / "21.tif", noise(seed=21, dtype="int16")[0])
    found.append(acquired(21, {"b4": Asset(plain, 1, 1e-4)}))
    return Inventory("31TCJ", TILE, tuple(found))


def features(inventory):
    found = cube.read(inventory, [RECIPE], Window(3, 2, 11, 9), 1)
    return found.features().tobytes(), found.validity.tobytes()


def test_copies_are_read_as_the_images_are(inventory, tmp_path):
    again = scratch.decoded(inventory, str(tmp_path / "scratch"), 2)
    copies = sorted(p.name for p in (tmp_path / "scratch/31TCJ").iterdir())
    assert len(copies) == 4 and all(name.endswith(".tif") for name in copies)
    assert again.acquisitions[2] == inventory.acquisitions[2]
    for asset in (again.acquisitions[0].assets["b4"], again.acquisitions[0].masks[0]):
        with rasterio.open(asset.path) as image:
            assert (image.driver, image.compression.name) == ("GTiff", "zstd")
    assert features(again) == features(inventory)


def test_copies_are_shared_until_they_are_forgotten(inventory, tmp_path):
    folder = str(tmp_path / "scratch")
    scratch.decoded(inventory, folder, 1)
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "scratch/31TCJ").iterdir()}
    scratch.decoded(inventory, folder, 1)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "scratch/31TCJ").iterdir()} == written
    scratch.forget(inventory, folder)
    assert list((tmp_path / "scratch").iterdir()) == []
    scratch.forget(inventory, folder)


def test_an_image_that_was_replaced_is_decoded_again(inventory, tmp_path):
    folder = str(tmp_path / "scratch")
    before = scratch.decoded(inventory, folder, 1)
    path = inventory.acquisitions[0].assets["b4"].path
    os.utime(path, (1, 1))
    after = scratch.decoded(inventory, folder, 1)
    assert after.acquisitions[0].assets["b4"] != before.acquisitions[0].assets["b4"]
    assert after.acquisitions[1] == before.acquisitions[1]


def test_without_a_folder_nothing_is_decoded(inventory, tmp_path):
    assert scratch.decoded(inventory, None, 1) is inventory
    scratch.forget(inventory, None)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_an_image_that_cannot_be_decoded_is_named_and_leaves_nothing(inventory, tmp_path):
    path = inventory.acquisitions[1].assets["b4"].path
    os.truncate(path, 300)
    with pytest.raises(InputError, match=r"11\.jp2 cannot be decoded into .*: repair the product, or make room"):
        scratch.decoded(inventory, str(tmp_path / "scratch"), 2)
    assert all(not p.name.startswith(".") for p in (tmp_path / "scratch/31TCJ").iterdir())


def test_no_room_is_said(inventory, tmp_path):
    (tmp_path / "scratch").write_text("a file, where a folder should be")
    with pytest.raises(InputError, match="make room there"):
        scratch.decoded(inventory, str(tmp_path / "scratch"), 1)


def test_the_scratch_of_a_node_is_the_folder_that_a_variable_of_the_job_names(tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THIS_JOB", str(tmp_path))
    assert scratch.of_node("OF_THIS_JOB") == scratch.of_node("$OF_THIS_JOB") == scratch.of_node(str(tmp_path))
    assert scratch.of_node("OF_THIS_JOB") == str(tmp_path)
    assert scratch.of_node(None) is scratch.of_node("") is None


@pytest.mark.parametrize("named", ["NEVER_SET", "$NEVER_SET", "$OF_THIS_JOB/missing", "relative/folder", 5])
def test_a_scratch_of_a_node_that_is_no_folder_is_refused(named, tmp_path, monkeypatch):
    monkeypatch.setenv("OF_THIS_JOB", str(tmp_path))
    with pytest.raises(SettingsError, match=rf"^node_scratch: {re.escape(str(named))}.* is no folder on .*: correct"):
        scratch.of_node(named)
