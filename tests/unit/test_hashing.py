"""Choices that follow from names alone."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from parcelle.hashing import number, ranks

WORD = 2**64


def slow_mix(z):
    """The finaliser of SplitMix64, in Python's own integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def slow_rank(name, *integers):
    state = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
    for integer in integers:
        state = slow_mix((state + integer * 0x9E3779B97F4A7C15) % WORD)
    return slow_mix(state)


def test_splitmix64_gives_its_published_sequence():
    """First numbers of the generator with state 0, which adds the golden ratio before it mixes."""
    assert slow_mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    assert slow_mix(2 * 0x9E3779B97F4A7C15 % WORD) == 0x6E789E6AA1B965F4


def test_numbers_are_those_of_any_other_year():
    assert number("a") == int.from_bytes(hashlib.blake2b(b"a", digest_size=8).digest(), "big")
    assert number("a", 1, "b") == int.from_bytes(hashlib.blake2b(b"a\x001\x00b", digest_size=8).digest(), "big")
    assert number(0, "west") == 0xE1C8381A5584C95D
    assert ranks(["p1"], np.array([3]), np.array([4]))[0] == 0x359B717A65799113


def test_numbers_go_by_the_text_of_their_parts():
    assert number("a", 1) == number("a", "1")
    assert len({number("ab"), number("a", "b"), number("", "ab"), number("b", "a"), number()}) == 5


NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
PLACES = st.integers(0, 2**31 - 1)


@given(st.lists(st.tuples(NAMES, PLACES, PLACES), max_size=20))
def test_ranks_are_those_of_the_slow_reference(rows):
    names, a, b = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    found = ranks(names, np.array(a, np.int64), np.array(b, np.int64))
    assert found.dtype == np.uint64
    assert found.tolist() == [slow_rank(*row) for row in rows]


def test_ranks_do_not_depend_on_the_type_of_the_integers():
    names, values = ["a", "b", "a"], [1, 2, 70_000]
    expected = ranks(names, np.array(values, np.int64))
    assert np.array_equal(ranks(names, np.array(values, np.int32)), expected)
    assert np.array_equal(ranks(names, np.array(values, np.uint64)), expected)


def test_ranks_of_a_row_do_not_depend_on_the_others():
    names = np.array(["p1", "p2", "p1", "p3"])
    rows, columns = np.array([5, 5, 6, 0]), np.array([7, 7, 7, 0])
    whole = ranks(names, rows, columns)
    order = np.array([3, 0, 2])
    assert np.array_equal(ranks(names[order], rows[order], columns[order]), whole[order])
    assert ranks(["p1"], np.array([5]), np.array([7]))[0] == whole[0]


def test_ranks_of_neighbouring_pixels_look_random():
    rows, columns = (a.ravel() for a in np.mgrid[:200, :200])
    found = ranks(np.full(rows.size, "p"), rows, columns)
    assert len(np.unique(found)) == found.size
    share = found.astype(float) / WORD
    assert abs(share.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(share[:-1], share[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(share, rows)[0, 1]) < 0.02
