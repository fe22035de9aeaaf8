"""Compiled code: where it is kept, and many processes that start at once with nothing kept yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parcelle import kernels

# Fills a gap, or applies a tree with one question; at the end, what numba read from the cache and what it compiled.
PROGRAM = """
import sys
import numpy as np

what, dtype = sys.argv[1:3]
if what == "gapfill":
    from parcelle.gapfill import _fill as loop, fill
    values = np.array([0, 5], dtype).reshape(2, 1, 1, 1)
    found = fill(values, np.ones((2, 1, 1), bool), np.array([0, 2]), np.array([0, 1, 2]))
else:
    from parcelle.models.trees import Trees, _sum as loop
    table = np.array([[0.25, 0.75], [1.0, 0.0]])
    whole = lambda *numbers: np.array(numbers)
    tree = Trees(starts=whole(0, 3), left=whole(1, 1, 2).astype(np.uint32), feature=whole(0, 0, 0).astype(np.uint16),
                 threshold=whole(1.5, 0, 0).astype(np.float32), row=whole(0, 0, 1).astype(np.int32), table=table,
                 features=1)
    found = tree.sums(np.array([[1], [2]], dtype))
print(found.dtype, found.ravel().tolist())
print(sum(loop.stats.cache_hits.values()), sum(loop.stats.cache_misses.values()))
"""
EXPECTED = {
    ("gapfill", "int16"): "int16 [0, 3, 5]",
    ("gapfill", "float32"): "float32 [0.0, 2.5, 5.0]",
    ("trees", "int16"): "float64 [0.25, 0.75, 1.0, 0.0]",
    ("trees", "float32"): "float64 [0.25, 0.75, 1.0, 0.0]",
}


def start(what, dtype, cache):
    command, environment = [sys.executable, "-c", PROGRAM, what, dtype], os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def said(process):
    """What a process found, and how often it read from the cache and compiled."""
    found, counts = process.communicate()[0].splitlines()
    assert process.returncode == 0
    return found, tuple(map(int, counts.split()))


def test_processes_that_start_at_once_share_one_cache_and_each_gets_the_code_of_its_type(tmp_path):
    """Twenty of them, with an empty cache: nine fill integers, nine floats, two apply trees to either."""
    kinds = [("gapfill", "int16"), ("gapfill", "float32")] * 9 + [("trees", "int16"), ("trees", "float32")]
    started = [start(*kind, tmp_path / "cache") for kind in kinds]
    results = [said(process) for process in started]
    assert [found for found, _ in results] == [EXPECTED[kind] for kind in kinds]
    # Each loop was compiled once for each type, by whoever came first, and read by all others.
    assert sum(misses for _, (_, misses) in results) == 4
    for kind, expected in EXPECTED.items():
        found, (hits, misses) = said(start(*kind, tmp_path / "cache"))
        assert (found, hits > 0, misses) == (expected, True, 0)
    assert len(list((tmp_path / "cache").glob("**/*_fill*.nbc"))) == 2
    assert len(list((tmp_path / "cache").glob("**/*_sum*.nbc"))) == 2


def test_the_folder_that_the_environment_names_is_used_and_no_other(tmp_path):
    """Even where it is not there yet; code beside the package stays as it is."""
    beside = sorted((kernels.HOME / "__pycache__").rglob("*.nb?"))
    code = "from parcelle import kernels; kernels.compiled_once(lambda: None)(); print(kernels.PLACE)"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "a/b")}
    output = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == str(tmp_path / "a/b")
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["parcelle.lock"]
    assert sorted((kernels.HOME / "__pycache__").rglob("*.nb?")) == beside


@pytest.fixture
def nothing_said(monkeypatch, tmp_path):
    """No folder is named in the environment, and the node's own ones lie in `tmp_path`."""
    monkeypatch.setattr(kernels.config, "CACHE_DIR", "")
    monkeypatch.setattr(kernels.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_code_is_kept_beside_the_package(nothing_said):
    assert kernels._place() == Path(kernels.__file__).parent / "__pycache__"


def test_a_package_folder_that_cannot_be_written_leaves_the_nodes_own(nothing_said, monkeypatch):
    monkeypatch.setattr(kernels, "_lockable", lambda folder: False)
    place = kernels._place()
    assert place == nothing_said / f"parcelle-{os.getuid()}"
    assert place.stat().st_mode & 0o777 == 0o700
    assert kernels._place() == place


def test_a_folder_that_another_user_made_is_not_trusted(nothing_said, monkeypatch):
    """Whoever can write there could have this user run any code."""
    monkeypatch.setattr(kernels, "_lockable", lambda folder: False)
    user = os.getuid()
    (nothing_said / f"parcelle-{user + 1}").mkdir()
    monkeypatch.setattr(kernels.os, "getuid", lambda: user + 1)
    place = kernels._place()
    assert place.parent == nothing_said
    assert place.name != f"parcelle-{user + 1}"
    assert place.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["writable by all", "link", "link to nothing", "file"])
def test_what_may_be_a_trap_is_not_used(nothing_said, kind):
    own = nothing_said / f"parcelle-{os.getuid()}"
    elsewhere = nothing_said / "elsewhere"
    if kind == "writable by all":
        own.mkdir()
        own.chmod(0o777)
    elif kind == "file":
        own.touch()
    else:
        own.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.mkdir()
    assert kernels._own() not in (own, elsewhere)
    assert kernels._own().is_dir()


def test_a_folder_is_good_if_files_in_it_can_be_written_and_locked(tmp_path, monkeypatch):
    assert kernels._lockable(tmp_path / "new/folder")
    assert list((tmp_path / "new/folder").iterdir()) == []
    (tmp_path / "file").touch()
    assert not kernels._lockable(tmp_path / "file")

    def refuse(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(kernels.fcntl, "flock", refuse)
    assert not kernels._lockable(tmp_path)


def test_where_nothing_can_be_locked_code_is_compiled_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(kernels, "PLACE", tmp_path / "file")
    done = []
    kernels.compiled_once(done.append)("int16")
    assert done == ["int16"]


def test_each_type_is_compiled_once():
    done = []
    ready = kernels.compiled_once(done.append)
    for dtype in ("int16", "float32", "int16", "float32"):
        ready(dtype)
    assert done == ["int16", "float32"]


ALL_LOOPS = """
import numpy as np
from parcelle import gapfill, programs, resample
from parcelle.expressions import parse
from parcelle.models import trees

KINDS = ("int16", "float32")
LOOPS = (gapfill._neighbours, gapfill._fill, programs._run, resample._upsample, trees._sum)
for module in (gapfill, programs, resample, trees):
    for dtype in KINDS:
        module._ready(dtype)
before = [len(loop.signatures) for loop in LOOPS]

program = programs.Program.of(parse("(a-b)/(a+b)", ("a", "b")), ("a", "b"), 10_000)
one = np.array([0])
for dtype in KINDS:
    values = np.ones((3, 2, 4, 5), dtype)
    for days in ([0, 1, 2], np.arange(9)[::3], np.arange(3, dtype=np.int32)):
        gapfill.fill(np.asfortranarray(values), np.ones((3, 4, 5), bool)[:, ::-1], days, [1.0])
    for method in resample.MARGIN:
        rows = resample.Rows(2, (4, 5), method, (3, 2), np.dtype(dtype))
        rows.read(values, np.ones(3, bool), (0, 0), np.int64(3), np.int64(1), 4)
    program.run(np.ones((6, 5), dtype)[:5], 0, np.int64(1), 2, 4)
    tree = trees.Trees(np.array([0, 1]), one.astype(np.uint32), one.astype(np.uint16), one.astype(np.float32),
                       one.astype(np.int32), np.ones((1, 2)), 6)
    for order in "CF":
        for features in (np.ones((9, 6), dtype, order), np.ones((9, 12), dtype, order)[::2, ::2]):
            tree.sums(features)
            tree.sums(features.astype(float))
print(before, [len(loop.signatures) for loop in LOOPS])
"""


def test_nothing_is_compiled_but_what_was_compiled_alone():
    """Whatever the layout of what is given: a loop for another layout would be compiled without the lock."""
    output = subprocess.run([sys.executable, "-c", ALL_LOOPS], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[1, 2, 2, 2, 2] [1, 2, 2, 2, 2]"
