"""Write docs/performance.md from the measured figures."""

import json
from pathlib import Path

import measure
from measure import Figure

PAGE = Path(__file__).parents[1] / "docs/performance.md"

HEAD = """# Performance

What Parcelle costs, measured by commands that anyone can run. Every comparison alternates the two sides in one run, so
that what else the machine does falls on both; medians are compared. Absolute figures differ from machine to machine,
and by a quarter from run to run; ratios are what counts. *kpx/s* are thousands of pixels per second.

| command | measures |
|---|---|
| `make bench` | most of the tables below, in 18 minutes on two cores |
| `make bench-strip` | a strip of 10,980 × 1,024 pixels, and what a tile costs |
| `make bench-nation` | Snakemake on 100, 1,000 and 5,000 tiles, without images |
| `python benchmarks/submissions.py` | jobs on a SLURM cluster, beside their work |
| `make bench-peers` | a larger forest; ONNX Runtime and treelite, in their own environment; OTB where it is installed |
| `make bench-full` | training, JPEG 2000 and files of strips at real size: an hour |

This page is written by `make bench` from `benchmarks/figures.json` (`python benchmarks/page.py`).
"""

WHY = """
## How it is done

- **Every block is decoded once.** Windows are multiples of the files' blocks. Each is mapped a few pixels up and to the
  left of what is read for it, and leaves its last rows and columns to its neighbours, so that interpolating 20 m bands
  needs no block twice. Files stay open; one handle each, whatever the threads.
- **Masks come first.** A date that is masked all over a window is not decoded there.
- **Bands stay at their own size** in memory, as int16. A row of 20 m pixels is interpolated when it is needed.
- **Rows, not windows.** Interpolation, gap-filling, indices and the forest work on a row at a time, which stays in the
  processor's cache. A window's features are never written to memory.
- **Gap-filling by runs.** Clouds are larger than pixels: neighbours share their nearest clear dates, and are filled
  together.
- **The forest goes sixteen pixels at a time**, eight bytes a node, without a branch (`parcelle/models/trees.py`). Its
  probabilities have the same bits as scikit-learn's on one thread.
- **One window is read while one is mapped and one is written**, by one pool of threads.

Memory is a formula (`parcelle.mapping.memory_mb`): two windows of values and masks, 0.6 MB for each open file, and the
models. Rules ask for it as `mem_mb`.

Kernels are compiled by numba when they are first called, once per machine: into the package's folder, or where that
cannot be written or locked, into the node's temporary folder; `NUMBA_CACHE_DIR` names another place. Jobs that start at
the same time wait for the first.
"""


def page(stages: dict) -> str:
    """Text of the page."""
    parts = [HEAD]
    for stage, content in stages.items():
        names = set(Figure.__dataclass_fields__)
        figures = [Figure(**{k: v for k, v in figure.items() if k in names}) for figure in content["figures"]]
        title, _, rows = measure.table(stage, figures).partition("\n")
        name = title.strip("*")
        parts.append(f"## {name[0].upper()}{name[1:]}\n{rows}\n")
    machines = {content["machine"]["processor"] for content in stages.values()}
    parts.append(f"Measured on two cores of: {', '.join(sorted(machines))}.\n")
    return "\n".join(parts) + WHY


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(json.loads(measure.FIGURES.read_text())))


if __name__ == "__main__":
    main()
