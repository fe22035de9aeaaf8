"""An area of interest in the whole workflow."""

import country
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely

from parcelle.areas import Areas
from parcelle.planning import Plan

TILES = ["31TGM", "31TGL", "32TKR"]
PRODUCTS = ["class", "confidence", "validity"]
# A slanted strip through all three tiles, about half of each.
STRIP = shapely.Polygon([(731_950, 5_094_400), (732_200, 5_094_400), (732_800, 5_095_800), (732_250, 5_095_800)])


def write_area(folder, shape=STRIP, crs="EPSG:3035"):
    """Write the area, with a vertex every 20 m: straight lines of one CRS are none of another."""
    fine = gpd.GeoSeries([shapely.segmentize(shape, 20)], crs="EPSG:32631").to_crs(crs)
    gpd.GeoDataFrame(geometry=fine).to_file(folder / "country/area.gpkg")


def read(path):
    with rasterio.open(path) as image:
        return image.read(1)


def inside(folder, tile, shape=STRIP):
    """Pixels of a tile whose centre lies in the area; and those too near to its border to be sure."""
    grid = Plan.read(folder / "results/plan.json").tiles[tile]
    local = gpd.GeoSeries([shapely.segmentize(shape, 20)], crs="EPSG:32631").to_crs(grid.crs).iloc[0]
    return tuple(Areas({"a": g}, g).own_pixels(grid, grid.whole) for g in (local.buffer(-0.1), local.buffer(0.1)))


def test_the_map_of_an_area_is_that_of_the_tiles_inside_it(again, mapped):
    """By the same models: `freeze` keeps those that were trained on everything."""
    write_area(again)
    country.configure(again, area="country/area.gpkg", map={"freeze": True})
    ran = country.run(again)
    assert {"plan", *(f"classify/{tile}" for tile in TILES)} <= set(ran) and not [j for j in ran if "train" in j]
    for tile in TILES:
        sure, perhaps = inside(again, tile)
        assert 0.1 < sure.mean() < 0.9
        for product in PRODUCTS:
            whole, part = (read(f / f"results/map/{tile}/{product}.tif") for f in (mapped, again))
            assert np.array_equal(part[sure], whole[sure]) and part[sure].any()
            assert not part[~perhaps].any()


def test_everything_is_made_of_an_area_and_again_of_another(again):
    write_area(again)
    country.configure(again, area={"path": "country/area.gpkg"})
    ran = country.run(again)
    assert {"plan", "train/north/all", "train/south/0", "assess", "report"} <= set(ran)
    assert not [job for job in ran if job.startswith("inventory")]
    areas = pd.read_csv(again / "results/assessment/areas.csv", dtype={"class": str}).query("region == 'all'")
    strip = STRIP.intersection(shapely.union_all([box(again, tile) for tile in TILES])).area / 10_000
    assert areas.hectares.sum() == pytest.approx(strip, rel=0.02)
    mosaic = read(again / "results/mosaic/class.tif")
    assert 0.2 < (mosaic > 0).mean() < 0.7
    for tile in TILES:
        pieces = gpd.read_parquet(again / f"results/reference/{tile}.parquet").to_crs("EPSG:32631")
        assert len(pieces) and pieces.within(STRIP.buffer(1)).all()
        clear = pd.read_csv(again / f"results/map/{tile}/clear.csv")
        assert clear.clear.max() > 0.9, "shares are of the area"
    assert "% of the area. Where tiles overlap" in (again / "results/report/index.html").read_text()
    write_area(again, STRIP.buffer(-30))
    assert "plan" in country.run(again, "--until", "plan")
    assert country.run(again, "--until", "plan") == []


def box(folder, tile):
    grid = Plan.read(folder / "results/plan.json").tiles[tile]
    return gpd.GeoSeries([grid.footprint()], crs=grid.crs).to_crs("EPSG:32631").iloc[0]


def test_a_tile_outside_of_the_area_is_refused_by_name(again):
    write_area(again, box(again, "31TGL").difference(box(again, "31TGM").buffer(50)).buffer(-20))
    country.configure(again, area="country/area.gpkg")
    done = country.snakemake(again, "--until", "plan")
    assert done.returncode == 1
    said = "tiles outside of the area country/area.gpkg: 31TGM, 32TKR. Remove them from `tiles`, or enlarge the area."
    assert said in done.stdout + done.stderr
