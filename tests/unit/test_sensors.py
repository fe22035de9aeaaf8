"""Formats by name, and what every sensor is made of."""

import datetime

import pytest
from unit.rasters_for_tests import acquired

from parcelle import sensors
from parcelle.errors import SettingsError
from parcelle.sensors import Acquisition, Problem
from parcelle.sensors.stac import COLLECTIONS, Stac
from parcelle.sensors.theia import Sentinel2L2A
from parcelle.settings import Sensor


class Mine:
    """A sensor from elsewhere."""

    bands = ()
    optical = False

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
    assert isinstance(sensors.of(described(f"{__name__}:Mine")), Mine)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("landsat", f"no format 'landsat'; choose from {', '.join(sensors.FORMATS)}, or 'module:Class'"),
        ("", "no format ''; choose from"),
        ("no_such_module:Class", "format 'no_such_module:Class' cannot be imported: No module named 'no_such_module'"),
        ("json:Nothing", "format 'json:Nothing' cannot be imported: module 'json' has no attribute 'Nothing'"),
        ("json:", "format 'json:' cannot be imported"),
        (":Class", "format ':Class' cannot be imported: Empty module name"),
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
