"""What is said when a run starts and ends, by the main process alone."""

import atexit
import sys

ledger = late.module("parcelle.operations.ledger")
upgrades = late.module("parcelle.operations.upgrades")
LAST_WORDS = []

# Settings of Snakemake itself are not known yet where rules are read.
if workflow.is_main_process and not {"-F", "--forceall"} & set(sys.argv):
    told(ledger.refuse_unknown)(SETTINGS.results)

# Not by `onstart`, which is not called where there is nothing to do: then above all somebody may wonder.
if workflow.is_main_process and (upgraded := upgrades.notice(SETTINGS.results)):
    print(upgraded, file=sys.stderr)


def say_last_words():
    """Print what the user has to mend, after all that Snakemake says."""
    for line in LAST_WORDS:
        print(line, file=sys.stderr)


# Registered before those of Snakemake's executors, so that it is the last of them.
atexit.register(say_last_words)


onerror:
    LAST_WORDS.extend(jobs.refusals(SETTINGS.results, STARTED))
