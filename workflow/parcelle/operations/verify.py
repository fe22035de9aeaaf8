"""Whether what a run published, and what it was made of, is still what its crate says: `make verify`."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from parcelle import acquisitions, checksums, crate, files
from parcelle.crate_tables import folder, images
from parcelle.errors import InputError, StaleError, in_one_sentence
from parcelle.operations import commands
from parcelle.sensors import Acquisition

# Seconds between two lines about how far it is.
EVERY = 5

# Folder of the mosaics among the results.
MOSAIC = "mosaic"

# Files that are read at a time.
THREADS = min(8, os.cpu_count() or 1)

_MENDED_BY_HAND = "The map does not follow from it any more: put the old one back, or run the workflow again."


@dataclass(frozen=True)
class Check:
    """One thing to look at: what it is called, and what says how it differs, if it does."""

    name: str
    difference: Callable[[], str | None]


@dataclass(frozen=True)
class Found:
    """What came of all checks.

    Attributes:
        read: How many files were read.
        looked_at: How many products were looked at.
        differences: What differs.
        remarks: What lies beside what was published, and is no difference.

    """

    read: int
    looked_at: int
    differences: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The last line of the command."""
        read = f"{self.read} file(s) read and compared by SHA-256"
        looked_at = f", {self.looked_at} product(s) compared by names, sizes and times" if self.looked_at else ""
        return f"{read}{looked_at}: {len(self.differences) or 'no'} difference(s)."


def verify(results: str | Path, published: bool = False, threads: int = THREADS) -> Found:
    """Compare files with what the crate of a run lists.

    Args:
        results: Folder of all outputs, as the run calls it: paths of images start where the run's do.
        published: Whether only outputs are looked at.
        threads: Files that are read at a time.

    Raises:
        StaleError: There is no crate, or it is not the one that was written.

    """
    listed = crate.read(Path(results) / crate.FOLDER / crate.NAME)
    reading = [_made(path, digest) for path, digest in {**listed.own, **listed.published}.items()]
    looking: list[Check] = []
    if not published:
        inventories = {path: digest for path, digest in listed.inputs.items() if _is_inventory(path, results)}
        reading += [_made(path, digest) for path, digest in inventories.items()]
        reading += [_given(str(path), sum) for path, sum in listed.inputs.items() if path not in inventories]
        of_images, looking = _products(inventories)
        reading += of_images
    differences = tuple(_differences([*reading, *looking], threads))
    return Found(len(reading), len(looking), differences, tuple(_remarks(Path(results) / MOSAIC, listed.published)))


def _is_inventory(path: Path, results: str | Path) -> bool:
    return path.parent == Path(os.path.normpath(results)) / "acquisitions"


def _remarks(mosaic: Path, published: Collection[Path]) -> Iterator[str]:
    """Files beside the mosaics that the run did not publish: GDAL and QGIS may read them together with these."""
    known = {Path(os.path.normpath(name)) for path in published for name in (path, files.beside(path))}
    there = sorted(mosaic.iterdir()) if mosaic.is_dir() else []
    for path in there:
        if Path(os.path.normpath(path)) not in known:
            yield f"{path} is not among what the run published: no checksum vouches for it."


def _made(path: Path, digest: str) -> Check:
    """A file that the workflow wrote."""
    target = path.with_name("model.json") if path.parent.parent.parent.name == "model" else path
    return Check(str(path), lambda: _other(str(path), digest, f"Make it again: snakemake --forcerun {target}"))


def _given(path: str, digest: str) -> Check:
    """A file of the user's own."""
    return Check(path, lambda: _other(path, digest, _MENDED_BY_HAND))


def _other(path: str, digest: str, mend: str) -> str | None:
    """How a file is another than it was."""
    if files.special(path):
        return f"{path} is no file. {mend}"
    try:
        if checksums.of(path) == digest:
            return None
    except FileNotFoundError:
        return f"{path} is missing. {mend}"
    except (OSError, ValueError, InputError) as error:
        return f"{path} cannot be read ({error}). {mend}"
    return f"{path} is not the file it was: its checksum differs. {mend}"


def _products(inventories: Collection[Path]) -> tuple[list[Check], list[Check]]:
    """Checks of images: each file where its checksum is known, else each product. A damaged inventory has its own."""
    reading: list[Check] = []
    looking: list[Check] = []
    for path in (path for path in inventories if path.suffix == ".json"):
        beside = path.with_name(f"{path.stem}.SHA256SUMS")
        try:
            read, looked_at = _of_inventory(path, beside if beside in inventories else None)
        except StaleError:
            continue
        except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
            read, looked_at = [_edited(path)], []
        reading += read
        looking += looked_at
    return list({check.name: check for check in reading}.values()), looking


def _of_inventory(path: Path, beside: Path | None) -> tuple[list[Check], list[Check]]:
    """Checks of the images of a tile; what no job wrote so raises whatever it raises."""
    reading, looking = [], []
    found, sums = acquisitions.read(str(path)), checksums.read(beside) if beside else {}
    for one in found.acquisitions:
        if all(image in sums for image in images(one)):
            reading += [_given(image, sums[image]) for image in images(one)]
        else:
            looking.append(_product(found.tile, one))
    return reading, looking


def _edited(path: Path) -> Check:
    """An inventory that was edited, and its checksum too."""
    return Check(str(path), lambda: crate.edited(path))


def _product(tile: str, one: Acquisition) -> Check:
    where = folder(images(one))
    return Check(where, lambda: _replaced(tile, one, where))


def _replaced(tile: str, one: Acquisition, where: str) -> str | None:
    """How the files of a product are others than they were, by their names, sizes and times."""
    paths = images(one)
    # The run may have called them by their way from its folder.
    short = [path if path.startswith("/vsi") or "://" in path else os.path.relpath(path) for path in paths]
    if one.fingerprint in (files.state(paths), files.state(short)):
        return None
    missing = [path for path in paths if "://" not in path and not files.on_disk(path).exists()]
    what = f"{missing[0]} is missing" if missing else "a file of it was replaced"
    return f"{where} (tile {tile}, {one.sensor}, {one.date}): {what}. {_MENDED_BY_HAND}"


def _differences(checks: Sequence[Check], threads: int) -> Iterator[str]:
    """Run checks side by side; people see how far they are."""
    said = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for done, difference in enumerate(pool.map(lambda check: check.difference(), checks), start=1):
            if difference:
                yield difference
            if sys.stderr.isatty() and time.monotonic() - said > EVERY:
                said = time.monotonic()
                print(f"{done} of {len(checks)} looked at", file=sys.stderr)


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0 if nothing differs."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.operations.verify", description=__doc__)
    commands.add_arguments(parser, snakemake=False)
    parser.add_argument("--published", action="store_true", help="look at outputs only, and not at what went in")
    given = parser.parse_args(words)
    run = commands.Run.of(given)
    run.refuse_nothing()
    with run.inside():
        found = verify(run.settings().results, given.published)
    for line in (*found.remarks, *found.differences, str(found)):
        print(line)
    return 1 if found.differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
