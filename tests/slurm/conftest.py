"""The cluster, and countries mapped without it: workers of pytest-xdist share them."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm import faults, runs
from slurm.cluster import Cluster, Unavailable, install
from slurm.runs import Mapped
from xdist.scheduler import LoadScopeScheduling

# Folder of what the tests of a session share; short, since the cluster's sockets lie in it.
SHARED = "PARCELLE_TEST_CLUSTER"

# Set where the tests must run: what would skip them is then an error.
REQUIRED = "PARCELLE_REQUIRE_SLURM"


def pytest_configure(config):
    # Workers get the variables of the process that starts them.
    if SHARED not in os.environ:
        os.environ[SHARED] = str(_short_folder())


def pytest_terminal_summary(terminalreporter):
    for path in sorted(_shared().glob("*.said")):
        terminalreporter.section("said")
        terminalreporter.write_line(path.read_text())


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shared = Path(os.environ.pop(SHARED))
        Cluster(shared / "slurm").stop()
        shutil.rmtree(shared, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster():
    """The cluster that all tests share: leave its daemons and partitions alone, and use `own_cluster` to break them."""
    folder = _shared() / "slurm"
    with _one_at_a_time("cluster") as first:
        if first:
            _started(folder)
    return Cluster(folder)


@pytest.fixture
def own_cluster():
    """A small cluster that a test may break."""
    folder = _short_folder()
    try:
        cluster = _started(folder / "slurm", CPU_NODES=2)
        yield cluster
    finally:
        Cluster(folder / "slurm").stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def one_tile():
    """The country of one tile, mapped."""
    return _mapped("one_tile", runs.write_one_tile)


@pytest.fixture(scope="session")
def prone():
    """The country of one tile, mapped by a classifier that can be told to take long or much memory: for faults."""
    return _mapped("prone", faults.write)


@pytest.fixture(scope="session")
def demo():
    """The country of `make demo`, mapped."""
    return _mapped("demo", runs.write_demo)


@pytest.fixture(scope="session")
def say():
    """A function that prints a text at the end of the session, whatever becomes of the tests."""
    return lambda text: (_shared() / f"{uuid.uuid4()}.said").write_text(text)


def _short_folder() -> Path:
    """Make a folder that munge and SLURM, which look who can enter, put their sockets in."""
    folder = Path(tempfile.mkdtemp(prefix="parcelle-"))
    folder.chmod(0o755)
    return folder


def _shared() -> Path:
    return Path(os.environ[SHARED])


def _started(folder: Path, **variables: int) -> Cluster:
    try:
        install()
        return Cluster.start(folder, **variables)
    except Unavailable as error:
        if os.environ.get(REQUIRED):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _mapped(name: str, write: Callable[[Path], Path]) -> Mapped:
    folder = _shared() / name
    with _one_at_a_time(name) as first:
        if first:
            runs.must(runs.local(write(folder)))
    return Mapped(folder, runs.checksums(folder / "results"))


@contextlib.contextmanager
def _one_at_a_time(name: str) -> Iterator[bool]:
    """Let one worker after the other in; tell whether it is the first that comes so far."""
    done = _shared() / f"{name}.done"
    with (_shared() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not done.exists()
        done.touch()


class _Scopes(LoadScopeScheduling):
    """What shares a run stays on one worker; each fault has a run of its own."""

    def _split_scope(self, nodeid):
        return nodeid if "test_faults" in nodeid else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    return _Scopes(config, log)
