"""The country as a whole: its tiles, dates and classes, and how all of it is written."""

import csv
import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from parcelle.demo import clouds, fields, landscape, products, reference, scenes
from parcelle.demo.covers import BY_CODE, COVERS, GRASS, MAIZE, WATER, WHEAT
from parcelle.demo.randomness import stream
from parcelle.errors import InputError
from parcelle.grid import Grid, reproject

# Where all tiles meet: on the border of the UTM zones 31 and 32 (6° E) and near that of two MGRS rows.
_EAST_31, _EAST_32, _NORTH = 732_420, 267_580, 5_095_000


@dataclass(frozen=True)
class Edge:
    """A straight edge of a swath: beyond it lies what has ``x · column + y · row > limit``.

    Column and row run from 0 to 1 over the tile.
    """

    x: float
    y: float
    limit: float

    def beyond(self, grid: Grid) -> np.ndarray:
        """Whether a pixel lies beyond; equal for the four pixels in one of 20 m, ``(row, column)``."""
        row = np.arange(grid.height)[:, None] // 2 * 2 / grid.height
        column = np.arange(grid.width) // 2 * 2 / grid.width
        return self.x * column + self.y * row > self.limit


@dataclass(frozen=True)
class Tile:
    """A tile of the country.

    Attributes:
        name: As in MGRS, though it is smaller than an MGRS square.
        grid: Its pixels of 10 m.
        edge: Of what no acquisition sees, if any.
        other_edge: Of what acquisitions from the other orbit do not see, if any.

    """

    name: str
    grid: Grid
    edge: Edge | None = None
    other_edge: Edge | None = None

    def outside(self, date: datetime.date) -> np.ndarray:
        """Whether a pixel lies outside of the swath on a date, ``(row, column)``."""
        edges = (self.edge, self.other_edge if products.other_orbit(date) else None)
        beyond = [edge.beyond(self.grid) for edge in edges if edge]
        return np.any(beyond, axis=0) if beyond else np.zeros((self.grid.height, self.grid.width), bool)


@dataclass(frozen=True)
class Country:
    """All there is to know before anything is drawn.

    Attributes:
        tiles: In the order in which they take precedence in overlaps.
        dates: Of the acquisitions; every tile has one on each.
        classes: Codes of the classes.
        crs: In which the landscape is drawn and the reference is written.
        seed: Of all random numbers.
        clouds: Share of the country under clouds, on average.
        delay: Days by which the hills are later than the plain.
        field_area: Mean area of a field, m².
        outlines: Whether water, villages and woods have outlines of their own; if not, they lie in fields.
        declared: Share of the fields that become reference polygons.
        erosion: Metres that a reference polygon keeps from the border of its field.
        smallest: Least area of a reference polygon, m².
        mislabelled: Share of the reference polygons with a wrong code.

    """

    tiles: tuple[Tile, ...]
    dates: tuple[datetime.date, ...]
    classes: tuple[int, ...] = tuple(cover.code for cover in COVERS)
    crs: str = "EPSG:2154"
    seed: int = 2018
    clouds: float = 0.28
    delay: float = 17.0
    field_area: float = 21_000.0
    outlines: bool = True
    declared: float = 0.3
    erosion: float = 8.0
    smallest: float = 3_000.0
    mislabelled: float = 0.015

    def footprint(self) -> shapely.Geometry:
        """Outline of all tiles, in the CRS of the country."""
        return shapely.union_all([tile.grid.footprint_in(self.crs) for tile in self.tiles])


def _tiles(size: int) -> tuple[Tile, ...]:
    """Three tiles that overlap: two above each other in zone 31, and one beside them in zone 32."""
    if size % 2 or size < 30:
        raise InputError(f"a tile of {size} pixels is not possible: choose an even number of 30 or more.")
    overlap = size // 15 * 2
    length, half = size * 10, overlap * 5
    return (
        Tile("31TGM", Grid("EPSG:32631", _EAST_31 + half - length, _NORTH - half + length, 10, size, size),
             edge=Edge(-0.65, 1, 0.8)),
        Tile("31TGL", Grid("EPSG:32631", _EAST_31 + half - length, _NORTH + half, 10, size, size)),
        Tile("32TKR", Grid("EPSG:32632", _EAST_32 - half, _NORTH + size // 4 * 20, 10, size, size),
             other_edge=Edge(1, 0.2, 0.75)),
    )  # fmt: skip


def default() -> Country:
    """Three tiles of 3 km, 40 acquisitions in 2018, eleven classes."""
    first = datetime.date(2018, 1, 4)
    passes = [first + datetime.timedelta(days=5 * n) for n in range(72)]
    chosen = np.sort(stream(2018, "passes").choice(len(passes), 40, replace=False))
    return Country(tiles=_tiles(300), dates=tuple(passes[n] for n in chosen))


def tiny(size: int = 60, dates: int = 8, tiles: int = 2) -> Country:
    """Country for tests: wheat, maize, grassland and water (which nothing resembles), in small fields.

    Args:
        size: Rows and columns of a tile; even.
        dates: Number of acquisitions, spread over 2018.
        tiles: 1, 2 (above each other in one UTM zone), or 3 (one more in the next zone).

    """
    days = np.linspace(0, 290, dates).round().astype(int)
    first = datetime.date(2018, 2, 3)
    # As many fields in small tiles as in large ones: a class needs some in each region.
    side = size * min(tiles, 2) ** 0.5 * 0.9
    return Country(
        tiles=_tiles(size)[:tiles],
        dates=tuple(first + datetime.timedelta(days=int(day)) for day in days),
        classes=tuple(cover.code for cover in (WHEAT, MAIZE, GRASS, WATER)),
        field_area=side**2,
        outlines=False,
        declared=0.6,
        erosion=0.05 * side,
        smallest=0.2 * side**2,
    )


DEFAULT = default()


def write(folder: str | Path, country: Country = DEFAULT) -> None:
    """Write the country; the same one gives the same bytes.

    The nomenclature comes last: a folder that has it is whole.

    Args:
        folder: Gets `sentinel2/{tile}/`, `truth/{tile}.tif`, `regions.gpkg`, `reference.gpkg`,
            `nomenclature.csv`.
        country: What to write.

    Raises:
        InputError: The folder holds products of another country, which would be mapped with this one.
        ParcelleError: The country is too small for its classes.

    """
    folder = Path(folder)
    _refuse_others(folder, country)
    (folder / "nomenclature.csv").unlink(missing_ok=True)
    land = landscape.make(
        country.crs, country.footprint(), country.classes,
        field_area=country.field_area, outlines=country.outlines, seed=country.seed,
    )  # fmt: skip
    write_reference(folder, country, land)
    write_images(folder, country, land)
    write_nomenclature(folder / "nomenclature.csv", country)


def _refuse_others(folder: Path, country: Country) -> None:
    mine = {products.product_name(tile.name, date) for tile in country.tiles for date in country.dates}
    for product in sorted(folder.glob("sentinel2/*/*")):
        if product.name not in mine:
            raise InputError(f"{product} is not of this country: remove {folder}, or choose another folder.")


def write_reference(folder: Path, country: Country, land: landscape.Landscape) -> None:
    """Write `regions.gpkg` (longitude, latitude) and `reference.gpkg` (CRS of the country)."""
    folder.mkdir(parents=True, exist_ok=True)
    outlines = reproject(np.array(list(land.regions.values())), land.crs, "EPSG:4326")
    products.write_layer(folder / "regions.gpkg", {"region": list(land.regions)}, outlines, "EPSG:4326")
    declared = reference.declare(
        land, country.footprint(), share=country.declared, erosion=country.erosion,
        smallest=country.smallest, mislabelled=country.mislabelled, seed=country.seed,
    )  # fmt: skip
    columns = {
        "field_id": declared.fields + 1,
        "code": declared.labels,
        "name": [BY_CODE[code].name for code in declared.labels],
        "truth": declared.truth,
    }
    products.write_layer(folder / "reference.gpkg", columns, declared.shapes, land.crs)


def write_images(folder: Path, country: Country, land: landscape.Landscape) -> None:
    """Write the products and the truth of all tiles."""
    days = np.array([date.timetuple().tm_yday for date in country.dates])
    values, change = fields.appearance(fields.draw(land, country.delay, country.seed), days, country.seed)
    calibration = scenes.calibrations(len(days), country.seed)[:, None]
    values, change = values * calibration, change * calibration
    skies = [
        clouds.sky(date, land.extent, clouds.cover(date, country.clouds, country.seed), country.seed)
        for date in country.dates
    ]
    for tile in country.tiles:
        ground = scenes.ground(land, tile.grid, country.seed)
        write_truth(folder / f"truth/{tile.name}.tif", tile.grid, land.codes[ground.fields])
        for n, date in enumerate(country.dates):
            random = stream(country.seed, "noise", tile.name, date)
            scene = scenes.observe(ground, values[n], change[n], skies[n], tile.outside(date), random)
            products.write_product(folder / "sentinel2" / tile.name, tile.name, tile.grid, date, scene)


def write_truth(path: Path, grid: Grid, codes: np.ndarray) -> None:
    """Write the class of each pixel, uint8, nodata 0, with the colours of the classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = {code: tuple(bytes.fromhex(cover.colour[1:])) for code, cover in BY_CODE.items()}
    products.write_raster(path, grid, codes.astype(np.uint8), nodata=0, colours=colours)


def write_nomenclature(path: Path, country: Country) -> None:
    """Write code, name, colour and parent of each class."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("code", "name", "colour", "parent"))
        for code in country.classes:
            cover = BY_CODE[code]
            writer.writerow((cover.code, cover.name, cover.colour, cover.parent))
