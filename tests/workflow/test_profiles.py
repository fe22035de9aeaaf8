"""Profiles: each plans the tests' country, from any folder; and the one for Kubernetes makes jobs of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import country
import pytest
import yaml

from parcelle.operations import user_profile

PROFILES = country.ROOT / "profiles"

# In place of `kubectl`: it runs what it is asked to create, at once, and remembers what that was and how it ended.
KUBECTL = f"""#!{sys.executable}
import json, os, subprocess, sys
from pathlib import Path

folder = Path(os.environ["FAKE_CLUSTER"])
if sys.argv[1] == "create":
    job = json.load(sys.stdin)
    name = job["metadata"]["name"]
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    ended = subprocess.run(command, cwd="/", capture_output=True).returncode
    job["status"] = "Failed" if ended else "SuccessCriteriaMet Complete"
    (folder / f"{{name}}.json").write_text(json.dumps(job))
    print(f"job.batch/{{name}}")
elif sys.argv[1] == "get":
    name = sys.argv[-1].removeprefix("job.batch/")
    path = folder / f"{{name}}.json"
    if path.exists():
        print(name, json.loads(path.read_text())["status"])
"""


def environment(tmp_path, path=None, **variables):
    """Variables for a user whose home is elsewhere."""
    found = os.environ | {"HOME": str(tmp_path / "home"), "PATH": path or os.environ["PATH"]} | variables
    return {name: value for name, value in found.items() if name not in ("XDG_CONFIG_HOME", "SNAKEMAKE_PROFILE")}


def snakemake(*words, cwd, env):
    command = [sys.executable, "-m", "snakemake", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def without_slurm(tmp_path):
    """A folder for PATH with the few commands that Snakemake calls, and none of a cluster."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("which", "sh", "bash", "git", "uname"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


@pytest.fixture
def empty(tmp_path):
    """The settings of the tests' country, of which nothing is made."""
    return country.write(tmp_path / "run")


@pytest.mark.parametrize("profile", sorted(PROFILES.glob("*/profile.yaml")), ids=lambda path: path.parent.name)
def test_each_profile_plans_the_country_without_a_cluster(empty, tmp_path, profile):
    words = ["-s", country.ROOT / "Snakefile", "--profile", profile.parent, "--directory", empty, "-n"]
    env = environment(tmp_path, without_slurm(tmp_path))
    code, said = snakemake(*words, "--configfile", empty / "settings.yaml", cwd=tmp_path, env=env)
    assert code == 0, said
    assert country.jobs(said)[:2] == ["assess", "classify/31TGL"] and "plan" in country.jobs(said)


@pytest.mark.parametrize("name", user_profile.names())
def test_the_profile_of_a_user_works_from_any_folder(empty, tmp_path, name):
    env, below = environment(tmp_path), tmp_path / "elsewhere/below"
    below.mkdir(parents=True)
    command = [sys.executable, "-m", "parcelle.operations.user_profile", name, "--directory", str(empty)]
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    for place, configfile in ((below, empty / "settings.yaml"), (tmp_path, "run/settings.yaml")):
        code, said = snakemake("--profile", name, "--configfile", configfile, "-n", cwd=place, env=env)
        assert code == 0, said
        assert "plan" in country.jobs(said)
    assert list(below.iterdir()) == []


def test_what_the_profile_of_every_run_says_holds_from_any_folder(again, tmp_path):
    """A touched script reruns nothing, although Snakemake does not find profiles/default from there."""
    clone = tmp_path / "clone"
    for name in ("workflow", "scripts", "profiles", "envs"):
        shutil.copytree(country.ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(country.ROOT / "Snakefile", clone)
    env = environment(tmp_path, PYTHONPATH=str(clone / "workflow"))
    command = [sys.executable, "-m", "parcelle.operations.user_profile", "local", "--directory", again]
    words = [*map(str, command), "--configfile", str(again / "settings.yaml")]
    subprocess.run(words, cwd=tmp_path, env=env, check=True, capture_output=True)
    (clone / "scripts/train.py").touch()
    code, said = snakemake("--profile", "local", "-n", cwd=tmp_path, env=env)
    assert code == 0 and country.jobs(said) == [], said
    profile = tmp_path / "home/.config/snakemake/local/profile.yaml"
    profile.write_text(profile.read_text().replace("rerun-triggers:", "# rerun-triggers:"))
    code, said = snakemake("--profile", "local", "-n", cwd=tmp_path, env=env)
    assert code == 0 and "train/north/0" in country.jobs(said), said


def test_jobs_of_kubernetes_ask_for_what_the_rules_ask_for(empty, tmp_path):
    tools, jobs = tmp_path / "tools", tmp_path / "jobs"
    tools.mkdir()
    jobs.mkdir()
    (tools / "kubectl").write_text(KUBECTL)
    (tools / "kubectl").chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = environment(tmp_path, path, FAKE_CLUSTER=str(jobs))
    words = ["-s", country.ROOT / "Snakefile", "--profile", PROFILES / "kubernetes", "--directory", empty]
    words += ["--configfile", empty / "settings.yaml", "--seconds-between-status-checks", 1]
    resources = ["--set-resources", "plan:mem_mb=1234", "plan:runtime=7", "--set-threads", "plan=3"]
    code, said = snakemake(*words, *resources, "--until", "plan", cwd=tmp_path, env=env)
    assert code == 0, said
    assert (empty / "results/plan.json").is_file()
    (job,) = [json.loads(path.read_text()) for path in jobs.iterdir()]
    asked = {"cpu": "3", "memory": "1234Mi"}
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == {"requests": asked, "limits": asked}
    assert job["spec"]["activeDeadlineSeconds"] == 7 * 60
    template = yaml.safe_load((PROFILES / "kubernetes/job.yaml").read_text())
    assert container["image"] == template["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("parcelle-x ", "running"),
        ("parcelle-x SuccessCriteriaMet Complete", "success"),
        ("parcelle-x FailureTarget Failed", "failed"),
        ("", "failed"),
        (None, "running"),
    ],
)
def test_how_a_job_of_kubernetes_is(tmp_path, answer, word):
    (tmp_path / "kubectl").write_text("#!/bin/sh\nexit 1\n" if answer is None else f"#!/bin/sh\nprintf '{answer}'\n")
    (tmp_path / "kubectl").chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([PROFILES / "kubernetes/status", "job.batch/x"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{word}\n")
