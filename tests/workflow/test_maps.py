"""What the workflow maps, against the known truth and against its own validation."""

import country
import numpy as np
import pandas as pd
import rasterio
from rio_cogeo.cogeo import cog_validate

from parcelle.demo import truth

TILES = ["31TGM", "31TGL", "32TKR"]


def read(path):
    with rasterio.open(path) as image:
        return image.read(1)


def test_maps_are_right(mapped):
    correct, total = truth.pooled(truth.tile_accuracies(mapped / "country", mapped / "results"))
    assert total > 0.85 * 3 * 60 * 60  # the rest lies outside the swath
    assert correct / total > 0.85


def test_mosaics_are_cloud_optimised_and_tagged(mapped):
    for product in ("class", "confidence", "validity"):
        path = mapped / f"results/mosaic/{product}.tif"
        assert cog_validate(path, strict=True)[0], product
        with rasterio.open(path) as mosaic, rasterio.open(mapped / f"results/map/31TGL/{product}.tif") as tile:
            assert mosaic.nodata == tile.nodata == 0
            assert len(tile.tags()["PARCELLE_SETTINGS"]) == 16
            assert mosaic.tags()["PARCELLE_SETTINGS"] == tile.tags()["PARCELLE_SETTINGS"]
            assert tile.compression.name == "deflate"


def test_products_agree_on_what_is_no_data(mapped):
    for tile in TILES:
        classes, confidence, validity = (
            read(mapped / f"results/map/{tile}/{p}.tif") for p in ("class", "confidence", "validity")
        )
        assert ((classes > 0) == (confidence > 0)).all() and ((classes > 0) == (validity > 0)).all()
        assert confidence.max() <= 100 and validity.max() <= 8


def test_the_map_of_a_seed_says_what_was_validated(again):
    """The class at each validation pixel is the prediction on its sample."""
    country.configure(again, map={"model": [0], "products": ["class", "confidence", "validity", "probability"]})
    ran = country.run(again)
    assert not [job for job in ran if job.startswith(("sample", "split", "train"))]
    checked = 0
    for region in ("north", "south"):
        predictions = pd.read_parquet(again / f"results/model/{region}/0/validation.parquet")
        for tile, rows in predictions.groupby("tile"):
            classes = read(again / f"results/map/{tile}/class.tif")
            np.testing.assert_array_equal(classes[rows.row, rows.column], rows.predicted)
            checked += len(rows)
    assert checked > 500


def test_any_window_and_thread_count_gives_the_same_bytes(mapped, tmp_path):
    folder = country.copy(mapped, tmp_path / "other")
    country.configure(folder, window={"size": 23})
    country.run(folder, "--forcerun", "sample", "classify", "--set-threads", "classify=1", "sample=1", "train=1")
    for path in sorted((mapped / "results").glob("**/*.tif")) + sorted((mapped / "results/samples").glob("*.parquet")):
        assert (folder / path.relative_to(mapped)).read_bytes() == path.read_bytes(), path.name


def test_counts_add_up_to_the_tile(mapped):
    tables = [pd.read_csv(mapped / f"results/map/{tile}/counts.csv") for tile in TILES]
    assert all(table.pixels.sum() == 60 * 60 for table in tables)
    own = sum(table.own_pixels[table["class"] > 0].sum() for table in tables)
    covered = (read(mapped / "results/mosaic/class.tif") > 0).sum()
    assert abs(own - covered) < 0.05 * covered
