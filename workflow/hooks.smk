"""What is said when a run starts and ends, by the main process alone."""

import atexit
import sys

LAST_WORDS = []


def say_last_words():
    """Print what the user has to mend, after all that Snakemake says."""
    for line in LAST_WORDS:
        print(line, file=sys.stderr)


# Registered before those of Snakemake's executors, so that it is the last of them.
atexit.register(say_last_words)


onerror:
    LAST_WORDS.extend(jobs.refusals(SETTINGS.results, STARTED))
