import os
from pathlib import Path

import pytest
import yaml

from parcelle.errors import InputError, ParcelleError, StaleError
from parcelle.operations import user_profile
from parcelle.operations.user_profile import Asked, write

SLURM = user_profile.PROFILES / "slurm"


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "run").mkdir()
    return Asked("slurm", tmp_path / "config/slurm", tmp_path / "run")


def read(asked):
    return yaml.safe_load((asked.to / "profile.yaml").read_text())


def test_snakefile_and_directory_are_absolute(asked):
    write(asked)
    assert read(asked)["snakefile"] == str(user_profile.ROOT / "Snakefile")
    assert read(asked)["directory"] == str(asked.directory)
    assert "configfile" not in read(asked)


def test_it_says_all_that_the_profiles_of_the_clone_say(asked):
    write(asked)
    own = yaml.safe_load((SLURM / "profile.yaml").read_text())
    common = yaml.safe_load((user_profile.PROFILES / "default/profile.yaml").read_text())
    where = {"snakefile", "directory", "slurm-partition-config"}
    assert {k: v for k, v in read(asked).items() if k not in where} == {
        k: v for k, v in (own | common).items() if k not in where
    }


def test_no_line_of_the_site_block_and_no_comment_is_lost(asked):
    write(asked)
    lines = (asked.to / "profile.yaml").read_text().splitlines()
    for source in (SLURM, user_profile.PROFILES / "default"):
        for line in (source / "profile.yaml").read_text().splitlines():
            assert line in lines or line.startswith("slurm-partition-config:")


@pytest.mark.parametrize("name", user_profile.names())
def test_no_key_stands_twice(tmp_path, name):
    asked = Asked(name, tmp_path / name, tmp_path)
    write(asked)
    keys = [
        line.split(":")[0]
        for line in (asked.to / "profile.yaml").read_text().splitlines()
        if line[:1].isalpha() and ":" in line
    ]
    assert sorted(keys) == sorted(read(asked))


def test_partitions_are_written_beside_and_named_by_an_absolute_path(asked):
    assert write(asked) == [asked.to / "partitions.yaml", asked.to / "profile.yaml"]
    assert read(asked)["slurm-partition-config"] == str(asked.to / "partitions.yaml")
    assert (asked.to / "partitions.yaml").read_text() == (SLURM / "partitions.yaml").read_text()


def test_commands_that_a_profile_names_are_written_beside_and_can_be_run(tmp_path):
    asked = Asked("kubernetes", tmp_path / "there", tmp_path)
    write(asked)
    for word in ("submit", "status", "cancel"):
        assert read(asked)[f"cluster-generic-{word}-cmd"] == str(asked.to / word)
        assert os.access(asked.to / word, os.X_OK)


def test_settings_of_the_run_may_stand_in_it(tmp_path, asked):
    path = tmp_path / "my country: 2018 #1.yaml"
    path.touch()
    write(Asked(asked.name, asked.to, asked.directory, path))
    assert read(asked)["configfile"] == [str(path)]


def test_written_again_while_nobody_edited_it(tmp_path, asked):
    write(asked)
    write(Asked(asked.name, asked.to, tmp_path))
    assert read(asked)["directory"] == str(tmp_path)
    assert list(asked.to.glob("*.old")) == []


@pytest.mark.parametrize("name", ["profile.yaml", "partitions.yaml"])
def test_what_was_edited_by_hand_is_not_overwritten(asked, name):
    write(asked)
    path = asked.to / name
    path.write_text(path.read_text().replace("cpu", "standard") + "# mine\n")
    before = {p: p.read_text() for p in asked.to.iterdir()}
    with pytest.raises(StaleError) as error:
        write(asked)
    assert str(error.value) == (
        f"{path} was edited by hand, or not made by this command: nothing was written. "
        f"Compare it with {SLURM}, or replace it with --force (make profile FORCE=1), which keeps it as {path}.old."
    )
    assert {p: p.read_text() for p in asked.to.iterdir()} == before


def test_force_keeps_what_was_there(asked):
    asked.to.mkdir(parents=True)
    (asked.to / "profile.yaml").write_text("jobs: 7\n")
    with pytest.raises(StaleError, match="not made by this command"):
        write(asked)
    write(asked, force=True)
    assert (asked.to / "profile.yaml.old").read_text() == "jobs: 7\n"
    assert read(asked)["executor"] == "slurm"


def test_force_overwrites_nothing_that_it_kept_before(asked):
    asked.to.mkdir(parents=True)
    path = asked.to / "profile.yaml"
    for number, suffix in enumerate(("old", "old2", "old3")):
        path.write_text(f"jobs: {number}\n")
        with pytest.raises(StaleError, match=rf"which keeps it as {path}\.{suffix}\.$"):
            write(asked)
        write(asked, force=True)
    kept = [path.with_name(f"profile.yaml.{suffix}").read_text() for suffix in ("old", "old2", "old3")]
    assert kept == ["jobs: 0\n", "jobs: 1\n", "jobs: 2\n"]


def test_the_profile_says_what_a_second_time_does_to_it(asked):
    write(asked)
    head = (asked.to / "profile.yaml").read_text().splitlines()[:5]
    assert head[2:4] == [
        "# Edit here what your site needs: once edited, a second `make profile` does not overwrite it (FORCE=1 does,",
        "# and keeps it under another name). As long as nobody edited it, it is written anew.",
    ]


@pytest.mark.parametrize("name", ["config", "config/slurm"])
def test_a_file_in_the_place_of_the_folder_is_named(asked, tmp_path, name):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.touch()
    with pytest.raises(ParcelleError) as error:
        write(asked)
    assert str(error.value) == (
        f"{asked.to} cannot be written (Not a directory: {place}): name another folder with --to "
        "(make profile TO=folder)."
    )


def test_a_checksum_that_is_no_text_is_that_of_an_edited_file(asked):
    write(asked)
    (asked.to / "profile.yaml.sha256").write_bytes(b"\xff\xfe")
    with pytest.raises(StaleError, match="was edited by hand"):
        write(asked)


def test_a_folder_that_cannot_be_written_is_named(asked, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(user_profile.files, "whole", full)
    with pytest.raises(ParcelleError) as error:
        write(asked)
    assert str(error.value).startswith(f"{asked.to} cannot be written (No space left on device: {asked.to}/")


def test_a_home_that_is_a_file_ends_in_a_sentence(tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    home.touch()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert user_profile.main(["slurm"]) == 1
    assert capsys.readouterr().err == (
        f"{home}/.config/snakemake/slurm cannot be written (Not a directory: {home}): name another folder with --to "
        "(make profile TO=folder).\n"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pbs"}, "there is no profile 'pbs' in {profiles}; there are: {names}."),
        ({"name": "default"}, "there is no profile 'default' in {profiles}; there are: {names}."),
        ({"directory": Path("/nowhere")}, "/nowhere is no folder: make it first, or name another one for the runs."),
        ({"configfile": Path("/nowhere.yaml")}, "/nowhere.yaml is not there: name the settings that are."),
    ],
)
def test_what_is_not_there_is_refused(asked, changes, message):
    given = {"name": asked.name, "to": asked.to, "directory": asked.directory} | changes
    with pytest.raises(InputError) as error:
        write(Asked(**given))
    names = ", ".join(user_profile.names())
    assert str(error.value) == message.format(profiles=user_profile.PROFILES, names=names)
    assert not asked.to.exists()


def test_the_command_writes_where_snakemake_looks_and_says_how_to_use_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert user_profile.main(["slurm"]) == 0
    folder = tmp_path / "config/snakemake/slurm"
    said = capsys.readouterr().out
    assert f"Written: {folder / 'profile.yaml'}" in said
    assert "  snakemake --profile slurm --configfile my.yaml\n" in said
    assert yaml.safe_load((folder / "profile.yaml").read_text())["directory"] == os.fspath(tmp_path)


def test_the_command_writes_elsewhere(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "my.yaml").touch()
    words = ["local", "--to", str(tmp_path / "here"), "--directory", str(tmp_path)]
    assert user_profile.main([*words, "--configfile", str(tmp_path / "my.yaml")]) == 0
    assert f"  snakemake --profile {tmp_path / 'here'}\n" in capsys.readouterr().out
    assert not (tmp_path / "config").exists()


def test_the_command_says_why_it_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_profile.main(["pbs"]) == 1
    assert capsys.readouterr().err.startswith("there is no profile 'pbs' in ")
