"""The country as other satellites see it: scenes of Landsat in the next UTM zone, radar, a relief; for the tests."""

import re

import numpy as np
import rasterio
import rasterio.warp
from unit.rasters_for_tests import save

from parcelle.grid import Grid

# One scene over all tiles; its corners lie between multiples of 30 m.
SCENE = Grid("EPSG:32632", 266_985, 5_096_415, 30, 60, 60)
RELIEF = Grid("EPSG:4326", 5.96, 46.0, 0.0005, 160, 120)
OLI = {"B2": "B2", "B3": "B3", "B4": "B4", "B8A": "B5", "B11": "B6", "B12": "B7"}
CLEAR, CLOUD, FILL = 0b0101_0101_0100_0000, 0b1000, 1


def write(country):
    """Write all of it beside the images of Sentinel-2, and made of them."""
    products = sorted((country / "sentinel2").glob("*/SENTINEL2*"))
    for date in sorted({re.search(r"_(\d{8})-", p.name)[1] for p in products}):
        write_scene(country / "landsat", date, [p for p in products if f"_{date}-" in p.name])
    for product in products:
        write_radar(country / "radar", product)
    x, y = np.meshgrid(*RELIEF.centres(RELIEF.whole))
    save(country / "relief.tif", (200 + 3000 * (x - 6) + 1000 * (y - 46)).astype("float32"), RELIEF, nodata=-9999)


def onto_scene(paths, method):
    """The first of several images that has data, at the pixels of the scene ``(row, column)``; NaN where none has."""
    made = np.full((SCENE.height, SCENE.width), np.nan, np.float32)
    for path in paths:
        with rasterio.open(path) as image:
            raw = image.read(1).astype(np.float32)
            raw[raw == -10_000] = np.nan
            part = np.full_like(made, np.nan)
            rasterio.warp.reproject(
                raw, part, src_crs=image.crs, src_transform=image.transform, src_nodata=np.nan, dst_crs=SCENE.crs,
                dst_transform=SCENE.transform, dst_nodata=np.nan, resampling=rasterio.warp.Resampling[method],
            )  # fmt: skip
        made = np.where(np.isnan(made), part, made)
    return made


def write_scene(folder, date, products):
    """Write a scene of Collection 2, level 2."""
    name = f"LC08_L2SP_196028_{date}_20200902_02_T1"
    seen = np.ones((SCENE.height, SCENE.width), bool)
    for band, number in OLI.items():
        values = onto_scene([p / f"{p.name}_FRE_{band}.tif" for p in products], "average") / 10_000
        seen &= np.isfinite(values)
        raw = np.where(np.isfinite(values), np.rint((values + 0.2) / 0.0000275), 0)
        save(folder / name / f"{name}_SR_{number}.TIF", raw.astype("uint16"), SCENE, nodata=0)
    clouds = onto_scene([p / "MASKS" / f"{p.name}_CLM_R1.tif" for p in products], "nearest")
    flags = np.where(seen, np.where(clouds > 0, CLEAR | CLOUD, CLEAR), FILL)
    save(folder / name / f"{name}_QA_PIXEL.TIF", flags.astype("uint16"), SCENE)
    save(folder / name / f"{name}_QA_RADSAT.TIF", np.zeros(flags.shape, "uint16"), SCENE)
    (folder / name / f"{name}_MTL.xml").write_text("<LANDSAT_METADATA_FILE/>")


def write_radar(folder, product):
    """Write images as S1Tiling does: backscatter that goes with the infrared, under speckle, through all clouds."""
    _, date, tile = re.search(r"(SENTINEL2.)_(\d{8})-.*_T(\w{5})_", product.name).groups()
    random = np.random.default_rng([int(date), *tile.encode()])
    with rasterio.open(product / f"{product.name}_FRE_B8.tif") as image:
        grid, raw = Grid.of(image), image.read(1).astype(float)
    brightness = np.clip(raw / 10_000, 0.01, 1)
    for polarisation, level in (("vv", 0.3), ("vh", 0.06)):
        power = level * brightness * random.gamma(4.4, 1 / 4.4, brightness.shape)
        power[raw == -10_000] = 0
        save(folder / tile / f"s1a_{tile}_{polarisation}_DES_139_{date}txxxxxx.tif", power.astype("float32"), grid)
