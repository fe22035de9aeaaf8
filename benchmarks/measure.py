"""Time things side by side, and keep what came out: figures in one JSON file, and Markdown tables of them."""

import argparse
import contextlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parent / "figures.json"
LIBRARIES = ("numpy", "scikit-learn", "numba", "rasterio", "onnxruntime", "treelite")


@dataclass(frozen=True)
class Figure:
    """One line of a table.

    Attributes:
        stage: The table it belongs to; a run replaces the stages that it measures.
        name: What is compared with what.
        measured: The ratio, or whatever `unit` says.
        threads: Threads of each side.
        unit: × for ratios.
        at_least: Bar from below.
        at_most: Bar from above.
        rates: Absolute figures behind the ratio, by name.
        rate_unit: Their unit.

    """

    stage: str
    name: str
    measured: float
    threads: int
    unit: str = "×"
    at_least: float | None = None
    at_most: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    rate_unit: str = ""

    @property
    def must_be(self) -> str:
        """The bar, for people."""
        bars = [f"{sign} {bar:g}" for sign, bar in (("≥", self.at_least), ("≤", self.at_most)) if bar is not None]
        return f"{' and '.join(bars)} {self.unit}".strip() if bars else "reported"

    @property
    def holds(self) -> bool | None:
        """Whether it is as it must be; None without a bar."""
        if self.at_least is None and self.at_most is None:
            return None
        above = self.at_least is None or self.measured >= self.at_least
        return above and (self.at_most is None or self.measured <= self.at_most)

    def row(self) -> str:
        """A row of a Markdown table."""
        rates = ", ".join(f"{name} {number(value)}" for name, value in self.rates.items())
        verdict = {True: "yes", False: "**no**", None: "–"}[self.holds]
        measured = f"{number(self.measured)} {self.unit}".strip()
        cells = (self.name, self.threads, self.must_be, measured, verdict, f"{rates} {self.rate_unit}".strip())
        return f"| {' | '.join(str(cell) for cell in cells)} |"


class Figures:
    """Figures of one run; they join those of earlier runs in a JSON file."""

    def __init__(self, path: Path = FIGURES):
        self._path = path
        self._new: list[Figure] = []
        self._others = Others()

    def add(self, *figures: Figure) -> None:
        """Keep figures until `write`, and show them."""
        self._new.extend(figures)
        for figure in figures:
            print(figure.row(), flush=True)

    def write(self) -> None:
        """Print the tables of this run, and put its stages in the place of the same stages in the file."""
        stages = json.loads(self._path.read_text()) if self._path.exists() else {}
        context = machine() | {"cores that others kept busy": round(self._others.cores(), 2)}
        for stage in dict.fromkeys(figure.stage for figure in self._new):
            own = [figure for figure in self._new if figure.stage == stage]
            stages[stage] = {"machine": context, "figures": [_as_json(figure) for figure in own]}
            print(f"\n{table(stage, own)}", flush=True)
        print(f"\nOthers kept {context['cores that others kept busy']} cores busy meanwhile; 0 would be best.")
        self._path.write_text(json.dumps(stages, indent=1, ensure_ascii=False) + "\n")


class Others:
    """How busy other processes, and other machines on the same processor, keep the cores from now on."""

    def __init__(self) -> None:
        self._start = self._now()

    def cores(self) -> float:
        """Cores that they kept busy since then, on average."""
        wall, everyone, own = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return max(everyone - own, 0) / wall

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds: by the clock, of all processes, and of this one with its children."""
        with Path("/proc/stat").open() as lines:
            user, nice, system, _, _, interrupts, soft, stolen = map(int, lines.readline().split()[1:9])
        ticks = user + nice + system + interrupts + soft + stolen
        return time.perf_counter(), ticks / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def _as_json(figure: Figure) -> dict[str, Any]:
    return asdict(figure) | {"must_be": figure.must_be, "holds": figure.holds}


def table(stage: str, figures: Sequence[Figure]) -> str:
    """Markdown table of a stage."""
    head = "| figure | threads | must be | measured | holds | absolute |\n|---|---|---|---|---|---|"
    return "\n".join([f"**{stage}**\n", head, *(figure.row() for figure in figures)])


def number(value: float) -> str:
    """Three digits that mean something; whole numbers from 100 on are whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What a figure is measured on, and with."""
    with Path("/proc/cpuinfo").open() as lines:
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {}
    for library in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions[library] = version(library)
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": versions,
    }


def alternate(tasks: Mapping[str, Callable[[], Any]], repeats: int = 5, first: bool = True) -> dict[str, float]:
    """Time tasks in turns: what else the machine does then falls on all of them alike.

    Args:
        tasks: What to time, by name.
        repeats: Turns that count.
        first: Whether a turn that does not count comes first; it compiles, and fills caches.

    Returns:
        Median seconds of each.

    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(-1 if first else 0, repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Restrict this process, and what it starts meanwhile, to so many cores.

    Raises:
        ValueError: The process has fewer.

    """
    before = sorted(os.sched_getaffinity(0))
    if threads > len(before):
        raise ValueError(f"{threads} cores are asked for, and the process may use {len(before)}: ask for fewer")
    _restrict(before[:threads])
    try:
        yield
    finally:
        _restrict(before)


def _restrict(cores: Sequence[int]) -> None:
    """Restrict all threads that there are; new ones inherit it."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def arguments(description: str | None) -> argparse.Namespace:
    """Read the words that all measurements share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--output", type=Path, default=FIGURES, help="JSON file of the figures")
    parser.add_argument("--full", action="store_true", help="also what takes long: large models, slow peers")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="thread counts to measure")
    return parser.parse_args()
