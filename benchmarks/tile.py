"""Write a simulated tile in the layout of Theia's Sentinel-2 products: ten bands, three masks, some 30 % clouds.

Its fields are those of `scene.image`, so that a forest of `scene.training_set` maps them.
"""

import argparse
import datetime
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
import scene

TILE = "31TAA"
YEAR = datetime.date(2018, 1, 1)
ORIGIN = (500_000, 5_000_000)  # in EPSG:32631
COARSE = ("b5", "b6", "b7", "b8a", "b11", "b12")  # bands of 20 m
LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "striped": {"tiled": False, "blockysize": 16},
}
NOISE, SPREAD = 2**22, 0.06  # values drawn once; every line of fields takes its own part of them
CLOUD = 3000  # added to the reflectance × 10,000 under a cloud


@dataclass(frozen=True)
class Tile:
    """What is simulated: pixels of 10 m, dates, and the seed of its fields."""

    height: int
    width: int
    dates: int = 70
    seed: int = 9

    @cached_property
    def days(self) -> np.ndarray:
        """Day of the year of each date, counted from 0 ``(date,)``."""
        return np.linspace(0, 359, self.dates).round().astype(np.int32)

    @cached_property
    def fields(self) -> tuple[int, int]:
        """Rows and columns of fields."""
        return -(-self.height // scene.FIELD), -(-self.width // scene.FIELD)

    @cached_property
    def land(self) -> scene.Land:
        """The fields."""
        return scene.Land.draw(self.fields[0] * self.fields[1], self.seed)

    @cached_property
    def classes(self) -> np.ndarray:
        """True class of each pixel ``(row, column)`` uint8."""
        return _spread((self.land.classes + 1).reshape(self.fields).astype(np.uint8), self.height, self.width)

    @cached_property
    def clean(self) -> np.ndarray:
        """Reflectance × 10,000 of each field without noise ``(date, band, row, column)`` float32."""
        every = np.arange(self.fields[0] * self.fields[1])
        green = self.land.greenness(every, self.days)[:, None].astype(np.float32)
        soil, leaf = (values[:, None].astype(np.float32) for values in (scene.SOIL, scene.LEAF))
        values = (soil + (leaf - soil) * green) * self.land.brightness.astype(np.float32)
        return values.reshape(self.dates, len(scene.BANDS), *self.fields)

    @cached_property
    def noise(self) -> np.ndarray:
        """Factors around 1 ``(value,)`` float32."""
        length = NOISE + scene.FIELD * self.width
        return 1 + SPREAD * np.random.default_rng(self.seed).standard_normal(length, np.float32)

    def clouds(self, date: int) -> np.ndarray:
        """Clouds of a date ``(row, column)`` bool: up to 60 % of the tile, 30 % on average."""
        share = 0.6 * (date * 0.618 % 1)
        return scene.clouds(self.height, self.width, share, self.seed + 1000 + date)

    def band(self, date: int, band: int, clouds: np.ndarray) -> np.ndarray:
        """Pixels of a band at its own resolution ``(row, column)`` int16."""
        step = step_of(scene.BANDS[band])
        height, width, side = self.height // step, self.width // step, scene.FIELD // step
        pixels = np.empty((height, width), np.int16)
        offsets = np.random.default_rng((self.seed, date, band)).integers(0, NOISE, self.fields[0])
        for row, offset in enumerate(offsets):
            part = pixels[row * side : (row + 1) * side]
            line = np.repeat(self.clean[date, band, row], side)[:width]
            np.multiply(self.noise[offset : offset + part.size].reshape(part.shape), line, out=part, casting="unsafe")
        return np.add(pixels, CLOUD, out=pixels, where=clouds[::step, ::step])


def step_of(band: str) -> int:
    """Pixels of 10 m along the side of a pixel of a band."""
    return 2 if band in COARSE else 1


def _spread(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Give each pixel what its field has."""
    return np.repeat(np.repeat(values, scene.FIELD, axis=0), scene.FIELD, axis=1)[:height, :width]


def write(folder: Path, tile: Tile, layout: str = "tiled", threads: int = 2) -> Path:
    """Write all products of a tile; give the folder that holds them.

    Raises:
        ValueError: The sides are odd: pixels of 20 m would stick out.

    """
    if tile.height % 2 or tile.width % 2:
        raise ValueError(f"a tile of {tile.height} × {tile.width} pixels: the sides must be even")
    products = folder / "sentinel2" / TILE
    tile.clean, tile.noise  # noqa: B018 (made here, once, and not by each thread)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda date: _write_product(products, tile, date, layout), range(tile.dates)))
    return products


def name_of(day: datetime.date) -> str:
    """Name of the product of a day."""
    return f"SENTINEL2A_{day:%Y%m%d}-104812-123_L2A_T{TILE}_C_V1-0"


def _write_product(products: Path, tile: Tile, date: int, layout: str) -> None:
    name = name_of(YEAR + datetime.timedelta(days=int(tile.days[date])))
    (products / name / "MASKS").mkdir(parents=True, exist_ok=True)
    clouds = tile.clouds(date)
    for i, band in enumerate(scene.BANDS):
        path = products / name / f"{name}_FRE_{band.upper()}.tif"
        _write_raster(path, tile.band(date, i, clouds), 10 * step_of(band), layout)
    nothing = np.zeros_like(clouds)
    for mask, flags in (("CLM", clouds), ("EDG", nothing), ("SAT", nothing)):
        _write_raster(products / name / f"MASKS/{name}_{mask}_R1.tif", flags.astype(np.uint8), 10, layout)


def _write_raster(path: Path, pixels: np.ndarray, size: int, layout: str) -> None:
    """Write one band; `size` is that of a pixel in metres."""
    profile = dict(driver="GTiff", count=1, dtype=pixels.dtype, height=pixels.shape[0], width=pixels.shape[1])
    profile |= dict(compress="DEFLATE", zlevel=6, predictor=2, **LAYOUTS[layout])
    transform = rasterio.Affine(size, 0, ORIGIN[0], 0, -size, ORIGIN[1])
    with rasterio.open(path, "w", crs="EPSG:32631", transform=transform, **profile) as image:
        image.write(pixels, 1)


def main() -> None:
    """Write the tile that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="the products go to FOLDER/sentinel2/31TAA")
    parser.add_argument("--height", type=int, default=1024, help="pixels of 10 m")
    parser.add_argument("--width", type=int, default=1024, help="pixels of 10 m")
    parser.add_argument("--dates", type=int, default=70)
    parser.add_argument("--layout", choices=LAYOUTS, default="tiled")
    given = parser.parse_args()
    print(write(given.folder, Tile(given.height, given.width, given.dates), given.layout))


if __name__ == "__main__":
    main()
