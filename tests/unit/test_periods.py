"""Months and dekads, and the settings of time that do not go together."""

import datetime

import numpy as np
import pytest

from parcelle import features
from parcelle.errors import SettingsError
from parcelle.features import Recipe
from parcelle.periods import Composite, Filling, grouped, middle, middles
from parcelle.sensors.theia import Sentinel2L2A
from parcelle.settings import Sensor, read

DAY = datetime.date.fromisoformat


class Still(Sentinel2L2A):
    """A format with one image of a tile."""

    static = True


def settings(sensor, start="2018-01-01", end="2018-12-31", step=10):
    return read(
        {
            "tiles": ["31TCJ"],
            "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "images", **sensor}},
            "period": {"start": DAY(start), "end": DAY(end), "step": step},
            "reference": {"path": "reference.gpkg", "field": "code"},
            "nomenclature": "nomenclature.csv",
        }
    )


def recipe(sensor, *period):
    return features.recipes(settings(sensor, *period))[0]


@pytest.mark.parametrize(
    ("day", "month", "dekad"),
    [
        ("2018-01-01", "2018-01-16", "2018-01-05"),
        ("2018-01-10", "2018-01-16", "2018-01-05"),
        ("2018-01-11", "2018-01-16", "2018-01-15"),
        ("2018-01-31", "2018-01-16", "2018-01-26"),
        ("2018-04-30", "2018-04-15", "2018-04-25"),
        ("2018-02-28", "2018-02-14", "2018-02-24"),
        ("2020-02-21", "2020-02-15", "2020-02-25"),
    ],
)
def test_middles_of_months_and_dekads(day, month, dekad):
    assert (middle(DAY(day), "month"), middle(DAY(day), "dekad")) == (DAY(month), DAY(dekad))


def test_middles_lie_in_the_period():
    found = middles(DAY("2018-11-16"), DAY("2019-02-14"), "month")
    assert list(map(str, found)) == ["2018-12-16", "2019-01-16", "2019-02-14"]
    found = middles(DAY("2018-11-15"), DAY("2018-12-05"), "dekad")
    assert list(map(str, found)) == ["2018-11-15", "2018-11-25", "2018-12-05"]
    assert len(middles(DAY("2018-01-01"), DAY("2018-12-31"), "dekad")) == 36


def test_days_are_divided_among_months():
    days = np.array([DAY(d).toordinal() for d in ("2017-12-31", "2018-02-01", "2018-02-28", "2018-03-01")])
    first, found = grouped(days, "month")
    assert first.tolist() == [0, 1, 3, 4]
    assert [str(datetime.date.fromordinal(d)) for d in found] == ["2017-12-16", "2018-02-14", "2018-03-16"]


def test_the_default_is_linear():
    made = recipe({})
    assert (made.filling, made.composite, len(made.dates)) == (Filling(), None, 37)


@pytest.mark.parametrize(
    ("sensor", "filling"),
    [
        ({"gapfill": "none"}, Filling("none", within=5.0)),
        ({"gapfill": "none", "step": 15}, Filling("none", within=7.5)),
        ({"gapfill": "none", "composite": {"by": "month"}}, Filling("none", within=0.0)),
        ({"gapfill": "whittaker"}, Filling("whittaker", smoothing=1.0)),
        ({"gapfill": "whittaker", "smoothing": 7.5}, Filling("whittaker", smoothing=7.5)),
        ({"gapfill": "savgol"}, Filling("savgol", window=5, order=2)),
        ({"gapfill": "savgol", "smoothing_window": 9, "smoothing_order": 3}, Filling("savgol", window=9, order=3)),
    ],
)
def test_a_recipe_holds_what_its_method_needs_and_no_more(sensor, filling):
    made = recipe(sensor)
    assert made.filling == filling
    assert Recipe.from_dict(made.to_dict()) == made


def test_the_regular_dates_of_composites_are_middles():
    made = recipe({"composite": {"method": "medoid"}}, "2018-03-20", "2018-06-15")
    assert made.composite == Composite("month", "medoid")
    assert made.dates == ("2018-04-15", "2018-05-16", "2018-06-15")
    assert made.names[-1] == "s2.brightness.20180615"
    assert Recipe.from_dict(made.to_dict()) == made
    assert made.to_dict()["composite"] == {"by": "month", "method": "medoid"}


def refused(sensor, *period):
    with pytest.raises(SettingsError) as error:
        recipe(sensor, *period)
    return str(error.value).removeprefix("Wrong settings:\n  ")


@pytest.mark.parametrize(
    ("sensor", "sentence"),
    [
        (
            {"smoothing": 3.0},
            "sensors.s2.smoothing: found 3.0 where `gapfill` is 'linear'; set `gapfill: whittaker` or remove it",
        ),
        (
            {"gapfill": "whittaker", "smoothing_window": 5},
            "sensors.s2.smoothing_window: found 5 where `gapfill` is 'whittaker'; set `gapfill: savgol` or remove it",
        ),
        ({"gapfill": "savgol", "smoothing_window": 6}, "sensors.s2.smoothing_window: found 6; allowed: an odd number"),
        (
            {"gapfill": "savgol", "smoothing_order": 5},
            "sensors.s2.smoothing_order: found 5; allowed: less than the window of 5 dates",
        ),
        (
            {"composite": {}, "step": 5},
            "sensors.s2.step: found 5 beside `composite`, which has dates of its own: remove it",
        ),
        (
            {"composite": {"by": "week"}},
            "sensors.s2.composite.by: found 'week'; allowed: 'month' or 'dekad'",
        ),
        (
            {"composite": "median"},
            "sensors.s2.composite: found 'median'; allowed: a group of settings (by, method)",
        ),
    ],
)
def test_settings_that_do_not_go_together(sensor, sentence):
    assert refused(sensor) == sentence


def test_a_period_without_the_middle_of_a_month():
    expected = "sensors.s2.composite: the middle of no month lies in the period; make it longer"
    assert refused({"composite": {}}, "2018-03-20", "2018-04-10") == expected


def test_fewer_dates_than_a_window():
    expected = "sensors.s2.smoothing_window: found 5 where there are 3 regular dates; allowed: at most as many"
    assert refused({"gapfill": "savgol"}, "2018-03-01", "2018-03-25") == expected


@pytest.mark.parametrize(("more", "name"), [({"gapfill": "none"}, "gapfill"), ({"composite": {}}, "composite")])
def test_an_image_without_a_date_has_no_series(more, name):
    with pytest.raises(SettingsError, match=f"{name}: an image without a date has no gaps and no months: remove it"):
        features.check(Sensor(format="sentinel2-theia-l2a", path="images", **more), Still())
