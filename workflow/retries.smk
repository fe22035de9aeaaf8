"""Which jobs are tried again: those that lacked memory, time or their machine, and none that refused its input."""

from snakemake.jobs import Job

from parcelle.operations import jobs

STARTED = jobs.now()


def retries(job):
    """Times that a job may be tried again: none once it said what is wrong with its data or settings."""
    refused = jobs.refused(SETTINGS.results, job.rule.name, job.wildcards_dict, STARTED)
    return 0 if refused else job.rule.restart_times


# Snakemake knows one number of retries for all failures of a rule. It asks for it when a job has failed.
Job.restart_times = property(retries)
