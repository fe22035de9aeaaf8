"""The dry run of many tiles, after their plan and before their images: the jobs that there will be."""

import pstats
import re
import subprocess
import sys

import country


def test_jobs_of_a_dry_run(tmp_path):
    words = ["--dry", "--tiles", "24", "--products", "3", "--regions", "4", "--seeds", "2"]
    command = [sys.executable, country.ROOT / "benchmarks/nation.py", *words, "--output", tmp_path / "figures.json"]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}
    assert jobs["inventory"] == jobs["sample"] == jobs["classify"] == 24
    assert jobs["split"] == 4 * 2 and jobs["train"] == 4 * 3
    assert jobs["mosaic"] == 3 and "plan" not in jobs


def test_snakemake_is_asked_for_the_plan_twice_however_many_tiles(mapped, tmp_path):
    """Before it knows that the plan is made, and after: each time it writes out the names of all its files."""
    command = [sys.executable, "-m", "cProfile", "-o", tmp_path / "calls", "-m", "snakemake", "-n"]
    command += ["-s", country.ROOT / "Snakefile", "--directory", mapped, "--configfile", mapped / "settings.yaml"]
    subprocess.run([str(w) for w in command], check=True, capture_output=True)
    calls = pstats.Stats(str(tmp_path / "calls")).stats
    assert [
        counts[0] for (path, _, name), counts in calls.items() if (path[-14:], name) == ("checkpoints.py", "get")
    ] == [2]
