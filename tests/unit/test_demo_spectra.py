import numpy as np
import prosail
import pytest

from parcelle.demo import spectra
from parcelle.demo.covers import BY_CODE, MAIZE, WATER, WHEAT
from parcelle.errors import ParcelleError

RED, NIR, SWIR = (spectra.BANDS.index(band) for band in ("B4", "B8", "B11"))


def constant(*values):
    return [np.array([value]) for value in values]


def test_bands_average_flat_spectra_and_lie_at_their_wavelength():
    weight = spectra.responses()
    assert weight.shape == (10, 2101)
    assert weight.sum(axis=1) == pytest.approx(np.ones(10))
    centres = weight @ np.arange(400, 2501)
    assert centres == pytest.approx([492, 560, 665, 704, 741, 783, 833, 865, 1614, 2202], abs=1)


def test_a_band_is_as_wide_as_its_response():
    weight = spectra.responses()[NIR]
    above_half = np.flatnonzero(weight >= weight.max() / 2)
    assert above_half[-1] - above_half[0] == pytest.approx(106, abs=2)


def test_without_leaves_the_soil_is_seen():
    seen = spectra.canopy(MAIZE.leaf, 0.0, 0.0, 1.0, 0.8)
    assert seen == pytest.approx(0.8 * prosail.spectral_lib.soil.rsoil1)


def test_the_table_holds_what_prosail_gives():
    expected = spectra.responses() @ spectra.canopy(WHEAT.leaf, 3.0, 0.5, 1.0, 0.3)
    found = spectra.reflectance(WHEAT.code, *constant(3.0, 0.5, 1.0, 0.3))
    assert found[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("state", [(0.7, 0.1, 0.4, 0.8), (2.2, 0.3, 0.7, 1.1), (3.9, 0.8, 0.2, 0.6)])
def test_between_levels_the_table_is_close_to_prosail(state):
    expected = spectra.responses() @ spectra.canopy(MAIZE.leaf, *state)
    found = spectra.reflectance(MAIZE.code, *constant(*state))[0]
    assert np.abs(found - expected).max() < 0.02


def test_beyond_the_levels_the_last_one_holds():
    inside = spectra.reflectance(WHEAT.code, *constant(7.0, 1.0, 1.0, 1.5))
    assert spectra.reflectance(WHEAT.code, *constant(9.0, 1.2, 1.5, 2.0)) == pytest.approx(inside)


def test_green_leaves_lower_the_red_and_raise_the_near_infrared():
    leaf_area = np.array([0.0, 1.0, 2.0, 4.0])
    other = np.zeros(4), np.full(4, 0.5), np.ones(4)
    values = spectra.reflectance(MAIZE.code, leaf_area, *other)
    assert (np.diff(values[:, RED]) < 0).all() and (np.diff(values[:, NIR]) > 0).all()
    ndvi = (values[:, NIR] - values[:, RED]) / (values[:, NIR] + values[:, RED])
    assert ndvi[0] < 0.3 and ndvi[-1] > 0.85


def test_senescent_leaves_are_bright_in_the_red_and_dry_ones_in_the_short_wave_infrared():
    brown = np.array([0.0, 0.5, 1.0])
    values = spectra.reflectance(WHEAT.code, np.full(3, 3.0), brown, np.ones(3), np.full(3, 0.7))
    assert (np.diff(values[:, RED]) > 0).all() and (np.diff(values[:, SWIR]) > 0).all()


def test_shape_is_that_of_the_arguments_and_a_band():
    state = np.ones((4, 3))
    assert spectra.reflectance(WHEAT.code, state, state, state, state).shape == (4, 3, 10)


def test_water_has_no_leaves():
    assert BY_CODE[WATER.code].leaf is None
    with pytest.raises(ParcelleError, match="nothing grows in class 61"):
        spectra.table(WATER.code)
