import datetime

import numpy as np
import pytest

from parcelle.demo import clouds
from parcelle.demo.surface import Surface

EXTENT = (0.0, 0.0, 3000.0, 3000.0)
WINTER, SUMMER = datetime.date(2018, 12, 20), datetime.date(2018, 6, 20)
X, Y = np.meshgrid(np.arange(5, 3000, 10.0), np.arange(2995, 0, -10.0))


def one_cloud(shadow=(0.0, 0.0)):
    """Round cloud of 300 m around (1500, 1500)."""
    distance = np.hypot(X - 1500, Y - 1500)
    return clouds.Sky(Surface(5.0, 2995.0, 10.0, (1 - distance / 300).astype(np.float32)), 0.0, shadow)


def test_a_cloud_is_thick_in_the_middle_and_ends_softly():
    opacity = one_cloud().opacity(np.array([1500.0, 1790.0, 1810.0]), np.full(3, 1500.0))
    assert opacity == pytest.approx([1, 0.02, 0], abs=0.02)
    assert opacity[1] > 0 == opacity[2]


def test_a_shadow_is_its_cloud_displaced():
    sky = one_cloud(shadow=(-100.0, 400.0))
    x, y = np.array([1400.0, 1500.0]), np.array([1900.0, 1500.0])
    assert sky.shade(x, y) == pytest.approx([1, 0], abs=1e-6)
    assert sky.shade(X, Y).sum() == pytest.approx(sky.opacity(X, Y).sum(), rel=1e-3)


def test_shadows_fall_north_north_west_and_are_longer_in_winter():
    winter, summer = (clouds.sky(date, EXTENT, 0.3, seed=0).shadow for date in (WINTER, SUMMER))
    assert all(east < 0 < north for east, north in (winter, summer))
    length = [np.hypot(*clouds._displacement(date, 100)) for date in (WINTER, SUMMER)]
    # The sun stands 71° and 25° from the zenith.
    assert length == pytest.approx([100 * np.tan(np.radians(71.4)), 100 * np.tan(np.radians(24.6))], rel=0.01)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_clouds_hide_their_share_of_the_country(share):
    sky = clouds.sky(SUMMER, EXTENT, share, seed=3)
    assert (sky.thickness.values > sky.base).mean() == pytest.approx(share, abs=0.01)


def test_a_clear_sky_hides_nothing_and_an_overcast_one_all():
    clear, overcast = (clouds.sky(SUMMER, EXTENT, share, seed=3) for share in (0.0, 1.0))
    assert clear.opacity(X, Y).max() == 0 == clear.shade(X, Y).max()
    assert overcast.opacity(X, Y).min() > 0.99


def test_clouds_of_two_grids_agree():
    sky = clouds.sky(SUMMER, EXTENT, 0.5, seed=3)
    assert sky.opacity(X[50:90], Y[50:90]) == pytest.approx(sky.opacity(X, Y)[50:90])


def test_share_of_clouds_is_the_mean_with_clear_and_overcast_days():
    days = [datetime.date(2018, 1, 1) + datetime.timedelta(days=n) for n in range(2000)]
    shares = np.array([clouds.cover(day, 0.3, seed=0) for day in days])
    assert shares.mean() == pytest.approx(0.3, abs=0.03)
    assert (shares == 0).mean() > 0.15 and (shares == 1).mean() > 0.05
    assert ((shares > 0.1) & (shares < 0.9)).mean() > 0.3


def test_without_clouds_every_day_is_clear():
    assert clouds.cover(SUMMER, 0.0, seed=0) == 0


def test_clouds_brighten_and_shadows_darken():
    ground = np.full((1, 3, 10), 0.1, np.float32)
    seen = clouds.cast(ground, np.array([[0, 1, 0]], np.float32), np.array([[0, 0, 1]], np.float32))
    assert seen[0, 0] == pytest.approx(np.full(10, 0.1))
    assert (seen[0, 1] > 0.3).all()
    assert (seen[0, 2] < 0.07).all() and (seen[0, 2] > 0.03).all()
    assert seen[0, 2, 0] > seen[0, 2, 9]


def test_half_a_cloud_is_half_of_each():
    ground = np.full((1, 1, 10), 0.1, np.float32)
    none, half = np.zeros((1, 1), np.float32), np.full((1, 1), 0.5, np.float32)
    thick = clouds.cast(ground, none + 1, none)
    assert clouds.cast(ground, half, none) == pytest.approx((ground + thick) / 2)


def test_the_mask_tells_clouds_from_shadows_and_reaches_beyond():
    opacity, shade = np.zeros((40, 40)), np.zeros((40, 40))
    opacity[10, 10], shade[30, 30] = 0.01, 0.01
    mask = clouds.mask(opacity, shade)
    assert mask.dtype == np.uint8
    assert (mask[6:15, 6:15] == 3).all() and (mask[26:35, 26:35] == 33).all()
    assert (mask != 0).sum() == 2 * 81


def test_nothing_to_dilate_stays_nothing():
    assert not clouds.dilated(np.zeros((5, 5), bool)).any()
