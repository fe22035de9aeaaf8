"""What the report reads and the sentences it makes of it, from tables written by hand."""

import datetime

import numpy as np
import pandas as pd
import pytest

from parcelle import files, settings
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.nomenclature import LandClass
from parcelle.report import content
from parcelle.report.sources import Assessment, Dates, Tile, Value, read_assessment, read_tiles
from parcelle.sensors import Band
from parcelle.settings import Map, Split

CLASSES = [LandClass(5, "Maize", "#fdae61"), LandClass(2, "Water", "#2c7fb8")]
SUMMARY = "region,class,score,mean,low,high,runs,spread_low,spread_high"
TABLES = {
    "scores": ["seed,region,class,score,value", "0,all,,oa,0.5", "0,all,,kappa,", "0,NA,,oa,0.4", "1,all,,oa,0.75"],
    "summary": [SUMMARY, "all,,oa,0.625,0.3,0.9,2,0.5,0.75", "all,5,f1,,,,0,,", "NA,,oa,0.4,,,1,,"],
    "confusion": [
        "seed,region,reference,predicted,count",
        *("0,all,5,5,3", "0,all,5,2,1", "0,all,2,2,4", "0,NA,5,5,99", "1,all,5,5,10", "1,all,2,5,7"),
    ],
    "classes": ["region,class,validated", "all,5,yes", "all,2,no", "NA,2,yes"],
    "areas": ["region,class,pixels,hectares,share", "all,0,10,0.1,", "all,5,30,0.3,1"],
}


def found(classes, values=None, areas=None):
    """An assessment from rows (region, class, learning, validation, interval_groups) of `classes.csv`."""
    table = pd.DataFrame(classes, columns=["region", "class", "learning", "validation", "interval_groups"])
    table["validated"] = np.where(table["validation"] > 0, "yes", "no")
    recall = {("all", code, "recall"): Value(runs=3) for code in table["class"]}
    return Assessment(recall | (values or {}), pd.DataFrame(), np.zeros((2, 2), int), table, areas)


def notes(classes, values=None, **given):
    """Notes on an assessment, by title."""
    asked = settings.Settings.model_construct(
        seeds=3, split=Split(by="block", block=80), sampling=settings.Sampling(**given)
    )
    return {note.title: note for note in content.notes(found(classes, values), CLASSES, asked)}


@pytest.fixture
def tables(tmp_path):
    paths = {name: tmp_path / f"{name}.csv" for name in TABLES}
    for name, path in paths.items():
        with files.whole(path) as draft:
            draft.write_text("\n".join(TABLES[name]) + "\n")
    return paths


def test_undefined_is_none_and_never_a_number(tables):
    read = read_assessment(tables, [5, 2])
    assert read.value("oa") == Value(0.625, 0.3, 0.9, 0.125, 2)
    assert read.value("f1", 5) == Value(None, None, None, None, 0)
    assert read.of_seeds["oa"].tolist() == [0.5, 0.75]
    assert np.isnan(read.of_seeds["kappa"]).all()


def test_a_region_may_be_called_na(tables):
    read = read_assessment(tables, [5, 2])
    assert read.regions == ["NA"]
    assert read.value("oa", region="NA") == Value(0.4, None, None, None, 1)
    assert read.validated(2, "NA") and not read.validated(2) and read.validated(5)


def test_confusion_is_that_of_the_country_pooled_over_seeds(tables):
    assert read_assessment(tables, [5, 2]).confusion.tolist() == [[13, 1], [7, 4]]
    assert read_assessment(tables, [2, 9, 5]).confusion.tolist() == [[4, 0, 7], [0, 0, 0], [1, 0, 13]]


def test_class_of_the_confusion_that_the_nomenclature_lacks_is_refused(tables):
    with pytest.raises(InputError, match=r"confusion.csv: class 5 is not in the nomenclature"):
        read_assessment(tables, [2, 9])


def test_acquisitions_are_read_in_the_order_of_dates_and_settings(tmp_path):
    clear = tmp_path / "map" / "t1" / "clear.csv"
    with files.whole(clear) as draft:
        draft.write_text(
            "sensor,date,acquisitions,clear\ns2,2018-05-04,2,0.5\ns2,2018-03-04,1,0.25\ns1,2018-01-01,1,1\n"
        )
    inventory = str(tmp_path / "t1.json")
    Inventory("t1", Grid("EPSG:32631", 0, 0, 10, 5, 5), (), ()).write(inventory)
    (tile,) = read_tiles([clear], [inventory], ["s1", "l8", "s2"])
    days = (datetime.date(2018, 3, 4), datetime.date(2018, 5, 4))
    assert [s.sensor for s in tile.sensors] == ["s1", "l8", "s2"]
    assert tile.sensors[2] == Dates("s2", 3, days, (0.25, 0.5))
    assert (tile.sensors[2].clear_dates, tile.sensors[2].clear_share) == (0.75, 0.375)
    assert tile.sensors[1] == Dates("l8", 0, (), ())


def test_nothing_to_note_where_all_is_well():
    assert notes([("all", "5", 90, 80, 40), ("all", "2", 90, 80, 40)]) == {}


def test_shortfalls_are_named_by_region():
    rows = [("all", "5", 140, 9, 40), ("all", "2", 190, 9, 40), ("north", "5", 100, 5, 20), ("north", "2", 95, 5, 20)]
    rows += [("south", "5", 40.5, 4, 20), ("south", "2", 95, 4, 20)]
    note = notes(rows, per_class=100)["Few samples to learn from"]
    assert note.text == "100 a class were asked for; where there are fewer, all were taken."
    assert note.items == ("north: Water (95).", "south: Maize (40) and Water (95).")


def test_class_validated_by_some_seeds_is_named():
    rows = [("all", "5", 90, 80, 40), ("all", "2", 90, 80, 40)]
    values = {("all", "2", "recall"): Value(0.5, runs=2)}
    note = notes(rows, values)["Validated by some seeds only"]
    assert note.text == "Water (2 of 3). Their scores are means over these seeds."


def test_class_of_few_groups_is_named_with_their_number():
    note = notes([("all", "5", 90, 80, 10), ("all", "2", 90, 80, 9)])["Few validation groups"]
    assert note.text.startswith("Water (9). Intervals from fewer than 10 validation groups (blocks of 80 m)")


def test_class_never_validated_anywhere_is_not_repeated_for_each_region():
    rows = [("all", "5", 9, 9, 50), ("all", "2", 9, 0, 0), ("north", "2", 9, 0, 0), ("south", "5", 9, 0, 0)]
    made = notes(rows)
    assert made["Learnt but never validated"].text.startswith("Water: the map may show it")
    assert made["Learnt but never validated in a region"].items == ("south: Maize.",)


def test_one_region_has_no_rows_of_regions():
    scores = {(region, "", score): Value(0.5) for region in ("all", "whole") for score in ("oa", "kappa")}
    assert content.region_rows(found([("all", "5", 9, 9, 50)], scores), []) == []


def test_regions_without_a_pixel_are_left_out_of_the_areas():
    rows = [("all", "5", 1.0), ("", "0", None), ("a", "5", 0.5), ("b", "5", 0.25), ("c", "5", None)]
    areas = pd.DataFrame(rows, columns=["region", "class", "share"])
    assert content.mapped_regions(found([], areas=areas)) == ["a", "b"]
    assert content.mapped_regions(found([], areas=areas[:3])) == []


def test_share_without_data():
    columns = ["region", "class", "pixels", "hectares"]
    some = pd.DataFrame([("all", "0", 25, 0.25), ("all", "5", 75, 0.75)], columns=columns)
    assert content.unmapped(found([], areas=some)) == content.Unmapped(25, 0.25, 0.25)
    nothing = some.assign(pixels=0, hectares=0.0)
    assert content.unmapped(found([], areas=nothing)).share == 0


def test_a_tile_is_as_bad_as_its_worst_sensor():
    day = (datetime.date(2018, 1, 1), datetime.date(2018, 1, 9))
    radar, cloudy, clear = (Dates("s", 2, day, shares) for shares in ((1.0, 1.0), (0.1, 0.1), (0.5, 0.5)))
    tiles = [Tile("a", (radar, clear), ()), Tile("b", (radar, cloudy), ())] + [Tile("c", (radar,), ())] * 11
    assert [tile.name for tile in content.calendars_of(tiles)][:3] == ["b", "a", "c"]
    assert [tile.name for tile in content.calendars_of(tiles[:2])] == ["a", "b"]


@pytest.mark.parametrize(("number", "expected"), [(1, 0), (12, 0), (13, 13), (200, 200), (203, 200)])
def test_many_tiles_are_drawn_in_rows_too(number, expected):
    """The clearest are left out where there are too many; those that stay keep their order."""
    day = (datetime.date(2018, 3, 4),)
    tiles = [Tile(f"t{i}", (Dates("s2", 1, day, (1 - i / 300,)),), ()) for i in range(number)]
    found = content.rows_of(tiles)
    assert found == (tiles[number - expected :] if expected else [])
    assert ("of 203 tiles" in content.rows_sentence(tiles).lower()) is (number == 203)


def test_images_without_a_date_have_no_calendar():
    given = {"s2": {"format": "sentinel2-theia-l2a", "path": "x"}}
    given["dem"] = {"format": f"{__name__}:Relief", "path": "dem.tif"}
    checked = settings.Settings.model_construct(sensors={n: settings.Sensor(**s) for n, s in given.items()})
    assert content.dated(checked) == ["s2"]


class Relief:
    """A sensor of no date."""

    bands = (Band("altitude", "altitude", 10, "other"),)
    optical, static = False, True

    def products(self, path, tile):
        return []

    def find(self, path, tile, sensor):
        return [], []


def test_tile_without_clear_shares_is_named(tmp_path):
    inventories = [str(tmp_path / f"{name}.json") for name in ("t1", "t2")]
    for name, path in zip(("t1", "t2"), inventories, strict=True):
        Inventory(name, Grid("EPSG:32631", 0, 0, 10, 5, 5), (), ()).write(path)
    clear = tmp_path / "map" / "t1" / "clear.csv"
    with files.whole(clear) as draft:
        draft.write_text("sensor,date,acquisitions,clear\ns2,2018-03-04,1,0.5\n")
    with pytest.raises(InputError, match=r"tile t2 has .*t2.json but no map/t2/clear.csv: map it first"):
        read_tiles([clear], inventories, ["s2"])
    assert read_tiles([clear], inventories[:1], ["s2", "s1"])[0].sensors[1] == Dates("s1", 0, (), ())


def test_models_of_the_map_in_words():
    assert content.map_sentence(Map(model=[1])) == "The map itself is made by the model of seed 1."
    mean = "The map itself is made by the mean probability of the models of seeds 0, 1 and 4."
    assert content.map_sentence(Map(model=[0, 1, 4])) == mean


@pytest.mark.parametrize(
    ("split", "words", "groups", "sentence"),
    [
        (Split(), "whole polygons", "whole polygons", "A polygon lies on one side as a whole"),
        (Split(by="field", field="farm"), "farm", "values of farm", "All polygons with one value of farm lie on"),
        (Split(by="block", block=80), "80 m blocks", "blocks of 80 m", "All polygons of a square block of 80 m lie"),
    ],
)
def test_split_in_words(split, words, groups, sentence):
    assert (content.split_words(split), content.split_groups(split)) == (words, groups)
    assert content.split_sentence(split).startswith(sentence)
