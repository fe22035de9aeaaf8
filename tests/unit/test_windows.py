"""How a tile is walked."""

import functools
import itertools
import threading
import time

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from parcelle.windows import in_order, overlapped, windows


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 60))
def test_windows_cover_every_pixel_once(height, width, size):
    seen = np.zeros((height, width), int)
    for window in windows(height, width, size):
        assert 1 <= window.height <= size
        assert 1 <= window.width <= size
        seen[window.toslices()] += 1
    assert (seen == 1).all()


def test_windows_go_row_by_row():
    assert list(windows(3, 5, 2)) == [
        *(Window(0, 0, 2, 2), Window(2, 0, 2, 2), Window(4, 0, 1, 2)),
        *(Window(0, 2, 2, 1), Window(2, 2, 2, 1), Window(4, 2, 1, 1)),
    ]


@pytest.mark.parametrize("threads", [1, 4])
def test_results_come_in_the_order_of_the_work(threads):
    def slower_at_first(window):
        time.sleep((11 - window.col_off) * 1e-3)
        return window.col_off**2

    work = list(windows(1, 12, 1))
    assert list(in_order(slower_at_first, work, threads)) == [(w, w.col_off**2) for w in work]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_bounded_number_of_windows_is_begun(threads):
    begun = []

    def work():
        for window in windows(1, 12, 1):
            begun.append(window)
            yield window

    for taken, _ in enumerate(in_order(lambda w: None, work(), threads)):
        assert len(begun) == min(12, taken + threads + 1)


def test_as_many_run_at_once_as_there_are_threads():
    together = threading.Barrier(4, timeout=20)
    assert len(list(in_order(lambda w: together.wait(), windows(1, 8, 1), 4))) == 8


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_surfaces_in_its_place_and_nothing_more_is_begun(threads):
    begun, taken = [], []

    def fails_at_3(window):
        if window.col_off == 3:
            raise ZeroDivisionError("window 3")
        return window.col_off

    def work():
        for window in windows(1, 100, 1):
            begun.append(window.col_off)
            yield window

    with pytest.raises(ZeroDivisionError, match="window 3"):
        for _, result in in_order(fails_at_3, work(), threads):
            taken.append(result)
    assert taken == [0, 1, 2]
    assert len(begun) == 3 + threads + 1


@pytest.mark.parametrize("threads", [1, 4])
def test_who_stops_taking_stops_the_work(threads):
    begun = []
    results = in_order(lambda w: begun.append(w), windows(1, 100, 1), threads)
    next(results)
    results.close()
    assert len(begun) <= threads + 1


def test_an_error_of_the_work_itself_surfaces():
    def work():
        yield Window(0, 0, 1, 1)
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(in_order(lambda w: None, work(), 2))


def test_no_work_gives_nothing():
    assert list(in_order(lambda w: w, [], 2)) == []


class Work:
    """Pieces with some jobs each; notes what is asked for, begins and ends, as (what, piece, place of the job)."""

    def __init__(self, read=2, compute=3, job=lambda *_: None):
        self._jobs = {"read": read, "compute": compute}
        self._job = job
        self.events = []

    def reading(self, piece):
        return self._ask("read", piece)

    def computing(self, piece):
        return self._ask("compute", piece)

    def _ask(self, kind, piece):
        self.events.append((f"ask to {kind}", piece, 0))
        return [functools.partial(self._do, kind, piece, place) for place in range(self._jobs[kind])]

    def _do(self, kind, piece, place):
        self.events.append((f"begin to {kind}", piece, place))
        self._job(kind, piece, place)
        self.events.append((f"end to {kind}", piece, place))
        return kind, piece, place

    def begun(self, kind):
        return sum(what == f"begin to {kind}" for what, _, _ in self.events)

    def at(self, what, piece):
        """Places among the events."""
        return [i for i, event in enumerate(self.events) if event[:2] == (what, piece)]


def run(work, pieces, threads):
    return overlapped(list(range(pieces)), work.reading, work.computing, threads)


def pool_threads():
    return [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("pieces", [0, 1, 2, 7])
@pytest.mark.parametrize(("read", "compute"), [(2, 3), (0, 3), (5, 0), (0, 0), (1, 9)])
def test_pieces_and_what_was_computed_come_in_order_and_each_job_is_done_once(pieces, threads, read, compute):
    work = Work(read, compute, lambda kind, piece, place: time.sleep((piece + place) % 3 * 1e-4))
    assert list(run(work, pieces, threads)) == [
        (piece, [("compute", piece, place) for place in range(compute)]) for piece in range(pieces)
    ]
    done = sorted(event for event in work.events if event[0].startswith("end"))
    expected = itertools.product(["compute"], range(pieces), range(compute))
    expected = [*expected, *itertools.product(["read"], range(pieces), range(read))]
    assert done == [(f"end to {kind}", piece, place) for kind, piece, place in expected]
    assert pool_threads() == []


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_piece_is_read_before_it_is_computed_and_after_the_last_but_one_was_computed(threads):
    """Two pieces are in memory: who is asked for the third may write where the first was."""
    work = Work(4, 5, lambda kind, piece, place: time.sleep(1e-4))
    list(run(work, 6, threads))
    for piece in range(6):
        assert max(work.at("end to read", piece)) < work.at("ask to compute", piece)[0]
        assert max(work.at("end to compute", piece)) < min(work.at("ask to read", piece + 2), default=np.inf)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_what_was_taken_is_written_while_the_next_is_computed(threads):
    computed = [threading.Event() for _ in range(5)]
    work = Work(job=lambda kind, piece, _: kind == "compute" and computed[piece].set())
    for piece, _ in run(work, 5, threads):
        assert piece == 4 or computed[piece + 1].wait(timeout=20)
        # The one after it has not begun: its results would be a third.
        assert work.at("ask to compute", piece + 2) == []


@pytest.mark.parametrize(
    ("threads", "compute", "readers"),
    [(1, 50, 1), (2, 50, 1), (3, 50, 1), (4, 50, 2), (8, 50, 4), (2, 1, 1), (4, 1, 3), (4, 0, 4)],
)
def test_at_most_half_of_the_threads_read_while_there_is_something_to_compute(threads, compute, readers):
    begun, together = [], threading.Barrier(threads, timeout=20)

    def job(kind, piece, place):
        """Wait for the jobs that begin at the same time, once the first piece is read."""
        if (kind, piece) in {("compute", 0), ("read", 1)}:
            begun.append(kind)
            if len(begun) <= threads:
                together.wait()

    list(run(Work(8, compute, job), 2, threads))
    assert begun[:threads].count("read") == readers


def failing(when):
    """A job that fails at some of the jobs, all at the same time; the others take a while."""
    together = threading.Barrier(len(when), timeout=20)

    def job(*event):
        time.sleep(5e-4)
        if event in when:
            together.wait()
            raise ZeroDivisionError(f"{event}")

    return job


def take(results, found):
    for piece, _ in results:
        found.append(piece)


def stopped(work):
    """Whether no thread is left, and nothing is done any more."""
    count = len(work.events)
    time.sleep(0.02)
    return pool_threads() == [] and len(work.events) == count


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize(
    ("when", "taken"),
    [
        (("read", 0, 3), []),
        (("read", 1, 3), []),
        (("read", 3, 3), [0, 1]),
        (("compute", 0, 3), []),
        (("compute", 3, 3), [0, 1, 2]),
        (("compute", 4, 3), [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_an_error_in_a_job_surfaces_once_and_no_further_job_is_begun(when, taken, threads):
    work, found = Work(40, 40, failing([when])), []
    results = run(work, 5, threads)
    with pytest.raises(ZeroDivisionError) as error:
        take(results, found)
    assert str(error.value) == str(when)
    assert found == taken and list(results) == []
    kind, piece, place = when
    assert len(work.at(f"begin to {kind}", piece)) <= place + 1 + 2 * threads
    assert stopped(work)


def test_of_two_errors_at_the_same_time_one_surfaces():
    work = Work(40, 40, failing([("read", 2, 0), ("compute", 1, 0)]))
    results = run(work, 5, 2)
    with pytest.raises(ZeroDivisionError, match=r"\('(read', 2|compute', 1), 0\)"):
        take(results, [])
    assert list(results) == [] and stopped(work)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("kind", ["read", "compute"])
def test_an_error_of_who_gives_the_jobs_surfaces(kind, threads):
    class Refusing(Work):
        def _ask(self, asked, piece):
            if (asked, piece) == (kind, 2):
                raise MemoryError(f"no room to {kind}")
            return super()._ask(asked, piece)

    work = Refusing()
    with pytest.raises(MemoryError, match=f"no room to {kind}"):
        take(run(work, 5, threads), [])
    assert stopped(work)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_an_error_of_who_takes_the_results_surfaces_once_and_stops_the_work(at, threads):
    work, found = Work(40, 40, lambda *_: time.sleep(1e-3)), []
    with pytest.raises(OSError, match="disk full"):
        for piece, _ in run(work, 5, threads):
            found.append(piece)
            if piece == at:
                raise OSError("disk full")
    assert found == list(range(at + 1))
    assert work.begun("compute") < 40 * (at + 2)
    assert work.at("ask to compute", at + 2) == [] and stopped(work)


@pytest.mark.parametrize("threads", [1, 3])
def test_all_threads_have_the_options_of_gdal(threads):
    def job(*_):
        together.wait()
        seen.append((threading.get_ident(), rasterio.env.getenv().get("GDAL_NUM_THREADS")))

    seen, together, work = [], threading.Barrier(threads, timeout=20), Work(threads, threads, job)
    list(overlapped([0], work.reading, work.computing, threads, {"GDAL_NUM_THREADS": 7}))
    assert {value for _, value in seen} == {7} and len({thread for thread, _ in seen}) == threads
