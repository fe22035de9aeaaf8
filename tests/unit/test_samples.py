import os
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from parcelle import samples
from parcelle.errors import InputError, StaleError
from parcelle.hashing import ranks

FEATURES = ["s2.b4.20180301", "s2.b8.20180301", "s2.ndvi.20180301"]
INT16, FLOAT32 = np.dtype(np.int16), np.dtype(np.float32)
ORDER = ["polygon", "tile", "row", "column"]


def table(dtype=INT16, polygons=12, pixels=9, seed=0, features=FEATURES):
    """Samples of squares of pixels, every third one in the east; values take the whole range of their type."""
    random = np.random.default_rng(seed)
    place = np.arange(polygons * pixels)
    polygon, pixel = np.divmod(place, pixels)
    keys = {
        "polygon": [f"p{i * 7 % 100:02}" for i in polygon],
        "code": (polygon % 4 + 1).astype(np.int32),
        "region": np.where(polygon % 3 == 0, "east", "west"),
        "row": (10 * polygon + pixel // 3).astype(np.int32),
        "column": (pixel % 3).astype(np.int32),
    }
    shape = (len(place), len(features))
    values = random.integers(-32768, 32768, shape) if dtype == INT16 else random.normal(0, 1e-3, shape)
    made = pd.concat([pd.DataFrame(keys), pd.DataFrame(values.astype(dtype), columns=features)], axis=1)
    return made.sort_values(["polygon", "row", "column"], ignore_index=True)


def write(tmp_path, name, content):
    path = str(tmp_path / f"{name}.parquet")
    samples.write(content, path)
    return path


def as_table(found):
    """Keys and features side by side, as the reference below has them."""
    return pd.concat([found.keys, pd.DataFrame(found.values, columns=found.features)], axis=1)


def expected(of_tiles, region):
    """What a region's samples are, obviously."""
    every = pd.concat([content.assign(tile=tile) for tile, content in of_tiles.items()])
    every = every[every.region == region].sort_values(ORDER, ignore_index=True)
    return every[[*samples.KEYS, "tile", *FEATURES]]


@pytest.mark.parametrize("dtype", [INT16, FLOAT32], ids=str)
def test_samples_of_a_region_come_from_all_its_tiles_in_one_order_and_their_own_type(dtype, tmp_path):
    of_tiles = {"T2": table(dtype), "T1": table(dtype, seed=1)[30:]}
    paths = [write(tmp_path, tile, content) for tile, content in of_tiles.items()]
    for region in ("east", "west"):
        for several in (paths, paths[::-1]):
            found = samples.read(several, region)
            assert found.features == FEATURES and found.values.dtype == dtype and found.values.flags.c_contiguous
            pd.testing.assert_frame_equal(as_table(found), expected(of_tiles, region))


def test_a_region_without_samples(tmp_path):
    found = samples.read([write(tmp_path, "T1", table())], "nowhere")
    assert found.values.shape == (0, 3) and list(found.keys.columns) == [*samples.KEYS, "tile"]


def test_a_tile_whose_samples_are_all_invalid(tmp_path):
    of_tiles = {"T1": table(), "T2": table().iloc[:0]}
    paths = [write(tmp_path, tile, content) for tile, content in of_tiles.items()]
    for several in (paths, paths[::-1]):
        pd.testing.assert_frame_equal(as_table(samples.read(several, "west")), expected(of_tiles, "west"))


def test_the_first_of_each_polygon_are_those_of_lowest_hash():
    content = table().sample(frac=1, random_state=3)
    kept = samples.first_of_each_polygon(content, 4)
    for name, part in content.groupby("polygon"):
        hashes = {row.Index: ranks([name], np.array([row.row]), np.array([row.column]))[0] for row in part.itertuples()}
        lowest = sorted(hashes, key=hashes.get)[:4]
        assert set(kept.index[kept.polygon == name]) == set(lowest)
    assert list(kept.index) == [i for i in content.index if i in set(kept.index)]


def test_a_polygon_in_two_tiles_keeps_no_more_pixels_than_one_in_one(tmp_path):
    content = table()
    of_tiles = {"T1": content[content.row % 10 == 0], "T2": content[content.row % 10 > 0]}
    paths = [write(tmp_path, tile, part) for tile, part in of_tiles.items()]
    found = samples.read(paths, "west", per_polygon_max=5)
    assert found.keys.groupby("polygon").size().to_dict() == dict.fromkeys(content.polygon[content.region == "west"], 5)
    kept = samples.first_of_each_polygon(content[content.region == "west"], 5)
    places, columns = [*samples.KEYS, "tile", *FEATURES], ["row", "column"]
    both = expected(of_tiles, "west").merge(kept[columns], on=columns)[places]
    pd.testing.assert_frame_equal(as_table(found), both.sort_values(ORDER, ignore_index=True))
    assert len(samples.read(paths, "west", per_polygon_max=9).keys) == len(expected(of_tiles, "west"))


@pytest.fixture
def arrow():
    """Memory that Arrow takes from now on."""
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    yield pool
    pa.set_memory_pool(before)


def test_features_are_in_memory_once(arrow, tmp_path):
    path = write(tmp_path, "T1", table(polygons=3000, features=[f"f{i}" for i in range(200)]).assign(region="west"))
    tracemalloc.start()
    found = samples.read([path], "west")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.values.nbytes == 27_000 * 200 * 2
    # Beside the matrix there are the keys, as large as 20 features, and the one feature that is being read.
    assert peak + arrow.max_memory() < 1.3 * found.values.nbytes


def test_tiles_with_other_features_are_refused(tmp_path):
    paths = [write(tmp_path, "T1", table()), write(tmp_path, "T2", table().rename(columns={FEATURES[2]: "s2.b9.x"}))]
    with pytest.raises(InputError, match=r"T2\.parquet: feature 3 is s2\.b9\.x, where s2\.ndvi\.20180301 is expected"):
        samples.read(paths, "west")


def test_tiles_with_features_of_another_type_are_refused(tmp_path):
    paths = [write(tmp_path, "T1", table(INT16)), write(tmp_path, "T2", table(FLOAT32))]
    message = r"T2\.parquet has float32 features, where those of .*T1\.parquet are int16\. Make it again: snakemake --f"
    with pytest.raises(StaleError, match=message):
        samples.read(paths, "west")


@pytest.mark.parametrize(
    "content",
    [
        table().astype({FEATURES[1]: FLOAT32}),
        table().astype(dict.fromkeys(FEATURES, np.float64)),
        table()[samples.KEYS],
        table()[[*FEATURES, *samples.KEYS]],
    ],
    ids=["two types", "float64", "no features", "keys last"],
)
def test_other_tables_are_refused(content, tmp_path):
    path = write(tmp_path, "T1", content)
    message = r"T1\.parquet is not a table of int16 or float32 features after polygon, .*, column\. Make it again: "
    with pytest.raises(StaleError, match=message):
        samples.read([path], "west")
    with pytest.raises(StaleError, match=message):
        samples.size(path)


def test_samples_that_were_changed_are_refused(tmp_path):
    path = write(tmp_path, "T1", table())
    table().iloc[1:].to_parquet(path)
    with pytest.raises(StaleError, match=r"T1\.parquet was changed or cut after it was written"):
        samples.read([path], "west")


@pytest.mark.parametrize(("dtype", "itemsize"), [(INT16, 2), (FLOAT32, 4)], ids=str)
def test_the_size_of_a_table(dtype, itemsize, tmp_path):
    assert samples.size(write(tmp_path, "T1", table(dtype))) == samples.Size(108, 3, itemsize)


def test_the_size_of_a_table_that_was_made_again(tmp_path):
    path = write(tmp_path, "T1", table())
    assert samples.size(path).rows == 108
    write(tmp_path, "T1", table().iloc[:0])
    os.utime(path, ns=(0, 0))
    assert samples.size(path) == samples.Size(0, 3, 2)


def test_the_size_of_a_table_that_is_not_there(tmp_path):
    path = str(tmp_path / "T1.parquet")
    with pytest.raises(FileNotFoundError) as error:
        samples.size(path)
    assert error.value.filename == path
    (tmp_path / "T1.parquet").write_bytes(b"no table")
    with pytest.raises(StaleError, match=r"T1\.parquet is not a table of samples\. Make it again: snakemake --forcer"):
        samples.size(path)
