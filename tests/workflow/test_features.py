"""Features of the user's own, and features as rasters, through the workflow."""

import country
import numpy as np
import pandas as pd
import pytest
import rasterio

SAMPLES = "results/samples/31TGM.parquet"
TEXTURE = '''
import numpy as np


def texture(series, band):
    """Largest rise to a neighbour on the right, over the year."""
    values = series["s2"].band(band).astype(np.float32)
    return {"rise": np.diff(values, axis=2, append=values[:, :, -1:]).max(axis=0)}
'''
EXTERNAL = {"edges": {"function": "textures.py:texture", "margin": 1, "arguments": {"band": "b8"}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny country, with a function beside its settings."""
    made = country.write(
        tmp_path_factory.mktemp("features"), external=EXTERNAL, map={"features": ["s2.ndvi.*", "edges.*"]}
    )
    (made / "textures.py").write_text(TEXTURE)
    return made


def test_features_are_written_where_they_are_asked_for_and_are_those_of_samples(folder):
    ran = country.run(folder, "features", SAMPLES)
    assert [job for job in ran if not job.startswith(("inventory", "plan"))] == [
        *("feature_map/31TGL", "feature_map/31TGM", "feature_map/32TKR", "features", "sample/31TGM"),
    ]
    table = pd.read_parquet(folder / SAMPLES)
    with rasterio.open(folder / "results/features/31TGM.tif") as image:
        values, names = image.read(), list(image.descriptions)
        assert image.dtypes[0] == "float32" and len(image.tags()["PARCELLE_SETTINGS"]) == 16
    assert names == [name for name in table.columns if name.startswith("s2.ndvi.")] + ["edges.rise"]
    assert len(table) > 100 and table["edges.rise"].max() > 100
    assert values[:, table.row, table.column].T.tobytes() == table[names].to_numpy(np.float32).tobytes()
    assert country.run(folder, "features", SAMPLES) == []


def test_another_function_makes_its_features_again(folder):
    # Tests may run in any order, and on their own.
    country.run(folder, "features", SAMPLES)
    (folder / "textures.py").write_text(TEXTURE.replace("max(axis=0)", "min(axis=0)"))
    ran = country.run(folder, "features", SAMPLES)
    assert {job.split("/")[0] for job in ran} == {"feature_map", "features", "sample"}
    assert pd.read_parquet(folder / SAMPLES)["edges.rise"].min() < -100


def test_maps_are_made_of_them(folder):
    country.configure(folder, external=EXTERNAL | {"edges": EXTERNAL["edges"] | {"replace": True}})
    country.run(folder, "results/map/31TGL/class.tif", "results/model/south/0/model.json")
    assert list(pd.read_parquet(folder / SAMPLES).columns)[5:] == ["edges.rise"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"map": {"features": ["s2.nvdi.*"]}},
            "map.features: no feature matches 's2.nvdi.*'; the nearest is 's2.nd",
        ),
        ({}, "map.features is empty: name the features to write, such as [s2.ndvi.*]"),
        (
            {"external": {"edges": {"function": "textures.py:texture"}}},
            "external.edges: textures.py:texture fails (TypeE",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_job(changes, message, folder):
    country.configure(folder, **changes)
    done = country.snakemake(folder, "features", "-n")
    assert done.returncode != 0 and message in done.stdout + done.stderr
    assert "Traceback (most recent call last)" not in done.stdout + done.stderr
