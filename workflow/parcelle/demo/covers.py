"""The classes of the country: what grows, when, with which leaves.

Days are days of 2018 in the region `plain`. Leaf parameters and leaf areas are typical values of the
literature (Jacquemoud et al. 2009, PROSPECT + SAIL models; Weiss & Baret, S2ToolBox), not a calibration.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pulse:
    """A rise and a fall in time, each a logistic curve (double logistic; Zhang et al. 2003).

    Attributes:
        height: Value between rise and fall, if they lie far apart; may be negative (mowing).
        start: Day when half of the rise is done.
        rise: Pace of the rise in days; most of it takes four times as long.
        end: Day when half of the fall is done.
        fall: Pace of the fall in days.
        spread: Standard deviation, in days, of the date of this pulse between fields.

    """

    height: float
    start: float
    rise: float
    end: float
    fall: float
    spread: float = 0.0

    def at(self, day: np.ndarray) -> np.ndarray:
        """Value on a day; any shape."""
        return self.height * (_logistic((day - self.start) / self.rise) - _logistic((day - self.end) / self.fall))


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


@dataclass(frozen=True)
class Leaf:
    """Parameters of PROSPECT-D and of the canopy that do not change with the season.

    Attributes:
        layers: Leaf structure, number of layers.
        chlorophyll: µg/cm² of a green leaf.
        water: Equivalent water thickness of a green leaf, cm.
        matter: Dry matter, g/cm².
        angle: Mean leaf inclination, degrees.

    """

    layers: float
    chlorophyll: float
    water: float
    matter: float
    angle: float


@dataclass(frozen=True)
class Cover:
    """A class of the nomenclature and how it looks through the year.

    Attributes:
        code, name, colour, parent: As in the nomenclature.
        shares: Share of the open land in each region; 0 for what has an outline of its own (water, woods …).
        leaf: Leaves of the vegetation; None where `spectrum` says it all.
        growth: Leaf area index; the pulses add up.
        brown: Share of senescent leaves, 0 to 1; the pulses add up.
        flower: Share of the ground hidden by yellow flowers.
        bare: Leaf area index outside of all pulses.
        shade: Factor for the shadows that crowns cast on each other.
        soil: Brightness of the soil, 1 being that of the library of PROSAIL.
        spectrum: Reflectance of the ten bands of what does not grow.
        companion: Code of the cover that is mixed into the fields of this one (grass between vines).
        mixture: Largest share of the companion.
        vigour: Standard deviation of the logarithm of the leaf area between fields.
        within: Variation inside a field, relative to that of a crop.
        fine: Whether that variation is one from pixel to pixel (roofs, gardens) and not from place to place.

    """

    code: int
    name: str
    colour: str
    parent: str
    shares: tuple[float, float] = (0.0, 0.0)
    leaf: Leaf | None = None
    growth: tuple[Pulse, ...] = ()
    brown: tuple[Pulse, ...] = ()
    flower: Pulse | None = None
    bare: float = 0.05
    shade: float = 1.0
    soil: float = 0.75
    spectrum: tuple[float, ...] | None = None
    companion: int | None = None
    mixture: float = 0.0
    vigour: float = 0.15
    within: float = 1.0
    fine: bool = False


WHEAT = Cover(
    11, "winter wheat", "#fdeeb0", "annual crops", (0.27, 0.20), Leaf(1.5, 48, 0.012, 0.006, 62),
    growth=(Pulse(0.6, -60, 10, 185, 5), Pulse(3.6, 104, 12, 177, 7, 3), Pulse(0.4, 290, 12, 450, 9, 12)),
    brown=(Pulse(0.95, 173, 5, 225, 12),), soil=0.72, vigour=0.2,
)  # fmt: skip
RAPESEED = Cover(
    12, "rapeseed", "#e0a106", "annual crops", (0.13, 0.10), Leaf(1.6, 45, 0.018, 0.006, 45),
    growth=(Pulse(0.9, -60, 10, 165, 7), Pulse(2.8, 80, 9, 168, 7, 3), Pulse(1.1, 232, 9, 300, 9, 10)),
    brown=(Pulse(0.9, 168, 6, 212, 9),), flower=Pulse(0.55, 101, 3, 126, 4, 2), soil=0.72, vigour=0.2,
)  # fmt: skip
MAIZE = Cover(
    13, "maize", "#c4692c", "annual crops", (0.19, 0.11), Leaf(1.5, 52, 0.014, 0.005, 52),
    growth=(Pulse(3.6, 176, 9, 262, 9, 8), Pulse(0.35, -60, 12, 108, 9, 12)),
    brown=(Pulse(0.9, 254, 7, 305, 9, 4),), vigour=0.22,
)  # fmt: skip
SUNFLOWER = Cover(
    14, "sunflower", "#7d3418", "annual crops", (0.14, 0.10), Leaf(1.7, 44, 0.017, 0.006, 35),
    growth=(Pulse(2.7, 168, 9, 244, 9, 8), Pulse(0.35, -60, 12, 108, 9, 12)),
    brown=(Pulse(0.9, 236, 7, 290, 9, 4),), flower=Pulse(0.12, 192, 3, 206, 3, 8), vigour=0.22,
)  # fmt: skip
GRASS = Cover(
    21, "grassland", "#a5cb6c", "grassland", (0.14, 0.28), Leaf(1.6, 40, 0.013, 0.006, 58),
    growth=(
        Pulse(1.3, 90, 12, 325, 18, 5), Pulse(1.3, 112, 12, 158, 10, 6), Pulse(-1.3, 152, 2, 178, 8, 16),
        Pulse(-0.7, 200, 12, 254, 12, 8),
    ),
    brown=(Pulse(0.55, 194, 10, 252, 10, 8),), bare=0.8, vigour=0.3,
)  # fmt: skip
VINEYARD = Cover(
    31, "vineyard", "#b07cc4", "perennial crops", (0.08, 0.16), Leaf(1.6, 42, 0.014, 0.007, 50),
    growth=(Pulse(1.2, 134, 9, 292, 9, 4), Pulse(-0.3, 175, 8, 250, 10, 8)),
    brown=(Pulse(0.5, 284, 7, 320, 9, 4),), bare=0.35, soil=0.85, companion=21, mixture=0.68, vigour=0.25,
)  # fmt: skip
BROADLEAF = Cover(
    41, "broad-leaved forest", "#479552", "forest", leaf=Leaf(1.6, 44, 0.011, 0.007, 42),
    growth=(Pulse(4.4, 113, 6, 302, 7, 3),), brown=(Pulse(0.9, -90, 5, 106, 6), Pulse(0.9, 296, 7, 460, 6)),
    bare=0.6, shade=0.78, soil=0.5, companion=42, mixture=0.55,
)  # fmt: skip
CONIFER = Cover(
    42, "coniferous forest", "#0f4f4a", "forest", leaf=Leaf(1.9, 52, 0.03, 0.018, 58),
    growth=(Pulse(0.8, 130, 10, 290, 15),),
    brown=(Pulse(0.12, -90, 10, 110, 10), Pulse(0.12, 300, 15, 460, 10)),
    bare=3.6, shade=0.55, soil=0.5, companion=41, mixture=0.55,
)  # fmt: skip
BARE = Cover(
    51, "bare ground", "#d4cabd", "bare ground", (0.05, 0.05), Leaf(1.5, 38, 0.013, 0.006, 58),
    growth=(Pulse(0.35, 100, 15, 200, 15, 15),), soil=1.05, companion=21, mixture=0.35, vigour=0.5,
)  # fmt: skip
WATER = Cover(
    61, "water", "#2b6cb8", "water", within=0.3,
    spectrum=(0.045, 0.052, 0.034, 0.030, 0.018, 0.016, 0.014, 0.012, 0.007, 0.005),
)  # fmt: skip
BUILT = Cover(
    71, "built-up", "#77757f", "built-up", companion=21, mixture=0.6, within=1.6, fine=True,
    spectrum=(0.110, 0.130, 0.150, 0.160, 0.175, 0.180, 0.190, 0.195, 0.220, 0.200),
)  # fmt: skip

COVERS = (WHEAT, RAPESEED, MAIZE, SUNFLOWER, GRASS, VINEYARD, BROADLEAF, CONIFER, BARE, WATER, BUILT)
BY_CODE = {cover.code: cover for cover in COVERS}
