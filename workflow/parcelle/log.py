"""Where a script of the workflow says what it does, and what it used."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parcelle import files
from parcelle.errors import ParcelleError
from parcelle.operations import jobs


@contextlib.contextmanager
def logged(job: Any) -> Iterator[None]:
    """Send messages, prints and the trace of an error to the log of a Snakemake job.

    Args:
        job: The `snakemake` object of a script; its first `log` file is written anew, and its record (see
            `operations.jobs`). Drafts that an earlier attempt left of its outputs are removed.

    """
    with Path(job.log[0]).open("w", buffering=1, encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        logging.basicConfig(stream=stream, level="INFO", format="%(asctime)s %(name)s: %(message)s", force=True)
        try:
            for draft in files.sweep(job.output):
                logging.info("%s was left by a job that was killed: removed", draft)
            with jobs.recorded(job):
                files.await_past(job.input)
                yield
        except Exception as error:
            logging.exception("%s failed", job.rule)
            if isinstance(error, ParcelleError):
                # The sentence is for the user; where in the code it was raised stands in the log.
                sys.exit(f"{job.rule}: {error}")
            raise
        finally:
            logging.getLogger().handlers.clear()  # the stream is closed now
