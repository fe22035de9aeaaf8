"""Sources with functions of the user's own, and a check that no window changes what they give: for tests."""

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import rasterio
import shapely
from unit.test_strips import walked, whole

from parcelle import external, feature_map, features, sampling, settings
from parcelle.reference import COLUMNS

TEXTURES = '''
import numpy as np


def season(series, sensor="s2", scale=1):
    """Mean and range over the year of each band; needs no margin."""
    values = series[sensor].values.astype(np.float32) * np.float32(scale)
    return {"mean": values.mean(axis=0), "range": values.max(axis=0) - values.min(axis=0)}


def texture(series, band="b2", radius=2):
    """Largest minus smallest value around each pixel, on the last date."""
    last = np.pad(series["s2"].band(band)[-1].astype(int), radius, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(last, (2 * radius + 1, 2 * radius + 1))
    return {"contrast": around.max(axis=(2, 3)) - around.min(axis=(2, 3))}


def greenest(series):
    """Day of the largest index, and that index."""
    index = series["s2"].index("ndvi")
    return {"day": index.argmax(axis=0).astype(np.uint8), "peak": index.max(axis=0)}


def observed(series, sensor="s2"):
    """Largest value, and number, of what was observed."""
    one = series[sensor]
    return {"most": one.raw.max(axis=0), "count": one.valid.sum(axis=0)}


def slope(series):
    """Rise to the east of a DEM, beside the mean of the radar."""
    height = series["dem"].values[0, 0]
    return {"east": np.gradient(height, axis=1) / 10, "radar": series["s1"].values.mean(axis=0)[0]}
'''


def write(folder, text=TEXTURES, name="textures.py"):
    """Write a module; give its path."""
    (folder / name).write_text(text)
    return str(folder / name)


def sources(recipes, **functions):
    """Recipes with the margin that functions need, and the functions: keyword → settings of `external`."""
    chosen = {name: settings.External(**one) for name, one in functions.items()}
    margin = external.margin_of([*chosen.values()])
    kept = not any(one.replace for one in chosen.values())
    made = [replace(recipe, reach=recipe.reach + margin, kept=kept) for recipe in recipes]
    return [*made, *(external.tried(name, one, made) for name, one in chosen.items())]


def assert_independent(inventory, made, folder, sizes=(16, 48, 100)):
    """Features are the same, bit for bit, in any window, in a map, and as samples; give them, and where they hold."""
    expected, names = whole(inventory, made), features.names(made)
    enough = expected.enough
    assert enough.mean() > 0.5
    for size in sizes:
        found = walked(inventory, made, size)
        assert np.array_equal(found.enough, enough)
        assert found.features[enough].tobytes() == expected.features[enough].tobytes()
        path = str(folder / f"{size}.tif")
        feature_map.write(inventory, made, names, path, 1, window=size, threads=1 + size % 3, tags={})
        with rasterio.open(path) as image:
            mapped = np.moveaxis(image.read(), 0, 2)
        assert mapped[enough].astype(expected.features.dtype).tobytes() == expected.features[enough].tobytes()
    table = sampling.sample(inventory, scattered(inventory.grid), made, sampling.Options(1, None, 48, 2))
    assert len(table) > 100 and list(table.columns[5:]) == names
    assert np.array_equal(table[names].to_numpy(), expected.features[table.row, table.column])
    return expected.features, enough


def scattered(grid, count=60):
    """Small polygons here and there: many of a single pixel."""
    random = np.random.default_rng(1)
    rows = random.integers(0, grid.height, count)
    columns = random.integers(0, grid.width, count)
    x, y = grid.left + 10 * columns + 1, grid.top - 10 * rows - 1
    sides = np.resize([9, 29, 9], count), np.resize([9, 9, 24, 39], count)
    boxes = shapely.box(x, y - sides[1], x + sides[0], y)
    table = [(f"p{i:02}", 1, "whole", 0.0, 0.0, "", box) for i, box in enumerate(boxes)]
    return gpd.GeoDataFrame(pd.DataFrame(table, columns=COLUMNS), geometry="geometry", crs=grid.crs)
