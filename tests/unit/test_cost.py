"""What a run costs: which jobs it has, what each is reckoned by, and how that is told."""

import json

import geopandas as gpd
import pytest
import shapely
import yaml
from unit.test_needs import CODES, SENSORS, SOURCES, read

from parcelle import features, files, models_size, needs, planning, reference, settings
from parcelle.grid import Grid
from parcelle.needs import Need, Tile
from parcelle.operations import cost, previews
from parcelle.operations.facts import THREADS, Facts
from parcelle.planning import Plan
from parcelle.reference import Extent
from parcelle.samples import Size

GRID = Grid("EPSG:32631", 0, 1000, 10, 100, 100)
PLAN = Plan(
    {"a": ["north"], "b": ["north", "south"], "c": ["south"]},
    {"a": ["north"], "b": ["north", "south"], "c": []},
    {"a": GRID, "b": GRID, "c": GRID},
)
TILE = Tile(10_000, SENSORS)
EXTENTS = {"a": {"north": Extent(5, 500)}, "b": {"north": Extent(2, 100), "south": Extent(4, 300)}}


def facts(guessed=(), **changes):
    given = read(results="/nowhere", tiles=["a", "b", "c"], seeds=2, **changes)
    shares = {"a": 1.0, "b": 0.5, "c": 1.0}
    return Facts(given, SOURCES, ["s2.b4"], CODES, PLAN, dict.fromkeys("abc", TILE), guessed, EXTENTS, shares, THREADS)


def test_a_run_has_the_jobs_of_the_workflow():
    found = cost.jobs_of(facts())
    assert [(rule, *wildcards.values()) for rule, wildcards in found] == [
        ("plan",),
        *(("inventory", tile) for tile in "abc"),
        *(("sample", tile) for tile in "ab"),
        *(("split", region, seed) for region in ("north", "south") for seed in "01"),
        *(("train", region, seed) for region in ("north", "south") for seed in ("0", "1", "all")),
        *(("classify", tile) for tile in "abc"),
        *(("mosaic", product) for product in ("class", "confidence", "validity")),
        ("assess",),
        ("report",),
        ("provenance",),
    ]


def test_seeds_that_map_are_trained_once_and_frozen_models_not_at_all():
    rules = [rule for rule, _ in cost.jobs_of(facts(map={"model": [0, 1]}))]
    assert rules.count("train") == 4
    frozen = [rule for rule, _ in cost.jobs_of(facts(map={"freeze": True}))]
    assert frozen == ["plan", *["inventory"] * 3, *["classify"] * 3, *["mosaic"] * 3, "provenance"]


def test_each_job_is_reckoned_by_its_own():
    given = facts()
    of, chosen = cost.of_job, given.settings
    assert of("inventory", {"tile": "a"}, given) == needs.inventory(130).need()
    expected = needs.sample(TILE, Extent(6, 400), SOURCES, chosen, 2).need()
    assert of("sample", {"tile": "b"}, given) == expected
    # Both tiles with polygons of the north are read, those of the south in them too.
    assert of("split", {"region": "north", "seed": "0"}, given) == needs.split(11).need()
    assert of("split", {"region": "south", "seed": "0"}, given) == needs.split(6).need()
    size = Size(600, len(features.names(SOURCES)), 4)
    expected = needs.train(size, 3, chosen, "1", 2).need()
    assert of("train", {"region": "north", "seed": "1"}, given) == expected
    models = models_size.models([600, 300], 3, chosen)
    assert of("classify", {"tile": "b"}, given) == needs.classify(TILE, models, SOURCES, chosen, CODES, 2, 0.5).need()
    assert of("mosaic", {"product": "class"}, given) == needs.mosaic_of("class", 25_000, chosen, CODES, 2).need()
    # Half of 900 samples, of two seeds; four models; three tiles.
    assert of("assess", {}, given) == needs.assess(900, 4, 3, 3).need()


def test_a_rule_that_is_not_there_is_no_job():
    with pytest.raises(KeyError):
        cost.of_job("harvest", {}, facts())


def test_rows_add_up(monkeypatch):
    monkeypatch.setattr(
        cost, "jobs_of", lambda facts: [("sample", {"n": 1}), ("sample", {"n": 2}), ("train", {"n": 3})]
    )
    monkeypatch.setattr(cost, "of_job", lambda rule, w, facts: Need(3600 * w["n"], 100 * w["n"], 10 * w["n"], w["n"]))
    assert cost.rows(facts()) == [
        cost.Row("sample", 2, 3, 200, 30, 2),
        cost.Row("train", 1, 3, 300, 30, 3),
        cost.Row("all", 3, 6, 300, 60, 3),
    ]


def test_amounts_are_told_in_units_that_give_few_digits():
    assert [cost.size(n) for n in (0.25, 999, 1000, 2048, 1024 * 2048)] == [
        "0.25 MiB",
        "999 MiB",
        "0.977 GiB",
        "2 GiB",
        "2 TiB",
    ]
    assert [cost.hours(n) for n in (0.00123, 12.34, 1234.5)] == ["0.00123", "12.3", "1,234"]


def test_what_was_guessed_is_named():
    assert not any("no inventory" in line for line in cost.remarks(facts()))
    (line,) = [line for line in cost.remarks(facts(guessed=["b", "c"])) if "no inventory" in line]
    assert line.startswith("2 of 3 tiles have no inventory yet (b, c): ")
    own = facts(model={"name": "networks.py:Network"})
    assert (
        cost.remarks(own)[-1]
        == "Nothing is known of the speed of networks.py:Network: it counts as a forest of 100 trees."
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with its plan, and an inventory of the first of two tiles; the other has three products, one too late."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(previews, "with_plan", lambda run: (None, []))
    given = {
        "tiles": ["31TCJ", "31TDJ"],
        "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "images"}},
        "period": {"start": "2018-01-01", "end": "2018-12-31"},
        "reference": {"path": "reference.gpkg", "field": "code"},
        "nomenclature": "classes.csv",
    }
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(given))
    (tmp_path / "classes.csv").write_text("code,name,colour\n1,a,#000000\n2,b,#ffffff\n")
    for day in ("20180106", "20180116", "20190106"):
        name = f"SENTINEL2A_{day}-105640-598_L2A_T31TDJ_C_V2-2"
        (tmp_path / "images/31TDJ" / name).mkdir(parents=True)
        for band in ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"):
            (tmp_path / "images/31TDJ" / name / f"{name}_FRE_{band}.tif").touch()
        for mask in ("CLM", "EDG", "SAT"):
            for size in ("R1", "R2"):
                (tmp_path / "images/31TDJ" / name / "MASKS").mkdir(exist_ok=True)
                (tmp_path / "images/31TDJ" / name / f"MASKS/{name}_{mask}_{size}.tif").touch()
    tiles = ["31TCJ", "31TDJ"]
    Plan({tile: ["whole"] for tile in tiles}, {"31TCJ": ["whole"], "31TDJ": []}, dict.fromkeys(tiles, GRID)).write(
        "results/plan.json"
    )
    half = gpd.GeoDataFrame({"name": ["whole"]}, geometry=[shapely.box(0, 0, 1000, 500)], crs=GRID.crs)
    for tile in tiles:
        planning.write_areas(half, GRID.footprint(), f"results/areas/{tile}.parquet")
    columns = {"polygon": ["a"], "code": 1, "region": "whole", "x": 0, "y": 0, "field": ""}
    one = gpd.GeoDataFrame(columns, geometry=[shapely.box(0, 0, 100, 100)], crs=GRID.crs)
    reference.write(one, "results/reference/31TCJ.parquet", 100)
    size = {"dates": 7, "acquisitions": 7, "bands": 10, "files": 70, "density": 5.5}
    files.write_json("results/acquisitions/31TCJ.size.json", {"pixels": 10_000, "sensors": {"s2": size}})
    return tmp_path


def test_facts_are_read_from_the_results(run):
    found = Facts.read(settings.read(yaml.safe_load((run / "settings.yaml").read_text())), {"sample": 8})
    assert found.guessed == ["31TDJ"]
    assert found.shares == {"31TCJ": 0.5, "31TDJ": 0.5}
    assert found.extents == {"31TCJ": {"whole": Extent(1, 100)}}
    assert (found.of("sample"), found.of("train"), found.of("split")) == (8, 2, 1)
    assert found.tiles["31TCJ"].sensors["s2"]["dates"] == 7
    # Ten bands, four of them of 10 m; masks are counted as two a product.
    assert found.tiles["31TDJ"] == Tile(
        10_000, {"s2": {"dates": 2, "acquisitions": 2, "bands": 10, "files": 24, "density": 5.5}}
    )


def test_the_command_prints_the_table_and_what_was_guessed(run, capsys):
    assert cost.main(["--configfile", "settings.yaml"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[1:12]] == [*cost.RULES[:6], *cost.RULES[7:], "all"]
    assert [line.split()[1] for line in said[1:12]] == ["1", "2", "1", "5", "6", "2", "3", "1", "1", "1", "23"]
    assert any(line.startswith("1 of 2 tiles have no inventory yet (31TDJ)") for line in said)


def test_the_command_writes_json(run, capsys):
    assert cost.main(["--configfile", "settings.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["guessed"] == ["31TDJ"]
    assert {row["rule"]: row["jobs"] for row in found["rules"]}["train"] == 6


@pytest.mark.parametrize("given", [{"classify": 8}, ["train=4", "classify=8"], "classify=8"])
def test_the_memory_is_that_of_the_cores_which_the_profile_gives(given, run, capsys):
    def memory(*words):
        assert cost.main(["--configfile", "settings.yaml", "--json", *words]) == 0
        return {row["rule"]: row["memory_mb"] for row in json.loads(capsys.readouterr().out)["rules"]}

    (run / "site").mkdir()
    (run / "site/profile.yaml").write_text(yaml.safe_dump({"set-threads": given}))
    of_site, plain = memory("--profile", "site"), memory()
    assert of_site["classify"] > plain["classify"]
    assert of_site["sample"] == plain["sample"]


def test_cores_that_are_no_number_are_refused(run, capsys):
    (run / "site").mkdir()
    (run / "site/profile.yaml").write_text("set-threads: {classify: many}")
    assert cost.main(["--configfile", "settings.yaml", "--profile", "site"]) == 1
    assert "set-threads in the profile is {'classify': 'many'}" in capsys.readouterr().err


def test_a_plan_that_is_missing_or_out_of_date_is_made_first(run, monkeypatch, capsys):
    plan = run / "results/plan.json"
    content = plan.read_bytes()
    plan.unlink()
    monkeypatch.setattr(previews, "with_plan", lambda asked: plan.write_bytes(content) and (None, []))
    assert cost.main(["--configfile", "settings.yaml"]) == 0
    assert "classify" in capsys.readouterr().out


def test_without_a_plan_the_command_says_how_it_is_made(run, capsys):
    (run / "results/plan.json").unlink()
    assert cost.main(["--configfile", "settings.yaml"]) == 1
    said = capsys.readouterr().err
    assert "results/plan.json is missing" in said and "snakemake --until plan" in said


def test_an_inventory_of_another_version_is_refused_in_a_sentence(run, capsys):
    files.write_json("results/acquisitions/31TCJ.size.json", {"pixels": 10_000, "sensors": {"s2": {"dates": 7}}})
    assert cost.main(["--configfile", "settings.yaml"]) == 1
    assert "--forcerun results/acquisitions/31TCJ.size.json" in capsys.readouterr().err
