"""Expressions as programs, against their evaluation by NumPy."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from parcelle.errors import SettingsError
from parcelle.expressions import parse
from parcelle.programs import LARGEST, Program

BANDS = ("b3", "b4", "b8")
DTYPES = [np.int16, np.float32]


def run(text, values, scale=0, dtype=np.float32):
    """Result and undefined pixels of an expression of values ``(band, pixel)``; the result as planes of a type."""
    planes = np.concatenate([values, np.full_like(values[:1], 7)]).astype(dtype)
    undefined = Program.of(parse(text, BANDS), BANDS, scale).run(planes, 0, 1, len(BANDS), len(BANDS))
    assert np.array_equal(planes[:-1], values)
    return planes[-1], undefined


def by_numpy(text, values):
    """What NumPy makes of an expression, and where it is not a finite number."""
    found = parse(text, BANDS)(dict(zip(BANDS, values.astype(np.float32), strict=True)))
    found = np.broadcast_to(found, values.shape[1:])
    return found, ~np.isfinite(found)


def bits(values):
    """Bits of float32 numbers; zero has one sign, since the smaller of 0 and −0 may be either."""
    return (values + np.float32(0)).view(np.uint32)


LEAVES = st.sampled_from([*BANDS, *BANDS, "0", "1", "2.5", "10000", "0.1", "3e38", "1e-3"])


def larger(inner):
    """Expressions of operations whose result IEEE 754 says to the last bit."""
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["minimum", "maximum"]), inner, inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "sqrt", "-", "+"]), inner),
        st.builds("({})**2".format, inner),
    )


def pixels(seed, dtype, kind):
    """Values of three bands: of the whole range, or so small that they often are equal or 0."""
    random = np.random.default_rng(seed)
    high = {"any": 32767, "reflectance": 10_000, "small": 2}[kind]
    values = random.integers(-high, high, (3, 37), endpoint=True)
    return (values * random.choice([1, 0.37, 1e-3]) if dtype is np.float32 else values).astype(dtype)


KINDS = st.sampled_from(["any", "reflectance", "small"])


@settings(max_examples=400)
@given(st.recursive(LEAVES, larger, max_leaves=12), st.integers(0, 2**32), st.sampled_from(DTYPES), KINDS)
def test_exact_operations_have_the_bits_of_numpy(text, seed, dtype, kind):
    values = pixels(seed, dtype, kind)
    try:
        expected, bad = by_numpy(text, values)
    except SettingsError:  # no band, or a constant that float32 cannot hold
        assume(False)
    if dtype is np.float32:
        found, undefined = run(text, values)
        assert np.array_equal(bits(found), bits(np.where(bad, 0, expected).astype(np.float32)))
    else:
        undefined = run(text, values, 1, np.int16)[1]
    assert np.array_equal(undefined, bad)


@settings(max_examples=200)
@given(st.recursive(LEAVES, larger, max_leaves=6), st.integers(0, 2**32), st.sampled_from(DTYPES), KINDS)
def test_scaled_results_are_integers_within_what_they_hold(text, seed, dtype, kind):
    values = pixels(seed, dtype, kind)
    try:
        expected, bad = by_numpy(text, values)
    except SettingsError:
        assume(False)
    for scale in (1, 10_000):
        with np.errstate(over="ignore"):
            scaled = np.floor(np.where(bad, 0, expected) * np.float32(scale) + np.float32(0.5))
        found, undefined = run(text, values, scale, dtype)
        assert found.dtype == dtype
        assert np.array_equal(found, np.clip(scaled, -LARGEST, LARGEST))
        assert np.array_equal(undefined, bad)


ULPS = [
    ("exp(b3)", np.exp, (-100, 88)),
    ("log(b3)", np.log, (1e-30, 1e30)),
    ("b3**3", lambda a: a**3, (-1000, 1000)),
    ("b3**0.5", np.sqrt, (0, 1e6)),
    ("b3**-1.5", lambda a: a**-1.5, (1e-6, 1e6)),
    ("2**b3", np.exp2, (-120, 120)),
]


@pytest.mark.parametrize(("text", "function", "bounds"), ULPS, ids=[text for text, _, _ in ULPS])
def test_powers_and_logarithms_are_right_within_two_units_of_the_last_place(text, function, bounds):
    """Right is what float64 gives; NumPy's own float32 is within four units of that."""
    values = np.random.default_rng(0).uniform(*bounds, (3, 20_000)).astype(np.float32)
    found, undefined = run(text, values)
    assert not undefined.any()
    np.testing.assert_array_max_ulp(found, function(values[0].astype(float)).astype(np.float32), maxulp=2)
    np.testing.assert_array_max_ulp(found, by_numpy(text, values)[0], maxulp=6)


@given(st.integers(0, 2**32), st.sampled_from(DTYPES), KINDS)
def test_powers_of_bands_are_undefined_where_numpy_says_so(seed, dtype, kind):
    values = pixels(seed, dtype, kind)
    for text in ("b3**b4", "log(b3)", "exp(b3)", "(b3-b4)**0.5", "b3**-1"):
        expected, bad = by_numpy(text, values)
        with np.errstate(all="ignore"):
            found, undefined = run(text, values.astype(np.float32))
        assert np.array_equal(undefined, bad)
        assert found == pytest.approx(np.where(bad, 0, expected), rel=1e-6, abs=1e-44)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b3-b4-b8", [-9, -4]),
        ("b3-(b4-b8)", [5, -14]),
        ("b4/2/4", [0.375, 1.125]),
        ("-b3**2", [-1, 0]),
        ("(-b3)**2", [1, 0]),
        ("--b3", [1, 0]),
        ("+b4", [3, 9]),
        ("2**b4", [8, 512]),
        ("minimum(b3,b8)+maximum(b3,b8)*10", [71, -5]),
        ("b3*0+1_000", [1000, 1000]),
    ],
)
def test_precedence(text, expected):
    found, undefined = run(text, np.array([[1, 0], [3, 9], [7, -5]], np.float32))
    assert found.tolist() == expected
    assert not undefined.any()


def test_a_quotient_by_zero_is_zero():
    values = np.array([[1, 0, -4], [0, 0, 0], [2, 0, 4]], np.float32)
    assert run("b3/b4", values)[0].tolist() == [0, 0, 0]
    assert run("(b3-b8)/(b3+b8)", values)[0].tolist() == [np.float32(-1 / 3), 0, 0]
    assert run("b3/(0-b4*0)", values)[0].tolist() == [0, 0, 0]
    assert run("b3/0", values)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("text", ["minimum(b3,sqrt(b4))", "minimum(sqrt(b4),b3)"])
@pytest.mark.parametrize("other", ["minimum", "maximum"])
def test_the_smaller_of_something_and_an_undefined_value_is_undefined(text, other):
    values = np.array([[1, 1], [4, -1], [0, 0]], np.float32)
    found, undefined = run(text.replace("minimum", other), values)
    assert undefined.tolist() == [False, True]
    assert found.tolist() == [1 if other == "minimum" else 2, 0]


def test_what_is_undefined_on_the_way_but_not_in_the_end_is_no_matter():
    values = np.array([[-1, 1], [0, 0], [0, 0]], np.float32)
    found, undefined = run("1/log(abs(b4))", values)  # 1 / −∞
    assert (found.tolist(), undefined.tolist()) == ([0, 0], [False, False])


def test_halves_of_scaled_results_go_up():
    values = np.array([[1, 3, -1, -3, 2], [2] * 5, [0] * 5], np.int16)
    assert run("b3/b4", values, 1, np.int16)[0].tolist() == [1, 2, 0, -1, 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaled_results_end_at_what_integers_hold(dtype):
    values = np.array([[3, 4, -3, -4, 3.2767], [1] * 5, [30_000] * 5]).astype(dtype)
    expected = [30_000, 32_767, -30_000, -32_767, 32_767 if dtype is np.float32 else 30_000]
    assert run("b3/b4", values, 10_000, dtype)[0].tolist() == expected
    assert run("b3*b8*b8*b8*b8*b8*b8*b8*b8", values, 10_000, dtype)[0].tolist() == [
        LARGEST if value > 0 else -LARGEST for value in values[0]
    ]


def test_ndvi_is_the_nearest_ten_thousandth():
    """Of all pairs of reflectances up to 300 against exact integers: 2 a / b, halves up, is (2 a + b) // 2 b."""
    red, near = (band.ravel() for band in np.mgrid[0:300, 0:300])
    values = np.stack([np.zeros_like(red), red, near]).astype(np.int16)
    found = run("(b8-b4)/(b8+b4)", values, 10_000, np.int16)[0]
    difference, total = 10_000 * (near - red), near + red
    expected = np.where(total > 0, (2 * difference + total) // np.maximum(2 * total, 1), 0)
    # A half that float32 does not meet exactly may go down.
    halves = (2 * difference % np.maximum(2 * total, 1) == total) & (total > 0)
    assert np.array_equal(found[~halves], expected[~halves])
    assert np.abs(found - expected)[halves].max() <= 1


def test_brightness_does_not_overflow_integers():
    values = np.full((3, 2), 32_767, np.int16)
    assert run("sqrt(b3**2+b4**2)", values, 1, np.int16)[0].tolist() == [LARGEST] * 2
    assert run("sqrt(b3**2+b4**2)/2", values, 1, np.int16)[0].tolist() == [round(32_767 / 2**0.5)] * 2


@pytest.mark.parametrize("dtype", DTYPES)
def test_dates_go_to_their_planes_and_others_stay(dtype):
    """Three dates of two bands behind one plane of something else; results stand one after the other."""
    planes = np.arange(12 * 5).reshape(12, 5).astype(dtype)
    before = planes.copy()
    undefined = Program.of(parse("b4-2*b3", ("b3", "b4")), ("b3", "b4"), 1).run(planes, 1, 3, 2, 8)
    for date in range(3):
        assert np.array_equal(planes[8 + date], before[2 + 2 * date] - 2 * before[1 + 2 * date])
    assert np.array_equal(planes[[0, 1, 2, 3, 4, 5, 6, 7, 11]], before[[0, 1, 2, 3, 4, 5, 6, 7, 11]])
    assert not undefined.any()


def test_a_pixel_is_undefined_if_it_is_on_any_date():
    planes = np.array([[1, -1, 1, -1], [1, 1, -1, -1], *[[9] * 4] * 2], np.float32)
    undefined = Program.of(parse("sqrt(b3)", ("b3",)), ("b3",), 0).run(planes, 0, 2, 1, 2)
    assert undefined.tolist() == [False, True, True, True]
    assert planes[2:].tolist() == [[1, 0, 1, 0], [1, 1, 0, 0]]


def test_a_subset_of_pixels_has_the_same_bits():
    values = np.random.default_rng(0).integers(0, 10_000, (3, 500)).astype(np.float32)
    chosen = np.array([3, 499, 0, 100])
    for text in ("exp(b3/b4)", "log(b3+1)**1.7", "sqrt(b3**2+b4**2)"):
        assert run(text, values[:, chosen])[0].tobytes() == run(text, values)[0][chosen].tobytes()


def test_no_pixel_is_no_result():
    found, undefined = run("b3+b4", np.empty((3, 0), np.float32))
    assert (found.shape, undefined.shape) == ((0,), (0,))


def test_a_deep_expression_has_room_on_the_stack():
    text = "b3+(" * 60 + "b4" + ")" * 60
    assert run(text, np.array([[1], [5], [0]], np.float32))[0].tolist() == [65]
    assert Program.of(parse(text, BANDS), BANDS, 0).depth == 61
    text = "+".join(f"(b3*{i})**2" for i in range(1, 200))  # the brightness of a hyperspectral sensor
    assert Program.of(parse(text, BANDS), BANDS, 0).depth == 3
    assert run(text, np.array([[1], [0], [0]], np.float32))[0].tolist() == [199 * 200 * 399 / 6]
