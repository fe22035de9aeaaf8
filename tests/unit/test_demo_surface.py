import datetime

import numpy as np
import pytest

from parcelle.demo.randomness import stream
from parcelle.demo.surface import Surface, random_surface

PLANE = Surface(left=100.0, top=50.0, step=10.0, values=np.array([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]))


def test_surface_is_bilinear_between_its_nodes():
    x, y = np.array([100.0, 110.0, 105.0, 120.0]), np.array([50.0, 50.0, 45.0, 40.0])
    assert PLANE.at(x, y) == pytest.approx([0, 1, 5.5, 12])


def test_beyond_the_lattice_its_nearest_node_counts():
    assert PLANE.at(np.array([0.0, 900.0]), np.array([90.0, 0.0])) == pytest.approx([0, 12])


def test_random_surface_is_standardised_and_smooth():
    surface = random_surface(stream(0, "test"), (0, 0, 5000, 3000), 20, {200: 1.0})
    assert surface.values.shape == (152, 252)
    assert surface.values.mean() == pytest.approx(0, abs=1e-5)
    assert surface.values.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(np.diff(surface.values, axis=0)).max() < 0.4


def test_larger_scales_are_smoother():
    def roughness(scale):
        values = random_surface(stream(0, "test"), (0, 0, 5000, 5000), 20, {scale: 1.0}).values
        return np.diff(values, axis=0).std()

    assert roughness(300) < roughness(100) / 2 < roughness(40) / 4


def test_streams_are_reproducible_and_independent():
    first = stream(1, "fields").random(5)
    assert (stream(1, "fields").random(5) == first).all()
    others = [stream(2, "fields"), stream(1, "clouds"), stream(1, "fields", 3)]
    others.append(stream(1, "sky", datetime.date(2018, 1, 1)))
    assert all((other.random(5) != first).all() for other in others)
