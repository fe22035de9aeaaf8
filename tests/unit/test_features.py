"""What a model sees: names, order, values; and what is refused."""

import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from parcelle import features, sensors
from parcelle.errors import SettingsError
from parcelle.features import Recipe
from parcelle.programs import Program
from parcelle.sensors import Band
from parcelle.settings import Sensor

THEIA = "sentinel2-theia-l2a"
BANDS = ("b2", "b3", "b4", "b5", "b6", "b7", "b8", "b8a", "b11", "b12")


def sensor(format=THEIA, collection=None, bands=None, indices=None, additional=(), resampling="bilinear"):
    return Sensor.model_construct(**locals(), path="/data")


def period(start, end, step=10):
    return SimpleNamespace(start=datetime.date.fromisoformat(start), end=datetime.date.fromisoformat(end), step=step)


def recipe(name="s2", dates=("2018-03-10", "2018-03-20"), **settings):
    when = period(dates[0], dates[-1])
    return features.recipes(SimpleNamespace(sensors={name: sensor(**settings)}, period=when, external={}))[0]


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [
        ("2018-03-10", "2018-03-30", 10, ["2018-03-10", "2018-03-20", "2018-03-30"]),
        ("2018-03-10", "2018-03-29", 10, ["2018-03-10", "2018-03-20"]),
        ("2018-03-10", "2018-03-31", 10, ["2018-03-10", "2018-03-20", "2018-03-30"]),
        ("2018-03-10", "2018-03-10", 10, ["2018-03-10"]),
        ("2020-02-28", "2020-03-01", 1, ["2020-02-28", "2020-02-29", "2020-03-01"]),
        ("2019-02-28", "2019-03-01", 1, ["2019-02-28", "2019-03-01"]),
        ("2020-02-19", "2020-03-10", 10, ["2020-02-19", "2020-02-29", "2020-03-10"]),
        ("2018-12-25", "2019-01-05", 10, ["2018-12-25", "2019-01-04"]),
    ],
)
def test_regular_dates_run_from_the_start_while_not_after_the_end(start, end, step, expected):
    assert [d.isoformat() for d in features.regular_dates(period(start, end, step))] == expected


def test_a_year_has_37_dates_of_10_days():
    for year, last in ((2018, "2018-12-27"), (2020, "2020-12-26")):  # a leap day shifts the last
        dates = features.regular_dates(period(f"{year}-01-01", f"{year}-12-31"))
        assert (len(dates), dates[-1].isoformat()) == (37, last)


def test_names_are_the_bands_of_each_date_and_then_each_index_over_all_dates():
    assert recipe(bands=["b4", "b8"], additional=["(B8 - B4) / b8"]).names == [
        *("s2.b4.20180310", "s2.b8.20180310", "s2.b4.20180320", "s2.b8.20180320"),
        *("s2.ndvi.20180310", "s2.ndvi.20180320"),
        *("s2.brightness.20180310", "s2.brightness.20180320"),
        *("s2.(b8-b4)/b8.20180310", "s2.(b8-b4)/b8.20180320"),
    ]


def test_names_of_several_sensors_stand_one_after_the_other():
    two = [recipe("a", bands=["b4"], indices=[]), recipe("b", bands=["b8"], indices=[])]
    assert features.names(two) == ["a.b4.20180310", "a.b4.20180320", "b.b8.20180310", "b.b8.20180320"]


def test_all_bands_and_indices_are_the_default():
    made = recipe()
    assert made.bands == BANDS
    assert [name for name, _, _ in made.indices] == ["ndvi", "ndwi", "brightness"]
    assert len(made.names) == 13 * 2
    assert len(set(made.names)) == len(made.names)
    assert made.optical
    assert made.integer
    assert made.dtype is np.int16


def test_bands_keep_the_order_of_the_settings_in_any_case():
    assert recipe(bands=["B8A", "b2"]).bands == ("b8a", "b2")


def test_indices_that_the_bands_cannot_give_are_no_default():
    assert [name for name, _, _ in recipe(bands=["b4", "b8a"]).indices] == ["brightness"]
    assert [name for name, _, _ in recipe(bands=["b11", "b8"]).indices] == ["ndwi", "brightness"]


def test_radar_has_neither_indices_nor_integers():
    made = recipe("s1", format="stac", collection="sentinel-1-grd")
    assert (made.bands, made.indices, made.integer, made.optical) == (("vv", "vh"), (), False, False)
    assert made.dtype is np.float32


def test_temperature_is_used_only_when_it_is_named_and_has_no_brightness():
    landsat = {"format": "stac", "collection": "landsat-8-sr"}
    assert recipe(**landsat).bands == ("b2", "b3", "b4", "b5", "b6", "b7")
    thermal = recipe(**landsat, bands=["b10"])
    assert (thermal.bands, thermal.indices, thermal.integer) == (("b10",), (), False)


def test_the_unit_of_the_first_band_is_that_of_the_default():
    units = [Band("t", "t", 30, "K"), Band("r", "red", 30), Band("u", "u", 30, "K")]
    thermal = SimpleNamespace(bands=tuple(units), optical=True)
    features.check(sensor(additional=["t-u"]), thermal)
    with pytest.raises(SettingsError, match="uses 'r', which is not a band in use; bands are t, u"):
        features.check(sensor(additional=["t-r"]), thermal)


def test_a_recipe_goes_through_plain_values():
    made = recipe(bands=["b4", "b8"], additional=["b4/b8"])
    content = made.to_dict()
    assert content["dates"] == ("2018-03-10", "2018-03-20")
    as_json = {k: [list(v) if isinstance(v, tuple) else v for v in x] if isinstance(x, tuple) else x
               for k, x in content.items()}  # fmt: skip
    assert Recipe.from_dict(as_json) == made
    assert Recipe.from_dict(content).names == made.names


def test_days_are_ordinals():
    days = recipe().days
    assert days.dtype == np.int32
    assert days.tolist() == [datetime.date(2018, 3, 10).toordinal(), datetime.date(2018, 3, 20).toordinal()]


def test_indices_are_steps_of_a_ten_thousandth_and_expressions_of_ones_own_are_as_they_are():
    """Brightness has the unit of its bands already."""
    scales = {name: scale for name, _, scale in recipe(additional=["b8-b4"]).indices}
    assert scales == {"ndvi": 10_000, "ndwi": 10_000, "brightness": 1, "b8-b4": 0}


def test_features_are_integers_unless_a_band_or_an_expression_of_ones_own_is_not():
    radar = recipe("s1", format="stac", collection="sentinel-1-grd")
    assert features.dtype_of([recipe()]) is np.int16
    assert features.dtype_of([recipe(bands=["b4"], indices=[])]) is np.int16
    assert features.dtype_of([recipe(), radar]) is np.float32
    assert features.dtype_of([recipe(additional=["b8-b4"])]) is np.float32


def made_of(recipe, filled):
    """Features ``(feature, pixel)`` of a gap-filled series ``(date, band, pixel)``."""
    dates, bands, count = filled.shape
    planes = np.empty((len(recipe.names), count), features.dtype_of([recipe]))
    planes[: dates * bands] = filled.reshape(dates * bands, count)
    for i, (expression, (_, _, scale)) in enumerate(zip(recipe.expressions, recipe.indices, strict=True)):
        program = Program.of(expression, recipe.bands, scale)
        assert not program.run(planes, 0, dates, bands, dates * (bands + i)).any()
    return planes


@pytest.mark.parametrize("additional", [[], ["b8/b4*2"]])
def test_values_follow_from_the_gap_filled_series(additional):
    """With an expression of one's own all are floats, and have the same values."""
    made = recipe(bands=["b4", "b8", "b11"], additional=additional)
    # (date, band, pixel): the second pixel is dark.
    filled = np.array([[[1000, 0], [3000, 0], [2000, 0]], [[2000, 0], [2000, 0], [6000, 0]]], np.int16)
    found = made_of(made, filled)
    expected = {
        "s2.b4.20180310": 1000,
        "s2.b8.20180310": 3000,
        "s2.b11.20180310": 2000,
        "s2.b4.20180320": 2000,
        "s2.b8.20180320": 2000,
        "s2.b11.20180320": 6000,
        "s2.ndvi.20180310": 5000,
        "s2.ndvi.20180320": 0,
        "s2.ndwi.20180310": -2000,
        "s2.ndwi.20180320": 5000,
        "s2.brightness.20180310": 3742,  # √14,000,000 = 3741.7
        "s2.brightness.20180320": 6633,  # √44,000,000 = 6633.2
    }
    if additional:
        expected |= {"s2.b8/b4*2.20180310": 6, "s2.b8/b4*2.20180320": 2}
    assert dict(zip(made.names, found[:, 0].tolist(), strict=True)) == expected
    assert list(expected) == made.names
    assert found[:, 1].tolist() == [0] * len(expected)


def test_brightness_ends_at_what_integers_hold():
    """That of ten bands that reflect 1.03 on average; of 3 each, it would be 9.5."""
    found = made_of(recipe(), np.array([10_300, 30_000, 10_400]).astype(np.int16) * np.ones((2, 10, 1), np.int16))
    assert found[-2:].tolist() == [[round(10_300 * 10**0.5), 32_767, 32_767]] * 2


def refused(**settings):
    chosen = sensor(**settings)
    with pytest.raises(SettingsError) as error:
        features.check(chosen, sensors.of(chosen))
    return str(error.value)


def test_what_the_sensor_gives_passes_the_check():
    for chosen in (sensor(), sensor(bands=["B4", "b8"], indices=["ndvi"], additional=["(B8 - b4) / 2"])):
        features.check(chosen, sensors.of(chosen))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"bands": ["b4", "b9"]}, f"bands: no band 'b9'; {THEIA} has {', '.join(BANDS)}"),
        ({"bands": ["b4", "B4"]}, "bands: a band is listed twice"),
        ({"bands": ["b2"], "indices": ["ndvi"]}, "indices: 'ndvi' cannot be made of the bands b2: it needs nir, red"),
        ({"indices": ["ndvi", "ndvi"]}, "indices, additional: 'ndvi' would be a feature twice"),
        ({"additional": ["b4/b8", "B4 / b8"]}, "indices, additional: 'b4/b8' would be a feature twice"),
        ({"additional": ["b4"]}, "indices, additional: 'b4' would be a feature twice"),
        ({"bands": ["b4"], "additional": ["b8-b4"]}, "'b8-b4' uses 'b8', which is not a band in use; bands are b4"),
        ({"additional": ["b4 b8"]}, "'b4 b8' is not an expression such as (b8-b4)/(b8+b4)"),
        ({"additional": ["b4*1 0"]}, "'b4*1 0' is not an expression such as (b8-b4)/(b8+b4)"),
        ({"additional": ["ndvi*2"]}, f"'ndvi*2' uses 'ndvi', which is not a band in use; bands are {', '.join(BANDS)}"),
    ],
)
def test_what_the_sensor_cannot_give_is_refused(settings, sentence):
    assert refused(**settings) == sentence


def test_radar_has_no_ndvi():
    wrong = refused(format="stac", collection="sentinel-1-grd", indices=["ndvi"])
    assert wrong == "indices: 'ndvi' cannot be made of the bands vv, vh: it needs nir, red"


def test_bands_of_two_units_need_two_sensors():
    wrong = refused(format="stac", collection="landsat-8-sr", bands=["b4", "b10"])
    assert wrong.startswith("bands: b4 is reflectance, b10 is K; name a second sensor")


def test_a_thermal_band_gives_no_brightness():
    wrong = refused(format="stac", collection="landsat-8-sr", bands=["b10"], indices=["brightness"])
    assert wrong == "indices: 'brightness' cannot be made of the bands b10: it needs reflectances"


def test_a_sensor_of_ones_own_may_have_any_bands():
    hyperspectral = SimpleNamespace(bands=tuple(Band(f"r{i}", f"r{i}", 30) for i in range(224)), optical=True)
    features.check(sensor(), hyperspectral)
