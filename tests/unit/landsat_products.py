"""Product trees of Landsat as the USGS and Theia lay them out, with pixels whose truth is known; and reading back."""

import datetime
import tarfile
import zipfile
from dataclasses import dataclass

import numpy as np
import pyproj
import pytest
from unit.rasters_for_tests import read_series, save

from parcelle import features, inventory
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.settings import Period, Sensor, Settings

# Corners of Landsat's pixels lie between multiples of 30 m, those of MGRS tiles on them.
SCENE = Grid("EPSG:32631", 300_015, 4_900_005, 30, 64, 56)
COMMON = ("blue", "green", "red", "nir08", "swir16", "swir22")

# File of each band: Landsat 4, 5 and 7; 8 and 9.
TM = dict(zip((*COMMON, "lwir"), ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7", "ST_B6"), strict=True))
OLI = dict(zip((*COMMON, "lwir"), ("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7", "ST_B10"), strict=True))
OLI["coastal"] = "SR_B1"

# What QA_PIXEL holds of a clear pixel on land: bit 6, and low confidence in all that it might be.
CLEAR = 0b0101_0101_0100_0000


@dataclass(frozen=True)
class Truth:
    """What a scene shows: planes on the ground, one per band, with flags and holes.

    Attributes:
        day: Day ``YYYYMMDD``.
        seed: Of flags and holes.
        grid: Its grid.

    """

    day: str
    seed: int = 0
    grid: Grid = SCENE

    def plane(self, band, x, y):
        """Reflectance or kelvin at coordinates of `SCENE`'s CRS."""
        place = [*COMMON, "coastal", "lwir"].index(band)
        low, steps = (280, (0.004, -0.002)) if band == "lwir" else (0.05 + 0.04 * place, (4e-5, -3e-5))
        season = 0.001 * int(self.day[4:6])
        return low + season + steps[0] * (x - SCENE.left) + steps[1] * (y - SCENE.top)

    def values(self, band):
        """The plane at the pixel centres ``(row, column)``."""
        return self.plane(band, *np.meshgrid(*self.grid.centres(self.grid.whole)))

    def some(self, name, share):
        """Pixels chosen by chance ``(row, column)`` bool."""
        random = np.random.default_rng([self.seed, *name.encode()])
        return random.random((self.grid.height, self.grid.width)) < share

    def flags(self, name, bits, share=0.02):
        """Each bit set in pixels chosen by chance ``(row, column)`` uint16."""
        return sum((self.some(f"{name}{bit}", share) * (1 << bit) for bit in bits), 0).astype(np.uint16)

    def stored(self, band, scale, offset, fill, dtype):
        """As numbers in a file; some pixels are fill."""
        raw = np.rint((self.values(band) - offset) / scale)
        return np.where(self.holes(band), fill, raw).astype(dtype)

    def holes(self, band):
        """Pixels without data."""
        return self.some(f"fill {band}", 0.01)


def scene_name(satellite="LC08", day="20180103", place="198030", processed="20200902", level="L2SP", end="02_T1"):
    return f"{satellite}_{level}_{place}_{day}_{processed}_{end}"


def files_of(name):
    return OLI if name[3] in "89" else TM


def usgs(parent, name, truth=None, without=(), beside=False):
    """Write a scene of Collection 2 level 2; its files lie side by side in `parent`, or in a folder of its own."""
    truth = truth or Truth(name.split("_")[3])
    folder = parent if beside else parent / name
    for band, end in files_of(name).items():
        scale, offset = (0.00341802, 149.0) if end.startswith("ST") else (0.0000275, -0.2)
        if end not in without:
            raw = truth.stored(band, scale, offset, 0, np.uint16)
            save(folder / f"{name}_{end}.TIF", raw, truth.grid, nodata=0)
    masks = {"QA_PIXEL": CLEAR | truth.flags("pixel", range(6)) | truth.flags("pixel", [7], 0.3)}
    masks["QA_RADSAT"] = truth.flags("radsat", [0, 1, 3, 6, 8, 9, 11], 0.01)
    for end, flags in masks.items():
        if end not in without:
            save(folder / f"{name}_{end}.TIF", flags, truth.grid)
    (folder / f"{name}_MTL.txt").write_text("GROUP = LANDSAT_METADATA_FILE\n")
    return folder


def usgs_invalid(truth, bits=range(6)):
    """Pixels that the masks of a scene call invalid: flags of `bits`, and saturated, dropped or hidden ones."""
    flags = truth.flags("pixel", range(6))
    saturated = truth.flags("radsat", [0, 1, 3, 6, 9, 11], 0.01)
    return (flags & sum(1 << bit for bit in bits) != 0) | (saturated != 0)


def tarred(folder):
    """Put the files of a scene into an archive beside it, without folders, as it is delivered; remove the folder."""
    archive = folder.with_name(f"{folder.name}.tar")
    with tarfile.open(archive, "w") as content:
        for file in sorted(folder.iterdir()):
            content.add(file, file.name)
            file.unlink()
    folder.rmdir()
    return archive


def theia_name(satellite="8", day="20180103", tile="T31TCJ"):
    sensor = {"5": "TM", "7": "ETM", "8": "OLITIRS"}[satellite]
    return f"LANDSAT{satellite}-{sensor}-XS_{day}-103617-890_L2A_{tile}_C_V1-0"


def theia_bands(satellite):
    """Bands in the order of their numbers, with these."""
    if satellite == "8":
        return dict(zip(("coastal", *COMMON), range(1, 8), strict=True))
    return dict(zip(COMMON, (1, 2, 3, 4, 5, 7), strict=True))


def theia(parent, name, truth=None, kinds=("FRE", "SRE")):
    """Write a product of Theia in its layout since 2017; SRE is 0.01 more than FRE."""
    truth, folder = truth or Truth(name.split("_")[1][:8]), parent / name
    for band, number in theia_bands(name[7]).items():
        for kind in kinds:
            raw = truth.stored(band, 1e-4, 0.0 if kind == "FRE" else -0.01, -10000, np.int16)
            save(folder / f"{name}_{kind}_B{number}.tif", raw, truth.grid)
    for mask in ("CLM", "SAT", "EDG", "MG2"):
        save(folder / "MASKS" / f"{name}_{mask}_XS.tif", truth.flags(mask, [0, 5]).astype(np.uint8), truth.grid)
    (folder / f"{name}_MTD_ALL.xml").write_text("<Muscate_Metadata_Document/>")
    return folder


def theia_invalid(truth):
    return sum(truth.flags(mask, [0, 5]) for mask in ("CLM", "SAT", "EDG")) != 0


def old_name(satellite="8", day="20140110", tile="France-MetropoleD0005H0002"):
    sensor = {"5": "TM", "7": "ETM", "8": "OLITIRS"}[satellite]
    return f"LANDSAT{satellite}_{sensor}_XS_{day}_N2A_{tile}"


def old(parent, name, truth=None, quantification=1000):
    """Write a product of Theia in its layout before 2017."""
    head, _, tile = name.partition("_N2A_")
    truth, folder = truth or Truth(head.split("_")[-1]), parent / name
    for kind, offset in (("PENTE", 0.0), ("ENV", -0.01)):
        raw = [truth.stored(b, 1 / quantification, offset, -10000, np.int16) for b in theia_bands(name[7])]
        save(folder / f"{head}_N2A_ORTHO_SURF_CORR_{kind}_{tile}.TIF", np.stack(raw), truth.grid)
    save(folder / f"{head}_N2A_AOT_{tile}.TIF", truth.flags("aot", [0]).astype(np.int16), truth.grid)
    for mask in ("NUA", "SAT", "DIV"):
        save(folder / "MASK" / f"{name}_{mask}.TIF", truth.flags(mask, [0, 1, 5]).astype(np.uint8), truth.grid)
    band = "<THERM_BAND>False</THERM_BAND>"
    text = f"<QUANTIFICATION>\n  {band}\n  <VALUE>{quantification:.1f}</VALUE>\n</QUANTIFICATION>"
    (folder / f"{name}.xml").write_text(f"<METADATA><RADIOMETRY>{text}</RADIOMETRY></METADATA>")
    return folder


def old_invalid(truth):
    """Any bit of clouds and saturation; the first of DIV."""
    return (truth.flags("NUA", [0, 1, 5]) | truth.flags("SAT", [0, 1, 5]) | (truth.flags("DIV", [0, 1, 5]) & 1)) != 0


def zipped(folder):
    """Put a product into an archive beside it, in its folder; remove the folder."""
    archive = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(archive, "w") as content:
        for file in sorted(folder.rglob("*")):
            content.write(file, file.relative_to(folder.parent))
    for file in sorted(folder.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    folder.rmdir()
    return archive


FIRST, LAST = datetime.date(2018, 1, 1), datetime.date(2018, 12, 31)
DAYS = [f"2018{month:02}17" for month in range(1, 13)]
SATELLITES = ("LT05", "LE07", "LC08", "LC09")
# The scenes' ground in the next zone, on pixels of MGRS tiles; it reaches beyond the scenes in the north and west.
NEXT = Grid("EPSG:32630", 779_160, 4_903_140, 30, 58, 50)


def described(path, format="landsat-c2-l2", **options):
    return Sensor(format=format, path=str(path), **options)


def take(sensor, grid=SCENE, on_bad="fail", tile="31TCJ", years=(2018, 2018)):
    first, last = FIRST.replace(year=years[0]), LAST.replace(year=years[1])
    settings = Settings.model_construct(sensors={"s2": sensor}, period=Period(start=first, end=last))
    (recipe,) = features.recipes(settings)
    return inventory.take(settings.sensors, tile, grid, first, last, on_bad, {"s2": recipe.bands}), recipe


def series(sensor, grid=SCENE, **options):
    taken, recipe = take(sensor, grid, **options)
    assert taken.problems == ()
    return read_series(taken.acquisitions, recipe.bands, grid.whole, recipe.dtype, grid=grid)


def check_own_grid(found, truths, bands, invalid, error):
    """Compare with the truth on the scenes' own grid: reflectance × 10,000 or K, and what is valid.

    The error is that of two roundings: in the file, and of the reflectance × 10,000.
    """
    unit = 1 if bands == ["lwir"] else 10_000
    assert len(found.dates) == len(truths)
    for i, truth in enumerate(truths):
        observed = ~invalid(truth) & ~np.any([truth.holes(band) for band in bands], axis=0)
        assert np.array_equal(found.valid[i], observed) and 0.3 < observed.mean() < 0.95
        for j, band in enumerate(bands):
            assert np.abs(found.values[i, j] - unit * truth.values(band))[observed].max() <= error


def check_next_zone(found, truths, bands, invalid, error):
    """Compare with the truth on `NEXT`: places by pyproj; pixels within a hundredth of a border are not looked at."""
    to = pyproj.Transformer.from_crs(NEXT.crs, SCENE.crs, always_xy=True)
    x, y = to.transform(*np.meshgrid(*NEXT.centres(NEXT.whole)))
    rows, columns = (SCENE.top - y) / 30, (x - SCENE.left) / 30
    inside = (rows >= 0) & (rows < SCENE.height) & (columns >= 0) & (columns < SCENE.width)
    sure = np.all([np.abs(p - np.rint(p)) > 0.01 for p in (rows, columns, rows - 0.5, columns - 0.5)], axis=0)
    # At the border of the scenes the outermost pixels are repeated, and there is no plane.
    middle = (rows > 0.5) & (rows < SCENE.height - 0.5) & (columns > 0.5) & (columns < SCENE.width - 0.5)
    assert 0.5 < inside.mean() < 0.95
    under = np.floor([rows, columns]).astype(int)
    first = np.floor([rows - 0.5, columns - 0.5]).astype(int)
    for i, truth in enumerate(truths):
        holes = np.any([truth.holes(band) for band in bands], axis=0)
        holes = np.any([at(holes, first[0] + r, first[1] + c) for r, c in np.ndindex(2, 2)], axis=0)
        observed = inside & ~at(invalid(truth), *under) & ~holes
        assert np.array_equal(found.valid[i][sure], observed[sure]) and observed.mean() > 0.3
        for j, band in enumerate(bands):
            difference = np.abs(found.values[i, j] - 10_000 * truth.plane(band, x, y))
            assert difference[observed & sure & middle].max() <= error


def at(image, rows, columns):
    """Pixels of an image; beyond it those at its border."""
    return image[np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1)]


def problem(format, path, tile="31TCJ"):
    """What is wrong with the only product."""
    acquisitions, (one,) = format.find(str(path), tile, "l")
    assert acquisitions == []
    return one


def damaged(sensor, **options):
    """The one sentence of a refusal; with `skip`, the product is left out and the others are read."""
    with pytest.raises(InputError) as error:
        take(sensor, **options)
    first, sentence, last = str(error.value).split("\n")
    assert first == f"tile {options.get('tile', '31TCJ')}: 1 bad acquisition(s):"
    assert last.startswith("Repair or remove them, or set `on_bad_acquisition: skip`")
    taken, _ = take(sensor, on_bad="skip", **options)
    assert len(taken.problems) == len(taken.acquisitions) == 1
    assert str(taken.problems[0]) == sentence.strip()
    return sentence.strip()
