import itertools

import numpy as np
import pytest

from parcelle.demo.covers import BY_CODE, COVERS, Pulse


def test_pulse_is_half_way_at_its_start_and_its_end():
    pulse = Pulse(4.0, 100, 8, 250, 5)
    assert pulse.at(np.array([100.0, 175.0, 250.0])) == pytest.approx([2.0, 4.0, 2.0], abs=1e-3)
    assert pulse.at(np.array([0.0, 365.0])) == pytest.approx([0, 0], abs=1e-3)


def test_pulse_rises_at_its_pace():
    # A logistic curve goes from 12 % to 88 % of its height in four times its pace.
    pulse = Pulse(1.0, 100, 8, 1000, 5)
    assert pulse.at(np.array([84.0, 116.0])) == pytest.approx([0.1192, 0.8808], abs=1e-4)


def test_pulse_far_from_its_dates_does_not_overflow():
    assert Pulse(1.0, 100, 0.01, 200, 0.01).at(np.array([-1e6, 1e6])) == pytest.approx([0, 0])


def test_codes_and_names_are_unique_and_not_contiguous():
    codes = [cover.code for cover in COVERS]
    assert codes == sorted(set(codes))
    assert max(codes) <= 255 and len(codes) == 11
    assert len({cover.name for cover in COVERS}) == len(COVERS)
    assert max(np.diff(codes)) > 1


def test_every_cover_has_an_appearance():
    for cover in COVERS:
        assert (cover.leaf is None) != (cover.spectrum is None), cover.name
        assert cover.companion is None or cover.companion in BY_CODE
        assert 0 <= cover.mixture < 1
    assert {cover.name for cover in COVERS if cover.spectrum} == {"water", "built-up"}


def test_shares_of_open_land_add_up_to_one():
    for region in (0, 1):
        assert sum(cover.shares[region] for cover in COVERS) == pytest.approx(1)


# Machado et al. 2009, severity 1: what protanopes and deuteranopes see of linear red, green and blue.
SEEN = {
    "all": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881],
    ],
}  # fmt: skip
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour, seen):
    """CIE Lab of a colour as somebody sees it."""
    encoded = np.array(list(bytes.fromhex(colour[1:]))) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(seen) @ linear, 0, 1) / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SEEN)
def test_colours_differ_also_for_the_colour_blind(sight):
    for a, b in itertools.combinations(COVERS, 2):
        difference = np.linalg.norm(lab(a.colour, SEEN[sight]) - lab(b.colour, SEEN[sight]))
        assert difference > 12, f"{a.name} and {b.name}: {difference:.1f}"
