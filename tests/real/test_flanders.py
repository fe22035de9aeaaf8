"""The whole workflow on a real patch of Flanders: all Sentinel-2 acquisitions of 2018."""

import os
import subprocess
import sys
from pathlib import Path

import country
import pandas as pd
import pytest
import rasterio
import yaml

EXAMPLE = country.ROOT / "config/examples/flanders-2018.yaml"


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    if "PARCELLE_DATA" not in os.environ:
        pytest.skip("PARCELLE_DATA is not set: it names the folder that holds flanders-2018/")
    data = Path(os.environ["PARCELLE_DATA"]) / "flanders-2018"
    assert data.is_dir(), f"PARCELLE_DATA is set, but {data} is not there"
    folder = tmp_path_factory.mktemp("flanders")
    settings = yaml.safe_load(EXAMPLE.read_text()) | {"results": str(folder / "results"), "seeds": 3}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    run(folder)
    return folder / "results"


def run(folder, *words):
    command = [sys.executable, "-m", "snakemake", "--configfile", folder / "settings.yaml", "--cores", "2", *words]
    done = subprocess.run([str(w) for w in command], cwd=country.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def table(results, name):
    return pd.read_csv(results / f"assessment/{name}.csv", dtype={"class": str})


def test_accuracy(results):
    """As a plain scikit-learn forest in folds by block, which gives .85 to .87 on these samples."""
    summary = table(results, "summary")
    overall = summary[(summary.region == "all") & (summary.score == "oa")].iloc[0]
    assert overall["mean"] > 0.83
    assert 0.02 < overall.high - overall.low < 0.15
    assert overall.low < overall["mean"] < overall.high


def test_every_pixel_of_the_patch_is_a_sample_once(results):
    """The polygons fill the patch, and each pixel of the overlap of the two tiles counts in one of them."""
    samples = [pd.read_parquet(results / f"samples/{tile}.parquet") for tile in ("31UDS", "31UES")]
    assert sum(map(len, samples)) == 64 * 64
    features = [c for c in samples[0].columns if c.startswith("s2.")]
    assert len(features) == 37 * 13


def test_class_with_one_field_is_never_validated(results):
    classes = table(results, "classes")
    assert "5100" in set(classes[classes.validated == "no"]["class"])


def test_mosaic_covers_the_patch(results):
    with rasterio.open(results / "mosaic/class.tif") as mosaic:
        assert mosaic.shape == (64, 64) and mosaic.crs.to_epsg() == 32631
        assert (mosaic.read(1) > 0).all()
    with rasterio.open(results / "mosaic/validity.tif") as mosaic:
        validity = mosaic.read(1)
    assert validity.min() > 35 and validity.max() < 60


def test_winter_is_cloudier_than_summer(results):
    clear = pd.read_csv(results / "map/31UDS/clear.csv", parse_dates=["date"])
    assert len(clear) == 91
    by_month = clear.groupby(clear.date.dt.month).clear.mean()
    assert by_month[7] > 0.7 and by_month[11] < 0.4
