"""What SLURM says of jobs, made such that Snakemake's plug-in for it neither misses an end nor forgets a job."""

import sys

from parcelle.operations import slurm

# Imported by Snakemake at its start, where it is installed.
PLUGIN = sys.modules.get("snakemake_executor_plugin_slurm")


async def query_job_status(command, logger):
    """Ask as the plug-in does: it would take `CANCELLED by 0` for a job that runs, and no answer for no jobs."""
    found, seconds = await PLUGIN.job_status_query.query_job_status(command, logger)
    return slurm.states(found, workflow.executor_settings.requeue), seconds or 0.0


if PLUGIN:
    PLUGIN.query_job_status = query_job_status
