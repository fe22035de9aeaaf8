"""The example of the page `Add a sensor`, run as it stands there."""

import datetime
import re
import sys

import country
import numpy as np
import pytest
import yaml
from unit.rasters_for_tests import TILE, noise, read_series, save

from parcelle import inventory, listing
from parcelle.errors import InputError
from parcelle.settings import Sensor

PAGE = country.ROOT / "docs/how-to/add-a-sensor.md"
DAYS = datetime.date(2018, 1, 1), datetime.date(2018, 12, 31)


def block(language):
    """The only block of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    return found


@pytest.fixture
def sensor(tmp_path, monkeypatch):
    """The page's sensor, with the page's settings, in a folder of its own."""
    (tmp_path / "code/mypackage").mkdir(parents=True)
    (tmp_path / "code/mypackage/mysensor.py").write_text(block("python"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "code")
    monkeypatch.chdir(tmp_path)
    yield Sensor.model_validate(yaml.safe_load(block("yaml"))["sensors"]["s2"])
    for name in ("mypackage", "mypackage.mysensor"):
        sys.modules.pop(name, None)


def taken(sensor, on_bad="fail"):
    bands = ["b2", "b3", "b4", "b8"]
    return inventory.take({"s2": sensor}, "31TCJ", TILE, *DAYS, on_bad, {"s2": bands})


def test_the_example_reads_what_it_says(sensor, tmp_path):
    folder, pixels, masks = tmp_path / "exported/31TCJ", [], []
    for i, name in enumerate(("20180702", "20180712")):
        pixels.append(noise(bands=4, seed=i))
        pixels[-1][:, :2] = -10000
        masks.append(noise(low=0, high=3, dtype="uint8", seed=i)[0])
        save(folder / f"{name}.tif", pixels[-1], nodata=-10000)
        save(folder / f"{name}_mask.tif", masks[-1])
    found = taken(sensor)
    assert [(a.id, str(a.date)) for a in found.acquisitions] == [
        ("31TCJ-20180702", "2018-07-02"), ("31TCJ-20180712", "2018-07-12")
    ]  # fmt: skip
    read = read_series(found.acquisitions, ("b2", "b3", "b4", "b8"))
    for i, valid in enumerate(read.valid):
        expected = masks[i] == 0
        expected[:2] = False
        np.testing.assert_array_equal(valid, expected)
        np.testing.assert_array_equal(read.values[i][:, valid], pixels[i][:, valid])


def test_the_example_names_what_is_wrong(sensor, tmp_path):
    save(tmp_path / "exported/31TCJ/2018-7-2.tif", noise(bands=4))
    with pytest.raises(InputError, match=r"2018-7-2\.tif: its name is not YYYYMMDD\.tif"):
        taken(sensor)


def test_what_it_lists_is_watched(sensor, tmp_path):
    save(tmp_path / "exported/31TCJ/20180702.tif", noise(bands=4))
    save(tmp_path / "exported/31TCJ/20180702_mask.tif", noise(dtype="uint8", high=2))
    assert listing.products({"s2": sensor}, "31TCJ") == ["exported/31TCJ/20180702.tif"]
    assert listing.watched({"s2": sensor}, "31TCJ") == [
        "exported/31TCJ/20180702.tif", "exported/31TCJ/20180702_mask.tif"
    ]  # fmt: skip


def test_the_example_is_short():
    assert len(block("python").splitlines()) <= 40
