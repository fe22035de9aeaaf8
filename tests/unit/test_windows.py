"""How a tile is walked."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from parcelle.windows import in_order, windows


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
