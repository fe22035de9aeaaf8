"""The rules against the scripts they call, the example settings and the profiles."""

import os
import re
import subprocess
import sys
from pathlib import Path

import country
import pytest
import yaml
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

RULES = ["plan", "inventory", "sample", "split", "train", "classify", "feature_map", "mosaic", "assess", "report"]
RULES += ["provenance"]


def snakemake(*words, **environment):
    command = [sys.executable, "-m", "snakemake", *map(str, words)]
    return subprocess.run(command, cwd=country.ROOT, capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    folder = country.write(tmp_path_factory.mktemp("rules"))
    here = Path.cwd()
    os.chdir(folder)
    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=[folder / "settings.yaml"]),
                snakefile=country.ROOT / "Snakefile",
            )._workflow
            yield {rule.name: rule for rule in workflow.rules if rule.script}
    finally:
        os.chdir(here)


def test_each_rule_has_a_script_of_its_name(rules):
    assert sorted(rules) == sorted(RULES)
    for name, rule in rules.items():
        assert (Path(rule.snakefile).parent / rule.script).resolve() == country.ROOT / f"scripts/{name}.py"
    assert sorted(p.stem for p in (country.ROOT / "scripts").glob("*.py")) == sorted(RULES)


def test_scripts_ask_only_for_what_rules_declare(rules):
    checked = 0
    for name, rule in rules.items():
        text = (country.ROOT / f"scripts/{name}.py").read_text()
        for kind, item in re.findall(r"\bsnakemake\.(input|output|params)\.(\w+)", text):
            if item not in ("get", "items"):
                assert item in dict(getattr(rule, kind).items()), f"{name}: {kind}.{item}"
                checked += 1
    assert checked > 40


def test_every_rule_says_what_it_needs(rules):
    for name, rule in rules.items():
        assert rule.log and rule.benchmark, name
        assert {"mem_mb", "runtime"} <= set(rule.resources), name


def test_windows_threads_and_folders_are_no_parameters(rules):
    for name, rule in rules.items():
        assert not {"window", "threads", "path", "results"} & set(dict(rule.params.items())), name


def test_lint():
    said = snakemake("--lint", "--configfile", "config/examples/flanders-2018.yaml", PARCELLE_DATA="data")
    assert "good condition" in said.stderr, said.stdout + said.stderr


@pytest.mark.parametrize("example", sorted((country.ROOT / "config/examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_examples_are_accepted(example):
    said = snakemake("-n", "--until", "plan", "--configfile", example, PARCELLE_DATA="/nowhere")
    assert "Wrong settings" not in said.stdout + said.stderr
    assert "/nowhere/" in said.stdout + said.stderr


def test_examples_name_the_variable_they_need():
    environment = {name: value for name, value in os.environ.items() if name != "PARCELLE_DATA"}
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", "config/examples/flanders-2018.yaml"]
    said = subprocess.run(command, cwd=country.ROOT, capture_output=True, text=True, env=environment)
    assert "environment variable PARCELLE_DATA is not set" in said.stderr + said.stdout


def test_what_the_profile_of_slurm_leaves_to_a_site_can_be_uncommented():
    text = (country.ROOT / "profiles/slurm/profile.yaml").read_text()
    profile = yaml.safe_load(re.sub(r"(?m)^( *)#(?=\w|  \w)", r"\1", text))
    assert profile["default-resources"] == {"slurm_account": "demo", "node_scratch": "'TMPDIR'"}
    assert profile["set-resources"] == {"train": {"slurm_partition": "gpu", "qos": "long"}}


def test_profiles_leave_partitions_and_resources_to_what_jobs_need():
    profile = yaml.safe_load((country.ROOT / "profiles/slurm/profile.yaml").read_text())
    assert "set-resources" not in profile and list(profile["default-resources"]) == ["slurm_account"]
    assert profile["set-threads"].keys() <= set(RULES)
    partitions = yaml.safe_load((country.ROOT / "profiles/slurm/partitions.yaml").read_text())["partitions"]
    # With limits, the one with GPUs would be filled by jobs without; what fits nowhere else goes to the last resort.
    assert (list(partitions["gpu"]), partitions["highmem"]) == (["max_gpu"], {})
    default = yaml.safe_load((country.ROOT / "profiles/default/profile.yaml").read_text())
    assert "default-resources" not in default and "cores" not in default
    assert default["rerun-triggers"] == ["mtime", "params", "input"]
