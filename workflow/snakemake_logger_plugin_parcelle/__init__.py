"""A logger plug-in of Snakemake: the jobs that it would run, or runs, as lines of JSON in a file.

Snakemake finds it by the folder's name wherever `workflow` is on the path of Python:
`snakemake -n --logger parcelle --logger-parcelle-file jobs.jsonl`.
"""

import json
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """What the command line may say of it."""

    file: Path = field(default=Path("jobs.jsonl"), metadata={"help": "File to write, a line per job."})


class LogHandler(LogHandlerBase):
    """Writes rule, wildcards, outputs, threads and reason of each job."""

    writes_to_stream = False
    writes_to_file = True
    has_filter = True  # what `--quiet` keeps from the screen is written all the same
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin the file anew."""
        self.baseFilename = str(self.settings.file)
        self.stream = Path(self.baseFilename).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115, `close` ends it

    def emit(self, record: LogRecord) -> None:
        """Write a job; other messages are for people."""
        said = vars(record)
        if said.get("event") == LogEvent.JOB_INFO:
            names = ("rule_name", "wildcards", "output", "threads", "reason")
            self.stream.write(json.dumps({name: said[name] for name in names}) + "\n")

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
        super().close()
