"""The dry run of many tiles, after their plan and before their images: the jobs that there will be."""

import re
import subprocess
import sys

import country


def test_jobs_of_a_dry_run():
    words = ["--tiles", "24", "--products", "3", "--regions", "4", "--seeds", "2"]
    command = [sys.executable, country.ROOT / "benchmarks/nation.py", *words]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)}
    assert jobs["inventory"] == jobs["sample"] == jobs["classify"] == 24
    assert jobs["split"] == 4 * 2 and jobs["train"] == 4 * 3
    assert jobs["mosaic"] == 3 and "plan" not in jobs
