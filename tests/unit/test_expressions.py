"""Arithmetic that a user writes, and everything else that is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parcelle.errors import SettingsError
from parcelle.expressions import DEEPEST, LONGEST, parse

BANDS = ("b3", "b4", "b8")
VALUES = {
    "b3": np.array([1, 2, 0, -4], np.float32),
    "b4": np.array([3, 5, 0, 2], np.float32),
    "b8": np.array([7, 0.5, 0, 8], np.float32),
}
A, B, C = VALUES.values()


def value(text):
    return parse(text, BANDS)(VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b3", A),
        ("  b3\t", A),
        ("b3+b4*b8", A + B * C),
        ("(b3+b4)*b8", (A + B) * C),
        ("b3-b4-b8", (A - B) - C),
        ("b3-(b4-b8)", A - (B - C)),
        ("b4/2/4", B / 8),
        ("-b3**2", -(A * A)),
        ("(-b3)**2", A * A),
        ("b4**3**0", B),
        ("2**b4", np.exp2(B)),
        ("+b3", A),
        ("--b3", A),
        ("abs(b3)", np.abs(A)),
        ("sqrt(abs(b3))", np.sqrt(np.abs(A))),
        ("log(b4+1)", np.log(B + 1)),
        ("exp(b3)", np.exp(A)),
        ("minimum(b3,b4)", np.minimum(A, B)),
        ("maximum(b3,0)", np.maximum(A, 0)),
        ("b3*1e3", A * 1000),
        ("b3*0.5", A / 2),
        ("b3*0", A * 0),
        ("b3*1_000", A * 1000),
    ],
)
def test_values_and_precedence(text, expected):
    found = value(text)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected.astype(np.float32), rel=1e-6)


def test_a_quotient_by_zero_is_zero():
    assert value("b3/b4").tolist() == [np.float32(1 / 3), np.float32(0.4), 0, -2]
    assert value("(b8-b4)/(b8+b4)").tolist() == [np.float32(0.4), np.float32(-4.5 / 5.5), 0, np.float32(0.6)]
    assert value("b3/0").tolist() == [0, 0, 0, 0]
    assert value("1/b8").tolist() == [np.float32(1 / 7), 2, 0, 0.125]
    assert value("b3+1/0").tolist() == A.tolist()


def test_shape_of_the_bands_is_kept():
    square = {"b3": np.ones((5, 7), np.float32), "b4": np.full((5, 7), 2, np.float32)}
    assert np.array_equal(parse("b3/b4", BANDS)(square), np.full((5, 7), 0.5, np.float32))


def test_undefined_values_are_given_back_for_the_caller_to_refuse():
    assert np.isnan(value("sqrt(b3)"))[3]
    assert np.isneginf(value("log(b4)"))[2]


def test_bands_are_named_sorted_once_and_without_functions():
    assert parse("b8+b3*sqrt(b8)", BANDS).bands == ("b3", "b8")


def refused(text):
    with pytest.raises(SettingsError) as error:
        parse(text, BANDS)
    return str(error.value)


def test_an_unknown_band_is_named_with_those_there_are():
    assert refused("b3+b5") == "'b3+b5' uses 'b5', which is not a band in use; bands are b3, b4, b8"
    assert "uses 'sqrt', which is not a band" in refused("sqrt+b3")


@pytest.mark.parametrize("text", ["1", "1+2", "9**9**9**9", "sqrt(4)"])
def test_an_expression_without_a_band_is_refused(text):
    assert refused(text) == f"{text!r} uses no band; bands are b3, b4, b8"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("b3.real", "b3.real"),
        ("b3.__class__.__mro__", "b3.__class__.__mro__"),
        ("b3 + ().__class__", "().__class__"),
        ("__import__('os').system('true')", "__import__('os').system('true')"),
        ("eval(b3)", "eval(b3)"),
        ("b3(b4)", "b3(b4)"),
        ("sqrt(x=b3)", "sqrt(x=b3)"),
        ("abs(*b3)", "*b3"),
        ("abs(**b3)", "abs(**b3)"),
        ("b3<b4", "b3<b4"),
        ("b3==b4", "b3==b4"),
        ("b3 and b4", "b3 and b4"),
        ("not b3", "not b3"),
        ("b3 if b4 else b8", "b3 if b4 else b8"),
        ("lambda: b3", "lambda: b3"),
        ("b3+'b4'", "'b4'"),
        ("b3+b'b4'", "b'b4'"),
        ("f'{b3}'", "f'{b3}'"),
        ("b3[0]", "b3[0]"),
        ("[b3]", "[b3]"),
        ("b3,b4", "b3,b4"),
        ("[b for b in b3]", "[b for b in b3]"),
        ("(b:=b3)", "b:=b3"),
        ("b3//b4", "b3//b4"),
        ("b3%b4", "b3%b4"),
        ("b3@b4", "b3@b4"),
        ("b3|b4", "b3|b4"),
        ("b3<<b4", "b3<<b4"),
        ("~b3", "~b3"),
        ("b3*True", "True"),
        ("b3*None", "None"),
        ("b3*...", "..."),
        ("b3*1j", "1j"),
    ],
)
def test_all_else_of_python_is_refused_by_name(text, what):
    assert refused(text) == (
        f"{text!r}: {what!r} is not allowed; use numbers, band names, + - * / **, "
        "and abs, sqrt, log, exp, minimum, maximum"
    )


@pytest.mark.parametrize("text", ["sqrt()", "sqrt(b3,b4)", "maximum(b3)", "maximum(b3,b4,b8)", "minimum(*b3)"])
def test_functions_take_their_number_of_arguments(text):
    assert f"takes {1 if 'sqrt' in text else 2} argument(s), not" in refused(text)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "b3 b4", "b3+", "(b3", "b3)", "b3;b4", "b3\nb4", "x=b3", "import os", "b3\0", "\ud800", "b3 $ b4"],
)
def test_what_cannot_be_parsed_is_refused(text):
    assert refused(text) == f"{text!r} is not an expression such as (b8-b4)/(b8+b4)"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("b3**9**9**9", "9**9**9"),
        ("b3*1e400", "1e400"),
        ("b3*1e39", "1e39"),
        ("b3*1e-60", "1e-60"),
        ("b3/1e-60", "1e-60"),
        ("b3*-1e39", "-1e39"),
        ("b3*log(0)", "log(0)"),
        ("b3*sqrt(-1)", "sqrt(-1)"),
        ("b3+0**-1", "0**-1"),
        ("b3*exp(100)", "exp(100)"),
    ],
)
def test_constants_that_float32_cannot_hold_are_refused_at_the_start(text, what):
    assert refused(text) == f"{text!r}: {what!r} is undefined, or too large or small for a float32"


def test_an_integer_that_no_float_can_hold_is_refused():
    assert "is undefined, or too large" in refused("b3*1" + "0" * 400)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 290 + "b3",
        "abs(" * 95 + "b3" + ")" * 95,
        "b3" + "+b4" * 290,
        "+".join(f"(b3*{i})**2" for i in range(1, 200)),  # the brightness of a hyperspectral sensor
    ],
)
def test_what_is_deep_but_sane_is_evaluated(text):
    assert np.isfinite(value(text)).all()


@pytest.mark.parametrize("times", [DEEPEST, 900, 2400, 10_000, 200_000])
@pytest.mark.parametrize("pattern", ["-", "(", "abs(", "b3**", "b3+", "b3 if b4 else ", "[", "not ", "lambda:", "9**"])
def test_what_is_deeper_is_refused_in_a_sentence_and_crashes_nothing(pattern, times):
    close = {"(": ")", "abs(": ")", "[": "]"}.get(pattern, "")
    assert len(refused(pattern * times + "b3" + close * times)) < 400


@pytest.mark.parametrize("tail", [".x", "[b3]", "()", "+b3", "(b3)", " if b3 else b4", "<b3", " and b3"])
def test_a_long_tail_is_refused_in_a_sentence_and_crashes_nothing(tail):
    for times in (400, 1000, 100_000):
        assert len(refused("b3" + tail * times)) < 400


def test_length_has_a_limit_that_is_told():
    assert "has 5002 characters; an expression has at most 5000" in refused("b3" + " " * LONGEST)
    assert value("b3" + " " * (LONGEST - 2)).tolist() == A.tolist()


@given(st.text(alphabet="b348+-*/()., eE_'\"\n\\sqrtlogminax0123456789[]{}:=<>#@!~\0é", max_size=40))
def test_any_text_is_an_expression_or_a_settings_error(text):
    try:
        expression = parse(text, BANDS)
    except SettingsError:
        return
    assert set(expression.bands) <= set(BANDS)
    assert np.shape(expression(VALUES)) == (4,)
