"""Python starts with this where the folder is on its path: Snakemake then looks every second for jobs that ended.

Tests wait for many short jobs one by one, and the plug-in waits ten seconds longer after each look at which none had
ended, as it should on a site. Jobs are not started with a profile: they do without.
"""

import sys

if "--profile" in sys.orig_argv:
    from snakemake_executor_plugin_slurm import Executor

    Executor.next_seconds_between_status_checks = property(lambda executor: 1, lambda executor, seconds: None)
