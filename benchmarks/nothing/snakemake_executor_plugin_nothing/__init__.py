"""A cluster that runs nothing: what a job writes is copied from a tiny country, where the same rule wrote it.

Snakemake finds the package by its name, where `PYTHONPATH` leads to it.
"""

import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)

# Results of the tiny country: `nation.py` says where.
COUNTRY = Path(os.environ.get("TINY_COUNTRY", ""))

# What its tile, region and seed are called.
NAMES = {"tile": "31TGM", "region": "whole", "seed": "0"}


class Executor(RemoteExecutor):
    """Copies, and says that all jobs have ended."""

    def run_job(self, job: JobExecutorInterface) -> None:
        """Copy what the job writes, its benchmark too, with the checksums beside."""
        for path in (*job.output, job.benchmark):
            source = self._source(Path(path), dict(job.wildcards_dict))
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            for end in ("", ".sha256"):
                if (found := Path(f"{source}{end}")).exists():
                    shutil.copyfile(found, f"{path}{end}")
        self.report_job_submission(SubmittedJobInfo(job))

    @staticmethod
    def _source(path: Path, wildcards: dict[str, str]) -> Path:
        """Where the tiny country has what a job writes: the first folder is that of the results."""
        own = {value: value if value == "all" else NAMES.get(name, value) for name, value in wildcards.items()}
        parts = [part.split(".", 1) for part in path.parts[1:]]
        return COUNTRY.joinpath(*(".".join([own.get(name, name), *end]) for name, *end in parts))

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncGenerator[SubmittedJobInfo, None]:
        """Say that all have ended well; none is left."""
        for job in active_jobs:
            self.report_job_success(job)
        for job in ():
            yield job

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Nothing runs, so there is nothing to stop."""
