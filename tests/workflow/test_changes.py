"""What runs again after larger changes: exactly the jobs that were said before; and what is refused."""

import os
import re
import shutil

import country
import pytest

from parcelle.operations import previews, what_if

TILES = ["31TGM", "31TGL", "32TKR"]  # both regions; south; north
REGIONS = ["north", "south"]
PRODUCTS = [f"mosaic/{name}" for name in ("class", "confidence", "validity")]
END = [*PRODUCTS, "assess", "report", "provenance"]


def each(rule, *names):
    return [f"{rule}/{name}" for name in names]


def of_seeds(seeds):
    return [f"{region}/{seed}" for region in REGIONS for seed in seeds]


EVERYTHING = [
    *each("inventory", *TILES),
    *each("sample", *TILES),
    *each("split", *of_seeds([0, 1])),
    *each("train", *of_seeds([0, 1, "all"])),
    *each("classify", *TILES),
    *END,
]


def files(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()}


def exchange_first_classes(folder):
    """Let the first two classes have each other's code; give their names."""
    path = folder / "country/nomenclature.csv"
    lines = path.read_text().splitlines()
    (first, *a), (second, *b) = (line.split(",") for line in lines[1:3])
    path.write_text("\n".join([lines[0], ",".join([second, *a]), ",".join([first, *b]), *lines[3:]]) + "\n")
    return a[0], b[0]


def test_before_the_first_plan_it_is_made_and_then_everything_is_known(mapped, tmp_path):
    country.copy(mapped / "country", tmp_path / "country")
    country.configure(tmp_path)
    answer = country.ask(tmp_path)
    assert answer.planned.name == "plan"
    assert sorted(job.name for job in answer.jobs) == sorted(EVERYTHING)
    assert set(answer.guessed) == set(TILES)
    assert not (tmp_path / "results/acquisitions").exists(), "nothing else is made on the way"


def test_a_boundary_of_regions_that_touches_two_tiles(again):
    """It moves north into the third tile: the second one stays in the southern region, whose model is another."""
    country.write_regions(again / "country/regions.gpkg", country.BORDER + 100)
    expected = [
        "plan",
        *each("sample", "31TGM", "32TKR"),
        *each("split", *of_seeds([0, 1])),
        *each("train", *of_seeds([0, 1, "all"])),
        *each("classify", *TILES),
        *END,
    ]
    assert country.rerun(again) == sorted(expected)


def test_seeds_from_five_to_six(again):
    country.configure(again, seeds=5)
    country.run(again)
    country.configure(again, seeds=6)
    new = of_seeds([5])
    assert country.rerun(again) == sorted([*each("split", *new), *each("train", *new), *END[-3:]])


def test_a_new_year_leaves_the_old_one_as_it_is(again):
    for folder in (again / "country/sentinel2/31TGL").iterdir():
        shutil.copytree(folder, folder.with_name(folder.name.replace("_2018", "_2019")))
    old = files(again / "results")
    year = {"start": "2019-01-01", "end": "2019-12-31", "step": 40}
    country.configure(again, period=year, results="results-2019", tiles=["31TGL"], seeds=1)
    expected = ["inventory/31TGL", "sample/31TGL", "split/south/0", "train/south/0", "train/south/all"]
    assert country.rerun(again) == sorted(["plan", *expected, "classify/31TGL", *END])
    assert files(again / "results") == old
    country.configure(again)
    answer = country.ask(again)
    assert (answer.planned, answer.jobs) == (None, [])


def test_a_licence_makes_the_provenance_anew_and_nothing_else(again):
    country.configure(again, publication={"license": "CC-BY-4.0"})
    assert [job.name for job in country.ask(again).jobs] == ["provenance"]


def test_another_version_of_the_package_reruns_nothing(again, tmp_path):
    root = tmp_path / "clone"
    for name in ("workflow", "scripts", "profiles", "envs"):
        shutil.copytree(country.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(country.ROOT / "Snakefile", root)
    module = root / "workflow/parcelle/__init__.py"
    module.write_text(re.sub(r'__version__ = ".*"', '__version__ = "99.0"', module.read_text()))
    assert country.run(again, root=root) == []


def test_a_plan_that_was_refused_is_made_again_once_the_settings_are_mended(again):
    """The refused job leaves no plan behind; which jobs follow from it is unknown until it is made."""
    country.configure(again, tiles=[*TILES, "31TXX"])
    with pytest.raises(previews.PreviewError, match="31TXX"):
        country.ask(again)
    assert not (again / "results/plan.json").exists()
    country.configure(again)
    answer = country.ask(again)
    assert (answer.planned.name, answer.jobs) == ("plan", [])


def test_results_that_were_moved_or_lost_their_records_are_refused(again):
    """Snakemake alone takes them for up to date, whatever the settings are."""
    (again / "results").rename(again / "moved")
    country.configure(again, results="moved", seeds=1)
    with pytest.raises(previews.PreviewError, match=f"{again}/moved was not made by a run in {again}"):
        country.ask(again)
    (again / "moved").rename(again / "results")
    shutil.rmtree(again / ".snakemake")
    country.configure(again)
    with pytest.raises(previews.PreviewError, match=f"{again}/results was not made by a run in {again}"):
        country.ask(again)
    # Who knows better says so; the next change is seen again.
    assert country.snakemake(again, "--forceall", "--touch").returncode == 0
    assert country.ask(again).jobs == []
    country.configure(again, seeds=3)
    new = of_seeds([2])
    assert sorted(job.name for job in country.ask(again).jobs) == sorted(
        [*each("split", *new), *each("train", *new), *END[-3:]]
    )


def test_a_setting_that_takes_a_value_of_another_setting_is_seen(again):
    """Snakemake alone compares values without names: `code` was the field of classes before, and nothing seemed new."""
    country.configure(again, split={"by": "field", "field": "code"})
    answer = country.ask(again)
    assert answer.planned.name == "plan"
    rules = ["sample", "split", "train", "classify", "mosaic", "assess", "report", "provenance"]
    assert {job.rule for job in answer.jobs} == set(rules)


def test_frozen_models_map_without_training_and_only_what_changed(again):
    country.configure(again, map={"freeze": True})
    assert country.rerun(again) == ["provenance"], "the maps are those of the same models"
    os.utime(next((again / "country/sentinel2/31TGL").glob("*/*_FRE_B4.tif")))
    assert country.rerun(again) == sorted(["inventory/31TGL", "classify/31TGL", *PRODUCTS, "provenance"])
    assert country.ask(again).jobs == []
    country.configure(again)
    trained = [f"train/south/{seed}" for seed in (0, 1, "all")]
    expected = sorted(["sample/31TGL", *trained, *each("classify", "31TGM", "31TGL"), *END])
    assert sorted(job.name for job in country.ask(again).jobs) == expected


def test_a_frozen_model_is_refused_where_classes_exchanged_their_codes(again):
    country.configure(again, map={"freeze": True})
    first, second = exchange_first_classes(again)
    with pytest.raises(previews.PreviewError, match=f"learnt '({first}|{second})' as code .* Give it code .* again"):
        country.ask(again)


def test_a_frozen_model_that_is_missing_is_named(again):
    country.configure(again, map={"freeze": True})
    (again / "results/model/north/all/model.json").unlink()
    with pytest.raises(previews.PreviewError, match=r"north/all/model\.json is not there, and `map\.freeze`"):
        country.ask(again)


def test_what_was_left_out_is_refused_once_that_is_asked_for(again):
    """Only the tile concerned is looked at again, and once the image is mended everything goes on."""
    image = next((again / "country/sentinel2/31TGL").glob("*/*_FRE_B4.tif"))
    whole, time = image.read_bytes(), image.stat().st_mtime_ns
    image.write_bytes(whole[:1000])
    country.configure(again, on_bad_acquisition="skip")
    assert country.run(again, "--until", "inventory") == ["inventory/31TGL"]
    country.configure(again)
    assert [job.name for job in country.ask(again).jobs if job.rule == "inventory"] == ["inventory/31TGL"]
    done = country.snakemake(again, "--until", "inventory")
    assert done.returncode != 0 and image.name in done.stderr
    image.write_bytes(whole)
    os.utime(image, ns=(time, time))
    assert country.run(again, "--until", "inventory") == ["inventory/31TGL"]
    assert country.run(again, "--until", "inventory") == []


def test_the_command_prints_the_jobs_their_cost_and_why(again, capsys):
    country.configure(again, model={"name": "forest", "trees": 12}, seeds=3)
    assert what_if.main(["--configfile", str(again / "settings.yaml"), "--directory", str(again)]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    rows = {name: int(jobs) for name, jobs, *_ in map(str.split, lines[1:]) if name in (*what_if.FLOW, "all")}
    assert rows == {
        "split": 2, "train": 8, "classify": 3, "mosaic": 3, "assess": 1, "report": 1, "provenance": 1, "all": 19
    }  # fmt: skip
    assert "6 × a setting changed: trees 10 → 12" in lines
    assert "2 × not made yet" in lines
    assert "follows from train" in lines
