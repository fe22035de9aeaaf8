"""Questions of what would run: reasons in plain words, the table, and how a run is found."""

import argparse
import os
from pathlib import Path

import pytest

from parcelle.errors import InputError, SettingsError
from parcelle.files import write_json
from parcelle.frozen import check
from parcelle.listing import left_out
from parcelle.needs import Need
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.operations import commands, previews, what_if
from parcelle.operations.commands import Run
from parcelle.operations.what_if import Answer

PARAMS = "Params have changed since last execution: Union of exclusive params before and now across all output: "
MAKERS = {"results/model/north/0/model.json": "train", "results/samples/a.parquet": "sample"}


def arguments(*words):
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser)
    return parser.parse_args(words)


def job(rule, reason, outputs=(), **wildcards):
    line = {"rule_name": rule, "wildcards": wildcards, "reason": reason, "output": list(outputs), "threads": 2}
    return previews.job_of(line)


def test_a_job_of_a_line_of_the_plug_in():
    found = job("train", "Missing output files: m; Input files updated by another job: s", ["m"], region="n", seed="0")
    assert (found.name, found.of, found.threads, found.outputs) == ("train/n/0", "n/0", 2, ("m",))
    assert found.reasons == ("Missing output files: m", "Input files updated by another job: s")


def test_a_semicolon_in_a_setting_does_not_part_reasons():
    text = f"Set of input files has changed since last execution; {PARAMS}before: 'a; b' now: 'c; d' "
    assert [r.split(" ")[0] for r in previews.split_reasons(text)] == ["Set", "Params"]


WOOD = {"code": 1, "name": "wood", "colour": "#00ff00"}


@pytest.mark.parametrize(
    ("rule", "reason", "expected"),
    [
        ("split", "Missing output files: a, b", "not made yet"),
        ("split", "Incomplete output files: a", "a run was interrupted while this was written"),
        ("plan", "Updated input files: b.gpkg, a.gpkg", "newer than what was made of it: a.gpkg, b.gpkg"),
        ("assess", f"Updated input files: {', '.join(MAKERS)}", "follows from sample, train"),
        ("classify", "Input files updated by another job: results/samples/a.parquet", "follows from sample"),
        ("inventory", "Set of input files has changed since last execution", "it reads other files than before"),
        ("assess", "Forced execution", "asked for"),
        ("split", f"{PARAMS}before: 0.5 now: 0.6 ", "a setting changed: 0.5 → 0.6"),
        ("split", f"{PARAMS}before: <nothing exclusive> now: 'a' ", "a setting changed: nothing → 'a'"),
        ("train", f"{PARAMS}before: {{'a': 1, 'b': 2}} now: {{'a': 1, 'b': 3}} ", "a setting changed: b 2 → 3"),
        ("sample", f"{PARAMS}before: 2,{{'a': 2}} now: {{'a': 3}},3 ", "a setting changed: a 2 → 3"),
        (
            "mosaic",
            f"{PARAMS}before: [{WOOD}, {{'code': 2, 'name': 'water', 'colour': '#0000ff'}}] "
            f"now: [{WOOD}, {{'code': 2, 'name': 'water', 'colour': '#0000aa'}}] ",
            "a setting changed: colour of water #0000ff → #0000aa",
        ),
        ("mosaic", f"{PARAMS}before: [{WOOD}] now: [] ", f"a setting changed: [{WOOD}] → []"),
        (
            "train",
            f"{PARAMS}before: {{'name': 'a.py:A', 'digest': '{'0' * 16}'}} "
            f"now: {{'name': 'a.py:A', 'digest': '{'1' * 16}'}} ",
            "a setting changed: the file of the class",
        ),
        ("classify", f"{PARAMS}before: '{'0' * 16}',[1] now: [2],'{'1' * 16}' ", "a setting changed: [1] → [2]"),
        (
            "mosaic",
            f"{PARAMS}before: '{'0' * 16}' now: '{'1' * 16}' ",
            "a setting changed on which the maps depend",
        ),
        (
            "inventory",
            f"{PARAMS}before: '{'0' * 16}' now: '{'1' * 16}' ",
            "images changed (names, sizes or times of files)",
        ),
        (
            "inventory",
            f"{PARAMS}before: '{'0' * 16}' now: '{'0' * 16} again' ",
            "what was left out is refused now (`on_bad_acquisition`)",
        ),
        (
            "plan",
            f"{PARAMS}before: '{'0' * 16}' now: '{'1' * 16}' ",
            "the reference, the regions or the area changed (names, sizes or times of files)",
        ),
        ("any", "Something that Snakemake says one day", "Something that Snakemake says one day"),
    ],
)
def test_reasons_in_plain_words(rule, reason, expected):
    assert previews.plain(reason, rule, MAKERS) == expected


def test_the_message_of_a_run_that_is_refused_begins_with_its_error():
    assert previews.said("Using profile a\nWorkflowError:\nseeds: found 0") == "WorkflowError:\nseeds: found 0"
    assert previews.said("something else") == "something else"


def test_the_table_says_jobs_needs_names_and_reasons():
    jobs = [
        job("train", "Missing output files: m0", ["m0"], region="north", seed="0"),
        job("train", f"{PARAMS}before: 1 now: 2 ", ["m1"], region="north", seed="1"),
        job("sample", "Updated input files: r", ["s"], tile="31TGL"),
        job("assess", "Input files updated by another job: m0", ["a"]),
    ]
    needs = [Need(3600, 500, 10), Need(7200, 2048, 20), Need(36, 300, 1500), Need(0, 100, 0)]
    lines = what_if.table(Answer(job("plan", "", ["r"]), jobs, needs, ["31TGL"]))
    assert lines == [
        "rule           jobs  core-hours     memory       disk  of",
        "sample            1        0.01    300 MiB   1.46 GiB  31TGL",
        "              follows from plan",
        "train             2        3.00      2 GiB     30 MiB  north/0, north/1",
        "              1 × not made yet",
        "              1 × a setting changed: 1 → 2",
        "assess            1        0.00    100 MiB      0 MiB",
        "              follows from train",
        "all               4        3.01      2 GiB   1.49 GiB",
        "Not inventoried yet, so taken for what the names of their products say: 31TGL.",
    ]


def test_nothing_to_run():
    assert what_if.table(Answer(None, [], [])) == ["Nothing would run: everything is up to date."]


def test_a_run_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").touch()
    run = Run.of(arguments("--configfile", "my.yaml", "--", "--config", "seeds=6"))
    assert run == Run(tmp_path / "my.yaml", tmp_path, None, "all", True, ("--config", "seeds=6"))
    assert run.command("-n")[3:] == [
        *("--snakefile", str(commands.ROOT / "Snakefile"), "--directory", str(tmp_path)),
        *("--configfile", str(tmp_path / "my.yaml"), "--cores", "all", "--config", "seeds=6", "-n"),
    ]


def test_a_profile_may_name_folder_and_settings_and_leaves_cores_to_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profile = tmp_path / "snakemake/mine/profile.yaml"
    profile.parent.mkdir(parents=True)
    (tmp_path / "country.yaml").touch()
    profile.write_text(f"directory: {tmp_path}\nconfigfile: [{tmp_path}/country.yaml]\n")
    run = Run.of(arguments("--profile", "mine"))
    assert run == Run(tmp_path / "country.yaml", tmp_path, "mine", None, True)
    assert run.command()[-2:] == ["--profile", "mine"]
    assert Run.of(arguments("--profile", str(profile))).directory == tmp_path
    monkeypatch.chdir(tmp_path)
    assert Run.of(arguments("--profile", "snakemake/mine")).profile == str(profile.parent)
    assert Run.of(arguments("--profile", str(profile.parent), "--cores", "3")).cores == "3"


def test_without_settings_the_example_of_the_folder_counts(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text("results: here\n")
    run = Run.of(arguments("--directory", str(tmp_path)))
    assert (run.configfile, run.named) == (tmp_path / "config/config.yaml", False)
    assert "--configfile" not in run.command()


def test_settings_or_a_profile_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"no\.yaml is not there: name the settings of the run with --configfile"):
        Run.of(arguments("--configfile", str(tmp_path / "no.yaml")))
    with pytest.raises(SettingsError, match="profile 'nowhere' is not there: name its folder"):
        Run.of(arguments("--profile", "nowhere"))
    (tmp_path / "profile.yaml").write_text("a: [")
    with pytest.raises(SettingsError, match=r"profile\.yaml is no YAML that can be read"):
        Run.of(arguments("--profile", str(tmp_path)))


def test_the_command_says_what_is_wrong_and_fails(tmp_path, capsys):
    assert what_if.main(["--configfile", str(tmp_path / "no.yaml")]) == 1
    assert capsys.readouterr().err.endswith("name the settings of the run with --configfile.\n")


def classes(**codes):
    return Nomenclature(tuple(LandClass(code, name, "#000000") for name, code in codes.items()))


def test_a_frozen_model_may_have_renamed_and_new_classes_but_none_exchanged(tmp_path):
    path = str(tmp_path / "model.json")
    write_json(path, {"names": {"1": "wheat", "2": "maize"}})
    for known in (classes(wheat=1, maize=2), classes(barley=1, maize=2), classes(wheat=1, maize=2, rye=3)):
        check(path, known)
    with pytest.raises(InputError, match="learnt 'maize' as code 2, and the nomenclature gives it code 1 now"):
        check(path, classes(maize=1, wheat=2))
    with pytest.raises(InputError, match=r"no\.json is not there, and `map.freeze` takes models as they are"):
        check(str(tmp_path / "no.json"), classes(wheat=1))


def test_what_an_inventory_left_out_counts_until_a_file_is_newer(tmp_path):
    table, image = tmp_path / "a.csv", tmp_path / "image.tif"
    assert not left_out(str(table), [])
    image.touch()
    table.write_text("sensor,id,date,clear,note\ns2,a,2018-01-01,0.5,\n")
    assert not left_out(str(table), [str(image)])
    table.write_text("sensor,id,date,clear,note\ns2,a,2018-01-01,,left out: it is cut\n")
    watched = [str(image), str(tmp_path / "gone.tif")]
    assert left_out(str(table), watched)
    later = table.stat().st_mtime + 10
    os.utime(image, (later, later))
    assert not left_out(str(table), watched)
