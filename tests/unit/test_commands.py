"""How a command finds its run: what it refuses, each with one sentence that names the file."""

import argparse
from pathlib import Path

import pytest
import yaml

from parcelle.errors import SettingsError
from parcelle.operations import commands
from parcelle.operations.commands import Run


def arguments(*words, snakemake=True):
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser, snakemake=snakemake)
    return parser.parse_args(words)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with settings, where the test works."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("results: results\n")
    return tmp_path


def said(*words):
    with pytest.raises(SettingsError) as error:
        Run.of(arguments(*words))
    return str(error.value)


def profile(content):
    path = Path("site/profile.yaml")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            ["executor"],
            "site/profile.yaml is no group of settings such as `jobs: 8`: mend it, or name another profile.",
        ),
        ("text", "site/profile.yaml is no group of settings such as `jobs: 8`: mend it, or name another profile."),
        ({"configfile": []}, "configfile in site/profile.yaml is []: name one file of settings there."),
        ({"configfile": 5}, "configfile in site/profile.yaml is 5: name one file of settings there."),
        ({"configfile": [["a"]]}, "configfile in site/profile.yaml is [['a']]: name one file of settings there."),
        (
            {"configfile": ["my.yaml", "more.yaml"]},
            "configfile in site/profile.yaml is ['my.yaml', 'more.yaml']: name one file of settings there.",
        ),
        ({"directory": ["a"]}, "directory in site/profile.yaml is ['a']: name one folder there."),
        ({"directory": 5}, "directory in site/profile.yaml is 5: name one folder there."),
        ({"set-threads": 4}, "set-threads in the profile is 4: give each rule a whole number of at least 1."),
        (
            {"set-threads": {"train": 0}},
            "set-threads in the profile is {'train': 0}: give each rule a whole number of at least 1.",
        ),
        (
            {"set-threads": ["train"]},
            "set-threads in the profile is ['train']: give each rule a whole number of at least 1.",
        ),
    ],
)
def test_a_profile_that_says_something_else_is_named(here, content, expected):
    profile(content)
    words = ("--profile", "site") if "configfile" in content else ("--profile", "site", "--configfile", "my.yaml")
    assert said(*words) == expected


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 100_000, b"a: 2018-13-45\n", b"a: [\n"])
def test_a_profile_that_is_no_yaml_is_named(here, content):
    profile(content)
    assert said("--profile", "site", "--configfile", "my.yaml").startswith(
        "site/profile.yaml is no YAML that can be read"
    )


def test_settings_that_are_named_hold_before_those_of_a_profile(here):
    profile({"configfile": ["a.yaml", "b.yaml"]})
    assert Run.of(arguments("--profile", "site", "--configfile", "my.yaml")).configfile == here / "my.yaml"


def test_one_file_of_settings_in_a_profile_is_taken(here):
    for content in ("my.yaml", ["my.yaml"]):
        profile({"configfile": content, "set-threads": ["train=4"]})
        run = Run.of(arguments("--profile", "site"))
        assert (run.configfile, run.threads) == (here / "my.yaml", {"train": 4})


@pytest.mark.parametrize("make", [None, Path.touch])
def test_a_folder_of_the_run_that_is_none_is_named(here, make):
    if make:
        make(here / "nowhere")
    assert said("--configfile", "my.yaml", "--directory", "nowhere") == (
        f"{here}/nowhere is no folder: name the folder of the run with --directory, or `directory` in the profile."
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n", "5\n", "[a]\n", "text\n"])
def test_settings_that_are_no_group_are_named(here, text):
    Path("my.yaml").write_text(text)
    with pytest.raises(SettingsError) as error:
        Run.of(arguments("--configfile", "my.yaml")).settings()
    assert str(error.value) == (
        f"{here}/my.yaml holds no settings such as `tiles: [31TCJ]`: write them there, or name another file with "
        "--configfile."
    )


@pytest.mark.parametrize("text", [b"\xff\xfe\x00", b"[" * 100_000, b"a: [\n", b"a: \x00\n"])
def test_settings_that_are_no_yaml_are_named(here, text):
    Path("my.yaml").write_bytes(text)
    with pytest.raises(SettingsError) as error:
        Run.of(arguments("--configfile", "my.yaml")).settings()
    assert str(error.value).startswith(f"{here}/my.yaml is no YAML that can be read")


def test_settings_that_are_wrong_are_named_with_their_file(here):
    with pytest.raises(SettingsError) as error:
        Run.of(arguments("--configfile", "my.yaml")).settings()
    assert str(error.value).startswith(f"{here}/my.yaml: Wrong settings:\n  tiles: this setting is required")


def test_words_for_snakemake_are_taken_only_where_it_is_called(here, capsys):
    words = ("--configfile", "my.yaml", "--", "--config", "seeds=6")
    assert Run.of(arguments(*words)).words == ("--config", "seeds=6")
    assert Run.of(arguments("--configfile", "my.yaml", snakemake=False)).words == ()
    with pytest.raises(SystemExit):
        arguments(*words, snakemake=False)
    assert "unrecognized arguments" in capsys.readouterr().err


def test_settings_that_must_not_be_read_are_named(here, monkeypatch):
    def refused(path, **words):
        raise PermissionError(13, "Permission denied", str(path))

    run = Run.of(arguments("--configfile", "my.yaml"))
    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(SettingsError, match=r"my\.yaml cannot be read \(Permission denied\): name another file"):
        run.settings()
