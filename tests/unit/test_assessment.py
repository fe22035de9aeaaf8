import logging

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from parcelle import files
from parcelle.assessment import _write, assess
from parcelle.errors import InputError, StaleError

CODES = [5, 2, 9]
NAMES = ("scores", "summary", "confusion", "classes", "areas")
COLUMNS = {
    "scores": ["seed", "region", "class", "score", "value"],
    "summary": ["region", "class", "score", "mean", "low", "high", "runs", "spread_low", "spread_high"],
    "confusion": ["seed", "region", "reference", "predicted", "count"],
    "areas": ["region", "class", "pixels", "hectares", "share"],
}
# Two regions, two seeds; group h crosses the border; class 9 is in one group of the north only.
NORTH = [
    # (group, reference, predicted, samples) of each seed
    [("a", 5, 5, 8), ("a", 5, 2, 2), ("b", 2, 2, 6), ("h", 2, 5, 1), ("h", 2, 2, 3)],
    [("a", 5, 5, 9), ("a", 5, 2, 1), ("c", 2, 2, 5), ("d", 9, 2, 4)],
]
SOUTH = [
    [("e", 5, 5, 7), ("f", 5, 9, 3), ("h", 2, 2, 5)],
    [("e", 5, 5, 6), ("e", 5, 2, 1), ("g", 2, 2, 2), ("g", 2, 5, 2)],
]
COUNTS = {
    "t1": [("north", 0, 10, 10, 100), ("north", 5, 500, 400, 100), ("north", 2, 100, 100, 100)],
    "t2": [("north", 5, 90, 60, 400), ("south", 2, 200, 200, 400), ("south", 0, 7, 3, 400)],
}


def write_model(folder, region, seed, rows, learning=None):
    """Write the validation samples of a model, one row each, and what its model.json says."""
    table = pd.DataFrame(rows, columns=["group", "reference", "predicted", "samples"])
    table = table.loc[table.index.repeat(table["samples"])]
    table = table.astype({"reference": "int32", "predicted": "int32"})
    table = table.assign(polygon=table["group"], tile="t", row=np.int32(0), column=np.int32(0))
    place = folder / "model" / region / str(seed)
    with files.whole(place / "validation.parquet") as draft:
        table.drop(columns="samples").to_parquet(draft)
    entries = [entry(table, code, (learning or {}).get(code, (0, 0))) for code in CODES]
    files.write_json(place / "model.json", {"samples": [e for e in entries if any([*e.values()][1:])]})


def write_tile(folder, name, rows):
    """Write the pixel counts of a map."""
    table = pd.DataFrame(rows, columns=["region", "class", "pixels", "own_pixels", "pixel_area"])
    with files.whole(folder / "map" / name / "counts.csv") as draft:
        table.to_csv(draft, index=False)


def inputs_of(folder):
    return {
        "validations": sorted(folder.glob("model/*/*/validation.parquet")),
        "models": sorted(folder.glob("model/*/*/model.json")),
        "counts": sorted(folder.glob("map/*/counts.csv")),
    }


def assessed(folder, to="assessment", **inputs):
    """Assess what lies in a folder, or the inputs given; give the paths of the tables."""
    paths = {name: folder / to / f"{name}.csv" for name in NAMES}
    assess(**(inputs_of(folder) | inputs), codes=CODES, outputs=paths)
    return paths


def tables_of(folder):
    """Assess; give the tables with their cells as they are written."""
    return {n: pd.read_csv(p, dtype=str, keep_default_na=False) for n, p in assessed(folder).items()}


def entry(table, code, learning):
    """Say what model.json says of a class: (groups, samples) learnt from, and what it was validated on."""
    rows = table[table["reference"] == code]
    groups = rows["group"].nunique()
    return {
        "code": code,
        **{"learning": learning[1], "learning_groups": learning[0], "learning_polygons": learning[0]},
        **{"validation": len(rows), "validation_groups": groups, "validation_polygons": groups},
    }


@pytest.fixture
def country(tmp_path):
    learning = {5: (2, 20), 9: (1, 6)}
    for seed in range(2):
        write_model(tmp_path, "north", seed, NORTH[seed], learning if seed == 0 else {5: (4, 40)})
        write_model(tmp_path, "south", seed, SOUTH[seed], {5: (1, 3)})
    for name, rows in COUNTS.items():
        write_tile(tmp_path, name, rows)
    return tmp_path


def single(folder, seeds):
    """One region; one list of rows per seed."""
    for seed, rows in enumerate(seeds):
        write_model(folder, "r", seed, rows)
    write_tile(folder, "t", [("r", 5, 1, 1, 100)])
    return folder


def row(table, **where):
    for column, value in where.items():
        table = table[table[column.rstrip("_")] == value]
    assert len(table) == 1
    return table.iloc[0]


def matrix(table, seed, region):
    rows = table[(table["seed"] == seed) & (table["region"] == region)]
    cells = rows.astype({"count": int}).pivot(index="reference", columns="predicted", values="count")
    order = [str(code) for code in CODES]
    return cells.loc[order, order].to_numpy()


def test_tables_have_the_columns_of_the_interface(country):
    tables = tables_of(country)
    assert {name: list(tables[name]) for name in COLUMNS} == COLUMNS
    assert len(tables["scores"]) == 2 * 3 * (2 + 3 * 3)
    assert len(tables["summary"]) == 3 * (2 + 3 * 3)
    assert len(tables["confusion"]) == 2 * 3 * 3 * 3


def test_confusion_of_a_region_and_of_the_country(country):
    table = tables_of(country)["confusion"]
    north, south = [[8, 2, 0], [1, 9, 0], [0, 0, 0]], [[7, 0, 3], [0, 5, 0], [0, 0, 0]]
    np.testing.assert_array_equal(matrix(table, "0", "north"), north)
    np.testing.assert_array_equal(matrix(table, "0", "south"), south)
    np.testing.assert_array_equal(matrix(table, "0", "all"), np.add(north, south))
    np.testing.assert_array_equal(matrix(table, "1", "all"), [[15, 2, 0], [2, 7, 0], [0, 4, 0]])


def test_scores_of_each_seed(country):
    table = tables_of(country)["scores"]
    value = {tuple(r[:4]): r[4] for r in table.to_numpy()}
    assert value["0", "north", "", "oa"] == "0.85"
    assert value["0", "all", "", "oa"] == str(round(29 / 35, 6))
    assert value["1", "all", "2", "precision"] == str(round(7 / 13, 6))
    assert value["1", "north", "9", "recall"] == "0.0"
    # 20 samples, margins 10, 10 and 9, 11: chance agreement is 0.5.
    assert value["0", "north", "", "kappa"] == "0.7"


def test_undefined_is_an_empty_cell(country):
    tables = tables_of(country)
    table = tables["scores"]
    assert row(table, seed="0", region="north", class_="9", score="recall")["value"] == ""
    assert row(table, seed="0", region="south", class_="9", score="precision")["value"] == "0.0"
    summary = row(tables["summary"], region="south", class_="9", score="recall")
    assert [*summary[3:]] == ["", "", "", "0", "", ""]
    assert not any((t == "nan").any(axis=None) for t in tables.values())


def test_mean_and_runs_leave_out_undefined_seeds(country):
    table = tables_of(country)["summary"]
    # Class 9 of the north is validated on by seed 1 only, and in one group: one run and no interval.
    found = row(table, region="north", class_="9", score="recall")
    assert [*found[3:]] == ["0.0", "", "", "1", "", ""]
    found = row(table, region="all", class_="", score="oa")
    assert float(found["mean"]) == pytest.approx((29 / 35 + 22 / 30) / 2, abs=1e-6)
    assert found["runs"] == "2"


def test_spread_is_student_over_seeds(country):
    found = row(tables_of(country)["summary"], region="all", class_="", score="oa")
    values = np.array([29 / 35, 22 / 30])
    expected = scipy.stats.t.interval(0.95, 1, values.mean(), scipy.stats.sem(values))
    assert [float(found["spread_low"]), float(found["spread_high"])] == pytest.approx(expected, abs=1e-6)


def test_one_seed_has_an_interval_but_no_spread(tmp_path):
    rows = [(f"g{i}", 5, 5 if i % 4 else 2, 3) for i in range(40)]
    found = row(tables_of(single(tmp_path, [rows]))["summary"], region="r", class_="", score="oa")
    assert [found["mean"], found["runs"], found["spread_low"], found["spread_high"]] == ["0.75", "1", "", ""]
    half = 1.96 * np.sqrt(0.75 * 0.25 / 40)
    assert float(found["low"]) == pytest.approx(0.75 - half, abs=0.03)
    assert float(found["high"]) == pytest.approx(0.75 + half, abs=0.03)


def test_the_same_seed_five_times_has_the_same_interval(tmp_path):
    rows = [(f"g{i}", [5, 2][i % 2], [5, 5, 2, 2, 9][i % 5], 1 + i % 3) for i in range(30)]
    once = tables_of(single(tmp_path / "once", [rows]))["summary"]
    often = tables_of(single(tmp_path / "often", [rows] * 5))["summary"]
    assert once["low"].tolist() == often["low"].tolist()
    assert once["high"].tolist() == often["high"].tolist()
    assert (once["low"] != once["high"]).any()


def test_seeds_on_other_groups_narrow_the_interval(tmp_path):
    seeds = [[(f"{s}-{i}", 5, 5 if i % 4 else 2, 1) for i in range(40)] for s in range(4)]
    widths = []
    for number in (1, 4):
        table = tables_of(single(tmp_path / str(number), seeds[:number]))["summary"]
        found = row(table, region="r", class_="", score="oa")
        widths.append(float(found["high"]) - float(found["low"]))
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)


def test_a_group_across_a_border_is_one_group_of_the_country(tmp_path):
    for region in ("north", "south"):
        write_model(tmp_path, region, 0, [("h", 9, 9, 3), ("h", 9, 5, 1), (region, 5, 5, 2)])
    write_tile(tmp_path, "t", [("north", 5, 1, 1, 100)])
    tables = tables_of(tmp_path)
    assert row(tables["classes"], region="all", class_="9")["interval_groups"] == "1"
    assert row(tables["classes"], region="all", class_="9")["validation_groups"] == "2.0"
    found = row(tables["summary"], region="all", class_="9", score="recall")
    assert [*found[3:6]] == ["0.75", "", ""]
    assert row(tables["classes"], region="all", class_="5")["interval_groups"] == "2"


def test_regions_are_resampled_on_their_own(tmp_path):
    """All right in one region, all wrong in the other: groups are not exchanged, so the OA is certain."""
    write_model(tmp_path, "north", 0, [(f"n{i}", 5, 5, 1) for i in range(20)])
    write_model(tmp_path, "south", 0, [(f"s{i}", 5, 2, 1) for i in range(10)])
    write_tile(tmp_path, "t", [("north", 5, 1, 1, 100)])
    found = row(tables_of(tmp_path)["summary"], region="all", class_="", score="oa")
    assert [*found[3:6]] == ["0.666667"] * 3


def test_classes_tell_what_was_learnt_and_validated(country, caplog):
    with caplog.at_level(logging.WARNING):
        table = tables_of(country)["classes"]
    found = row(table, region="north", class_="5")
    assert [found["learning"], found["learning_polygons"], found["learning_groups"]] == ["30.0", "3.0", "3.0"]
    assert [found["validation"], found["validation_groups"], found["interval_groups"]] == ["10.0", "1.0", "1"]
    found = row(table, region="all", class_="2")
    assert [found["validation"], found["validation_groups"]] == [str((15 + 9) / 2), str((3 + 2) / 2)]
    assert [found["validation_groups_min"], found["interval_groups"], found["validated"]] == ["2", "4", "yes"]
    found = row(table, region="south", class_="9")
    assert [found["learning"], found["validated"], found["interval_groups"]] == ["0.0", "no", "0"]
    assert not caplog.records


def test_a_class_that_is_never_validated_is_said_so(tmp_path, caplog):
    write_model(tmp_path, "r", 0, [("a", 5, 5, 1)], {9: (1, 12)})
    write_tile(tmp_path, "t", [("r", 5, 1, 1, 100)])
    with caplog.at_level(logging.WARNING):
        found = row(tables_of(tmp_path)["classes"], region="r", class_="9")
    assert [found["learning"], found["learning_groups"], found["validated"]] == ["12.0", "1.0", "no"]
    assert "class 9 of region r is learnt but never validated" in caplog.messages


def test_no_validation_sample_at_all(tmp_path):
    tables = tables_of(single(tmp_path, [[], []]))
    assert (tables["scores"]["value"] == "").all()
    assert (tables["summary"]["runs"] == "0").all()
    assert (tables["confusion"]["count"] == "0").all()


def test_areas_add_up_own_pixels(country):
    table = tables_of(country)["areas"]
    found = {(r[0], r[1]): tuple(r[2:]) for r in table.to_numpy()}
    # t1 has pixels of 100 m², t2 of 400 m²: 400 of 0.01 ha and 60 of 0.04 ha.
    assert found["north", "5"] == ("460", "6.4", str(round(6.4 / 7.4, 6)))
    assert found["north", "0"] == ("10", "0.1", "")
    assert found["south", "2"] == ("200", "8.0", "1.0")
    assert found["all", "0"] == ("13", "0.22", "")
    assert found["all", "2"] == ("300", "9.0", str(round(9 / 15.4, 6)))
    assert found["all", "9"] == ("0", "0.0", "0.0")
    assert len(found) == 3 * 4


def test_share_of_a_region_without_a_mapped_pixel_is_undefined(tmp_path):
    single(tmp_path, [[("a", 5, 5, 1)]])
    write_tile(tmp_path, "u", [("NA", 0, 4, 4, 100)])
    table = tables_of(tmp_path)["areas"]
    assert table[table["region"] == "NA"]["share"].tolist() == [""] * 4
    assert row(table, region="NA", class_="0")["pixels"] == "4"


def test_bytes_do_not_depend_on_the_order_of_inputs(country):
    first = {name: path.read_bytes() for name, path in assessed(country).items()}
    assert first == {name: path.read_bytes() for name, path in assessed(country, "again").items()}
    turned = {name: paths[::-1] for name, paths in inputs_of(country).items()}
    assert first == {name: path.read_bytes() for name, path in assessed(country, "turned", **turned).items()}
    assert b"\r" not in b"".join(first.values())


def test_bytes_do_not_depend_on_the_order_of_samples(tmp_path):
    rows = [(f"g{i}", CODES[i % 3], CODES[i % 7 % 3], 1 + i % 4) for i in range(25)]
    first = assessed(single(tmp_path / "a", [rows]))
    second = assessed(single(tmp_path / "b", [rows[::-1]]))
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in NAMES)


def test_numbers_have_six_decimals_at_most(country):
    for table in tables_of(country).values():
        assert max(len(cell.partition(".")[2]) for cell in table.to_numpy(dtype=str).ravel()) <= 6


def test_last_bits_do_not_show(tmp_path):
    values = [0.1 + 0.2, -1e-9, 2 / 3, np.nan, 1.0]
    _write(pd.DataFrame({"n": range(5), "value": values}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "n,value\n0,0.3\n1,0.0\n2,0.666667\n3,\n4,1.0\n"


def test_outputs_are_whole(country):
    for path in assessed(country).values():
        assert files.verify(path) == path


def test_seeds_are_sorted_as_numbers(tmp_path):
    rows = [[("a", 5, 5, 1)]] * 11
    table = tables_of(single(tmp_path, rows))["scores"]
    assert table["seed"].drop_duplicates().tolist() == [str(seed) for seed in range(11)]


def test_only_region_may_be_named_all(tmp_path):
    write_model(tmp_path, "all", 0, [("a", 5, 5, 1), ("b", 5, 2, 1)])
    write_tile(tmp_path, "t", [("all", 5, 3, 3, 100)])
    tables = tables_of(tmp_path)
    assert row(tables["scores"], region="all", class_="", score="oa")["value"] == "0.5"
    assert row(tables["areas"], region="all", class_="5")["pixels"] == "3"


def test_a_region_named_all_beside_others_is_refused(country):
    for seed in range(2):
        write_model(country, "all", seed, [("a", 5, 5, 1)])
    with pytest.raises(InputError, match="rename it in the regions file"):
        assessed(country)


def test_a_seed_that_lacks_a_region_is_refused(country):
    (country / "model/south/1/validation.parquet").unlink()
    (country / "model/south/1/model.json").unlink()
    with pytest.raises(InputError, match=r"region south has no model\.json of seed 1; train it first"):
        assessed(country)


def test_a_model_without_its_validation_is_refused(country):
    (country / "model/south/1/validation.parquet").unlink()
    with pytest.raises(InputError, match=r"region south has no validation\.parquet of seed 1"):
        assessed(country)


def test_models_of_other_regions_than_the_validations_are_refused(country):
    models = [path for path in inputs_of(country)["models"] if "north" in path.parts]
    with pytest.raises(InputError, match="region south, seed 0: give both"):
        assessed(country, models=models)


def test_the_model_of_all_polygons_is_refused(country):
    write_model(country, "north", "all", [])
    with pytest.raises(InputError, match="seed 'all', which is not validated"):
        assessed(country)


def test_nothing_to_assess_is_refused(tmp_path):
    with pytest.raises(InputError, match="no model to assess"):
        assessed(tmp_path)


@pytest.mark.parametrize("pair", [(5, 4), (4, 5)])
def test_a_class_outside_the_nomenclature_is_refused(tmp_path, pair):
    single(tmp_path, [[("a", *pair, 1)]])
    with pytest.raises(InputError, match=r"r/0/validation.parquet: class 4 is not in the nomenclature"):
        assessed(tmp_path)


def test_a_mapped_class_outside_the_nomenclature_is_refused(country):
    write_tile(country, "t3", [("north", 7, 1, 1, 100)])
    with pytest.raises(InputError, match=r"class 7 is not in the nomenclature \(0, 5, 2, 9\)"):
        assessed(country)


@pytest.mark.parametrize("kind", ["validations", "models", "counts"])
def test_a_file_that_was_changed_is_refused(country, kind):
    path = inputs_of(country)[kind][0]
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(StaleError, match="--forcerun"):
        assessed(country)
    assert not (country / "assessment").exists()


def test_a_class_of_the_model_outside_the_nomenclature_is_refused(country):
    path = country / "model/north/0/model.json"
    content = files.read_json(path)
    content["samples"][0]["code"] = 77
    files.write_json(path, content)
    with pytest.raises(InputError, match=r"north/0/model.json: class 77 is not in the nomenclature"):
        assessed(country)
