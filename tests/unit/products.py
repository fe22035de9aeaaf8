"""Product trees of Sentinel-2 in the exact layout of their formats, of a few pixels with known values and masks."""

import datetime
import shutil
import zipfile
from dataclasses import dataclass

import numpy as np
import rasterio
from unit.rasters_for_tests import coarser, read_series, save

from parcelle import inventory
from parcelle.grid import Grid
from parcelle.settings import Sensor

GRID = Grid("EPSG:32631", 300_000, 4_900_020, 10, 60, 60)
TILE = "31TCJ"
FIRST, LAST = datetime.date(2018, 1, 1), datetime.date(2018, 12, 31)
SIZES = {"b1": 60, "b2": 10, "b3": 10, "b4": 10, "b5": 20, "b6": 20, "b7": 20, "b8": 10, "b8a": 20, "b9": 60,
         "b11": 20, "b12": 20}  # fmt: skip
BANDS = tuple(band for band, size in SIZES.items() if size < 60)
MISSING = -32768
BAND_IDS = {"B01": 0, "B02": 1, "B03": 2, "B04": 3, "B05": 4, "B06": 5, "B07": 6, "B08": 7, "B8A": 8, "B09": 9,
            "B10": 10, "B11": 11, "B12": 12}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What is seen on a day.

    Attributes:
        day: The day.
        bands: Reflectance × 10,000 of each band at its own pixel size ``(row, column)``, `MISSING` where not observed.
        random: For masks.

    """

    day: datetime.date
    bands: dict[str, np.ndarray]
    random: np.random.Generator

    def seen(self, bands=BANDS):
        """Reflectances at 10 m ``(band, row, column)``."""
        return np.stack([spread(self.bands[band], SIZES[band] // 10) for band in bands])

    def observed(self, bands=BANDS):
        return (self.seen(bands) != MISSING).all(axis=0)


def spread(pixels, factor):
    """Coarse pixels at the grid's size."""
    return pixels.repeat(factor, 0).repeat(factor, 1)


def scene(day, low=1, seed=0):
    random = np.random.default_rng([seed, day.toordinal()])
    bands = {}
    for band, size in SIZES.items():
        grid = coarser(GRID, size // 10)
        bands[band] = random.integers(low, 12_000, (grid.height, grid.width))
        bands[band][random.random(bands[band].shape) < 0.004] = MISSING
    return Scene(day, bands, random)


def year(step=15, low=1, months=False):
    """Scenes of a year: every so many days, or the middle of each month."""
    middles = [datetime.date(2018, month, 15) for month in range(1, 13)]
    days = middles if months else [FIRST + datetime.timedelta(i) for i in range(3, 365, step)]
    return [scene(day, low) for day in days]


def theia(parent, scene, kind="FRE", level="L2A", satellite="A", version="C_V1-4", time="105435-457"):
    """Write a product of Theia but for its masks; the other kind of reflectance, where there is one, is wrong."""
    name = f"SENTINEL2{satellite}_{scene.day:%Y%m%d}-{time}_{level}_T{TILE}_{version}"
    folder = parent / name
    (folder / "MASKS").mkdir(parents=True)
    (folder / "DATA").mkdir()
    for band in BANDS:
        pixels = np.where(scene.bands[band] == MISSING, -10_000, scene.bands[band]).astype("int16")
        grid = coarser(GRID, SIZES[band] // 10)
        save(folder / f"{name}_{kind}_{band.upper()}.tif", pixels, grid, compress="deflate")
        if level == "L2A":
            other = {"FRE": "SRE", "SRE": "FRE"}[kind]
            save(folder / f"{name}_{other}_{band.upper()}.tif", np.full_like(pixels, 7), grid, compress="deflate")
    (folder / f"{name}_MTD_ALL.xml").write_text("<Muscate_Metadata_Document/>")
    (folder / f"{name}_QKL_ALL.jpg").write_bytes(b"\xff\xd8")
    return folder


def theia_l2a(parent, scene, **names):
    """Write a product of level 2A; give its folder and what is valid ``(row, column)``."""
    folder = theia(parent, scene, **names)
    valid = scene.observed()
    for mask, share, bits in (("CLM", 0.3, (1, 2, 4, 128, 129)), ("EDG", 0.05, (1,)), ("SAT", 0.02, (1, 128))):
        flagged = scene.random.random(valid.shape) < share
        flags = np.where(flagged, scene.random.choice(bits, valid.shape), 0).astype("uint8")
        save(folder / "MASKS" / f"{folder.name}_{mask}_R1.tif", flags, GRID, compress="deflate")
        coarse = coarser(GRID, 2)
        save(folder / "MASKS" / f"{folder.name}_{mask}_R2.tif", np.full((30, 30), 255, "uint8"), coarse)
        valid &= ~flagged
    save(folder / "MASKS" / f"{folder.name}_MG2_R1.tif", np.full((60, 60), 255, "uint8"), GRID)
    return folder, valid


def theia_l3a(parent, scene, **names):
    """Write a synthesis; give its folder and what is valid ``(row, column)``."""
    named = {"satellite": "X", "version": "C_V1-1", "time": "000000-000"} | names
    folder = theia(parent, scene, kind="FRC", level="L3A", **named)
    flags = scene.random.choice([0, 1, 2, 3, 4], (60, 60), p=[0.05, 0.2, 0.05, 0.1, 0.6]).astype("uint8")
    save(folder / "MASKS" / f"{folder.name}_FLG_R1.tif", flags, GRID)
    save(folder / "MASKS" / f"{folder.name}_FLG_R2.tif", np.zeros((30, 30), "uint8"), coarser(GRID, 2))
    for mask in ("DTS", "WGT"):
        save(folder / "MASKS" / f"{folder.name}_{mask}_R1.tif", np.zeros((60, 60), "uint8"), GRID)
    return folder, scene.observed() & (flags > 1)


METADATA = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
{doctype}<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE></Product_Info>
    <Product_Image_Characteristics>
      <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
      <QUANTIFICATION_VALUES_LIST>
        <{quantification} unit="none">10000</{quantification}>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
{offsets}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-2A_User_Product>
"""


def metadata(baseline="0206", offset=0, quantification="BOA_QUANTIFICATION_VALUE", doctype=""):
    """Text of the metadata of Sen2Cor; without an offset none is listed."""
    lines = (f'        <BOA_ADD_OFFSET band_id="{i}">{offset}</BOA_ADD_OFFSET>' for i in BAND_IDS.values())
    listed = "\n".join(("      <BOA_ADD_OFFSET_VALUES_LIST>", *lines, "      </BOA_ADD_OFFSET_VALUES_LIST>"))
    number = f"{baseline[:2]}.{baseline[2:]}"
    offsets = listed if offset else ""
    return METADATA.format(baseline=number, quantification=quantification, offsets=offsets, doctype=doctype)


def safe(parent, scene, baseline="0206", offset=0, generated="20180201T130000", strip="105435", classes=None, size=60):
    """Write a product of Sen2Cor, with bands up to a pixel size; give its folder and the classes ``(row, column)``."""
    day = f"{scene.day:%Y%m%d}"
    folder = parent / f"S2A_MSIL2A_{day}T105431_N{baseline}_R051_T{TILE}_{generated}.SAFE"
    images = folder / "GRANULE" / f"L2A_T{TILE}_A013229_{day}T{strip}" / "IMG_DATA"
    for band, gsd in SIZES.items():
        known = scene.bands[band] != MISSING
        pixels = np.where(known, scene.bands[band] - offset, 0).astype("uint16")
        code = f"B{band[1:].upper():0>2}"
        if gsd <= size:
            jp2(images / f"R{gsd}m" / f"T{TILE}_{day}T105431_{code}_{gsd}m.jp2", pixels, gsd)
        if band == "b2":  # as coarser copies lie beside those at their own size
            jp2(images / "R20m" / f"T{TILE}_{day}T105431_{code}_20m.jp2", np.full((30, 30), 9, "uint16"), 20)
    classes = scene.random.integers(0, 12, (30, 30)) if classes is None else classes
    jp2(images / "R20m" / f"T{TILE}_{day}T105431_SCL_20m.jp2", classes.astype("uint8"), 20)
    jp2(images / "R60m" / f"T{TILE}_{day}T105431_SCL_60m.jp2", np.zeros((10, 10), "uint8"), 60)
    (folder / "MTD_MSIL2A.xml").write_text(metadata(baseline, offset))
    (folder / "manifest.safe").write_text("<xfdu/>")
    return folder, spread(classes, 2)


def jp2(path, pixels, size):
    grid = coarser(GRID, size // 10)
    save_as = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
    place = {"crs": grid.crs, "transform": grid.transform, "height": pixels.shape[0], "width": pixels.shape[1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", dtype=pixels.dtype, count=1, **place, **save_as) as image:
        image.write(pixels, 1)


def zipped(folder, name=None, keep=False):
    """Replace a product folder by an archive of it."""
    archive = folder.with_name(name or f"{folder.name.removesuffix('.SAFE')}.zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        for path in sorted(folder.rglob("*")):
            content.write(path, path.relative_to(folder.parent))
    if not keep:
        shutil.rmtree(folder)
    return archive


def take(format, path, on_bad="fail", bands=BANDS, **options):
    """Inventory of the tile, by a format and its options."""
    sensor = Sensor(format=format, path=str(path), **options)
    return inventory.take({"s2": sensor}, TILE, GRID, FIRST, LAST, on_bad, {"s2": bands})


def series(found, bands=BANDS):
    """What is read of an inventory at 10 m: values ``(date, band, row, column)``, and validity."""
    read = read_series(found.acquisitions, bands, GRID.whole, resampling="nearest", grid=GRID)
    return read.values, read.valid


def only_fault(format, path, bands=BANDS, **options):
    """What is said of the only bad product among others that are good."""
    found = take(format, path, "skip", bands, **options)
    assert found.acquisitions
    (problem,) = found.problems
    assert "\n" not in problem.why
    return problem
