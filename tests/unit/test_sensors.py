"""Formats by name, and what every sensor is made of."""

import datetime
import sys
from pathlib import Path

import pytest
from unit.rasters_for_tests import acquired

from parcelle import sensors
from parcelle.errors import InputError, SettingsError
from parcelle.sensors import Acquisition, Band, Problem
from parcelle.sensors.stac import COLLECTIONS, Stac
from parcelle.sensors.theia import Sentinel2L2A
from parcelle.settings import Sensor


class Mine:
    """A sensor from elsewhere."""

    bands = (Band("height", "height", 10, "other"),)
    optical = False
    static = True

    def products(self, path, tile):
        return []

    def find(self, path, tile, sensor):
        return [], []


class Half:
    """Not quite a sensor."""

    bands = ()

    def find(self, path, tile, sensor):
        return [], []


def described(format, collection=None):
    return Sensor.model_construct(format=format, collection=collection)


def test_formats_have_names():
    assert sensors.find("sentinel2-theia-l2a") is Sentinel2L2A
    assert sensors.find("stac") is Stac
    assert isinstance(sensors.of(described("sentinel2-theia-l2a")), Sentinel2L2A)


def test_a_sensor_of_ones_own_is_found_by_module_and_class():
    assert sensors.find(f"{__name__}:Mine") is Mine
    made = sensors.of(described(f"{__name__}:Mine"))
    assert (made.bands, made.optical, made.static) == (Mine.bands, False, True)
    assert (made.products("p", "31TCJ"), made.find("p", "31TCJ", "dem")) == ([], ([], []))
    assert not hasattr(made, "date_of") and getattr(made, "tiled", True)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("landsat", f"no format 'landsat'; choose from {', '.join(sensors.FORMATS)}, or 'module:Class'"),
        ("", "no format ''; choose from"),
        (
            "no_such_module:Class",
            "format 'no_such_module:Class' cannot be imported (ModuleNotFoundError: No module named",
        ),
        ("json:Nothing", "format 'json:Nothing' cannot be imported (AttributeError: module 'json' has no attribute"),
        ("json:", "format 'json:' cannot be imported"),
        (":Class", "format ':Class' cannot be imported (ValueError: Empty module name)"),
        (".mine:Class", "format '.mine:Class' cannot be imported"),
        ("os:path", "format 'os:path' is not a class"),
    ],
)
def test_what_is_no_format_is_refused(name, sentence):
    with pytest.raises(SettingsError) as error:
        sensors.find(name)
    assert str(error.value).startswith(sentence)


def test_a_class_that_is_no_sensor_is_refused():
    with pytest.raises(SettingsError, match=r"Half' is not a sensor: it has no optical, products"):
        sensors.of(described(f"{__name__}:Half"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module with a format `Mine`, of which some lines are other; gives its name in the settings."""
    monkeypatch.syspath_prepend(tmp_path)

    def written(before="", **lines):
        parts = {
            "bands": "bands = (Band('b4', 'red', 10),)",
            "init": "def __init__(self): pass",
            "products": "def products(self, path, tile): return []",
            "find": "def find(self, path, tile, sensor): return [], []",
        }
        text = "from parcelle.errors import InputError, SettingsError\nfrom parcelle.sensors.base import Band\n"
        text += f"{before}\nclass Mine:\n    optical = True\n" + "".join(f"    {p}\n" for p in (parts | lines).values())
        (tmp_path / "format_of_mine.py").write_text(text)
        return "format_of_mine:Mine"

    yield written
    sys.modules.pop("format_of_mine", None)


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ("def", "SyntaxError: "),
        ("nothing", "NameError: name 'nothing' is not defined"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyError('a\\nb')", "KeyError: 'a"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E()", "E)"),
        ("raise RuntimeError('one\\ntwo')", "RuntimeError: one two)"),
    ],
)
def test_a_module_that_fails_is_told_in_one_sentence(own, before, why):
    with pytest.raises(SettingsError) as error:
        sensors.of(described(own(before)))
    assert str(error.value).startswith(f"format 'format_of_mine:Mine' cannot be imported ({why}")
    assert "\n" not in str(error.value)


NO_BANDS = "is not a sensor: its `bands` are {}, where a tuple of one Band or more is expected"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"init": "def __init__(self, x): pass"}, "cannot be set up (TypeError: Mine.__init__() missing 1 required"),
        ({"init": "def __init__(self): raise SystemExit(0)"}, "cannot be set up (SystemExit: 0)"),
        ({"bands": "bands = property(lambda self: 1 / 0)"}, "cannot be set up (ZeroDivisionError: division by zero)"),
        ({"bands": "bands = ()"}, NO_BANDS.format("()")),
        ({"bands": "bands = None"}, NO_BANDS.format("None")),
        ({"bands": "bands = ('b4', 'b8')"}, NO_BANDS.format("('b4', 'b8')")),
        ({"bands": "bands = [Band('b4', 'red', 10), 'b8']"}, "is not a sensor: its `bands` are [Band(name='b4"),
    ],
)
def test_a_format_that_cannot_be_set_up_is_refused(own, lines, message):
    with pytest.raises(SettingsError) as error:
        sensors.of(described(own(**lines)))
    assert str(error.value).startswith(f"format 'format_of_mine:Mine' {message}")


PAIR = "where a list of Acquisition and a list of Problem are expected"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"find": "def find(self, *a): return 1 / 0"}, "fails in `find` (ZeroDivisionError: division by zero)"),
        ({"find": "def find(self, *a): raise SystemExit(0)"}, "fails in `find` (SystemExit: 0)"),
        ({"find": "def find(self, path): return [], []"}, "fails in `find` (TypeError: Mine.find() takes 2 positional"),
        ({"find": "def find(self, *a): pass"}, f"gives None in `find`, {PAIR}"),
        ({"find": "def find(self, *a): return []"}, f"gives [] in `find`, {PAIR}"),
        ({"find": "def find(self, *a): return ['a.tif'], []"}, f"gives (['a.tif'], []) in `find`, {PAIR}"),
        ({"find": "def find(self, *a): return [], ['bad']"}, f"gives ([], ['bad']) in `find`, {PAIR}"),
        ({"products": "def products(self, *a): return 1 / 0"}, "fails in `products` (ZeroDivisionError: division"),
        ({"products": "def products(self, *a): pass"}, "gives None in `products`, where a list of paths is expected"),
        ({"products": "def products(self, *a): return [3]"}, "gives [3] in `products`, where a list of paths is"),
        ({"products": "def products(self, *a): return 'a'"}, "gives 'a' in `products`, where a list of paths is"),
        ({"date": "def date_of(self, path): raise OSError('no')"}, "fails in `date_of` (OSError: no)"),
    ],
)
def test_what_a_format_does_wrong_later_is_told_in_one_sentence(own, lines, message):
    made = sensors.of(described(own(**lines)))
    with pytest.raises(InputError) as error:
        made.products("p", "31TCJ")
        made.find("p", "31TCJ", "s2")
        made.date_of(Path("p"))
    assert str(error.value).startswith(f"format 'format_of_mine:Mine' {message}")


def test_what_a_format_says_itself_passes_unchanged(own):
    with pytest.raises(SettingsError, match=r"^write it so$"):
        sensors.of(described(own(init="def __init__(self): raise SettingsError('write it so')")))
    sys.modules.pop("format_of_mine")
    made = sensors.of(described(own(find="def find(self, *a): raise InputError('the folder is closed')  # other")))
    with pytest.raises(InputError, match=r"^the folder is closed$"):
        made.find("p", "31TCJ", "s2")


def test_collections_are_for_formats_that_have_some():
    assert sensors.of(described("stac", "sentinel-1-grd")).collection == "sentinel-1-grd"
    with pytest.raises(SettingsError, match="'sentinel2-theia-l2a' takes no `collection`: remove it"):
        sensors.of(described("sentinel2-theia-l2a", "sentinel-1-grd"))
    with pytest.raises(SettingsError, match=f"`stac` needs `collection`: one of {', '.join(COLLECTIONS)}"):
        sensors.of(described("stac"))
    with pytest.raises(SettingsError, match=f"no collection 'modis'; choose from {', '.join(COLLECTIONS)}"):
        sensors.of(described("stac", "modis"))


@pytest.mark.parametrize("format", [Sentinel2L2A(), *(Stac(name) for name in COLLECTIONS)])
def test_bands_have_names_that_settings_can_ask_for(format):
    names = [band.name for band in format.bands]
    assert names == [name.lower() for name in names]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)  # so that expressions can use them
    assert all(band.gsd > 0 for band in format.bands)


def test_the_day_of_an_acquisition_is_that_of_its_time():
    assert acquired(31, {}, hour=23).date == datetime.date(2018, 3, 31)
    assert acquired(1, {}, hour=0).date == datetime.date(2018, 3, 1)


def test_values_of_acquisitions_make_them_equal():
    assert acquired(3, {}) == acquired(3, {})
    assert acquired(3, {}) != acquired(4, {})
    assert isinstance(acquired(3, {}), Acquisition)


def test_a_problem_is_a_clause():
    assert str(Problem("SENTINEL2A_X", "it has no masks")) == "SENTINEL2A_X: it has no masks"
