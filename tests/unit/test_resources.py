import numpy as np
import pandas as pd
import pytest
import yaml
from unit import tiny

from parcelle import features, files, mapping, resources, samples, settings, training
from parcelle.mapping import Options
from parcelle.samples import Size

SETTINGS = """
tiles: [31TCJ]
sensors:
  s2: {format: sentinel2-theia-l2a, path: /data}
period: {start: 2018-01-01, end: 2018-12-31}
reference: {path: reference.gpkg, field: code}
nomenclature: classes.csv
"""
CODES = [12, 3, 5]
RECIPES = tiny.recipes(radar=True)
SENSORS = {
    "s2": {"dates": 68, "acquisitions": 70, "bands": 3, "files": 280, "density": 2.25},
    "s1": {"dates": 60, "acquisitions": 60, "bands": 1, "files": 60, "density": 1},
}
FULL = 10980 * 10980


def read(**changes):
    return settings.read(yaml.safe_load(SETTINGS) | changes)


@pytest.fixture
def size(tmp_path):
    """Write the size of a tile; give its path."""

    def write(pixels=FULL, **sensors):
        path = tmp_path / f"{pixels}-{len(list(tmp_path.iterdir()))}.size.json"
        files.write_json(path, {"pixels": pixels, "sensors": SENSORS | sensors})
        return str(path)

    return write


def classify(size, threads=1, codes=CODES, **changes):
    return resources.classify_mb(size, RECIPES, read(**changes), codes, threads)


def formula(window, threads=1, products=("class", "confidence", "validity"), models=0.0):
    need = mapping.memory_mb(SENSORS, RECIPES, Options(tuple(CODES), products, 1), window, threads, models)
    return resources.MARGIN * need + resources.JOB_MB


# Two regions' forests: 100 trees of 25,000 nodes of 40 bytes; one in ten has frequencies of 8 bytes a class.
MODELS = 2 * 100 * 25_000 * (40 + 8 * 3 / 10) / 2**20


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("window", [128, 1024])
def test_classify_asks_for_its_formula_and_a_margin(window, threads, size):
    found = classify(size(), threads, window={"size": window})
    assert isinstance(found, int)
    assert found == pytest.approx(formula(window, threads, models=MODELS), abs=1)


def test_each_seed_that_maps_needs_its_model(size):
    path = size()
    every = classify(path)
    assert classify(path, map={"model": [0]}) == every
    assert classify(path, map={"model": [0, 1, 2]}) - every == pytest.approx(1.2 * 2 * MODELS, abs=1)
    small = classify(path, model={"trees": 10})
    assert every - small == pytest.approx(1.2 * 0.9 * MODELS, abs=1)


def test_trees_of_drawn_thresholds_are_larger(size):
    more = classify(size(), model={"name": "extra-trees"}) - classify(size())
    assert more == pytest.approx(1.2 * (60 / 25 - 1) * MODELS, abs=1)


def test_products_count_as_they_are_asked(size):
    path, products = size(), ["class", "probability"]
    expected = formula(1024, products=tuple(products), models=MODELS)
    assert classify(path, map={"products": products}) == pytest.approx(expected, abs=1)


def test_a_small_tile_needs_no_large_window(size):
    """640 m × 640 m fit into one window of 65."""
    assert classify(size(64 * 64)) == pytest.approx(formula(65, models=MODELS), abs=1)
    assert classify(size(), window={"size": 4096}) > classify(size()) + 10_000


@pytest.mark.parametrize(("sensor", "value"), [("s2", 2.25 * 2 + 1), ("s1", 4 + 1)])
def test_each_acquisition_counts_with_the_bytes_of_its_pixels(sensor, value, size):
    """Two windows of raw values and flags; and of each thread, a row of all bands at 10 m, and of joined dates."""
    numbers, item = SENSORS[sensor], {"s2": 2, "s1": 4}[sensor]
    row = 1024 * 100 * numbers["bands"] * item
    more = classify(size(**{sensor: numbers | {"acquisitions": numbers["acquisitions"] + 100}}), 3) - classify(
        size(), 3
    )
    assert more == pytest.approx(1.2 * (2 * 1024**2 * 100 * value + 3 * row) / 2**20, abs=1)
    dates = classify(size(**{sensor: numbers | {"dates": 7}}), 3) - classify(size(), 3)
    joined = {"s2": 7 - 68, "s1": 7}[sensor] * 1024 * numbers["bands"] * item
    assert dates == pytest.approx(1.2 * 3 * joined / 2**20, abs=1)


def test_each_open_file_counts(size):
    more = classify(size(s2=SENSORS["s2"] | {"files": 1280})) - classify(size())
    assert more == pytest.approx(1.2 * 1000 * 0.6, abs=1)


def test_a_year_of_sentinel_2_is_mapped_within_3_gib_on_two_cores(size):
    """What the whole is measured by: 70 dates, 4 bands of 10 m and 6 of 20 m, 468 features, 21 classes."""
    bands = tuple(f"b{i}" for i in range(10))
    dates = tuple(f"2018-01-{i + 1:02}" for i in range(31)) + tuple(f"2018-02-{i + 1:02}" for i in range(5))
    recipe = features.Recipe("s2", True, bands, True, "bilinear", tuple((f"i{i}", "b1", 1) for i in range(3)), dates)
    numbers = {"dates": 70, "acquisitions": 70, "bands": 10, "files": 840, "density": 4 + 6 / 4}
    products = Options(tuple(range(21)), ("class", "confidence", "validity"), 1)
    assert len(recipe.names) == 468
    assert mapping.memory_mb({"s2": numbers}, [recipe], products, 1024, 2, 40) < 3 * 1024


def test_sample_has_the_windows_and_a_table_but_one_model_of_one_class(size):
    path = size()
    table = 1.2 * 2 * 4 * 14 * FULL / 50 / 2**20
    found = resources.sample_mb(path, RECIPES, read(), 2)
    assert found == pytest.approx(classify(path, 2, codes=[1]) + table, abs=1)
    assert resources.sample_mb(size(64 * 64), RECIPES, read(), 2) < found


@pytest.fixture
def tables(tmp_path):
    """Write tables of so many samples of four features, one per tile; give their paths."""

    def write(*rows, dtype="int16"):
        for i, count in enumerate(rows):
            keys = {name: np.zeros(count, "int32") for name in samples.KEYS}
            values = {f"f{j}": np.zeros(count, dtype) for j in range(4)}
            samples.write(pd.DataFrame(keys | values), str(tmp_path / f"{dtype}{i}.parquet"))
        return [str(tmp_path / f"{dtype}{i}.parquet") for i in range(len(rows))]

    return write


def train(size, learning, threads=2, **model):
    options = {"name": "forest", "trees": 100, "min_samples": 5} | model
    return int(1.2 * training.memory_mb(size, learning, 3, options, threads)) + 250


def test_train_asks_for_its_formula_with_all_samples_of_its_tiles_and_a_margin(tables):
    paths = tables(7000, 0, 5000)
    assert resources.train_mb(paths, read(), CODES, 2) == train(Size(12000, 4, 2), 12000)
    assert resources.train_mb(paths, read(), CODES, 8) == train(Size(12000, 4, 2), 12000, 8)
    few = read(model={"trees": 7, "min_samples": 2})
    assert resources.train_mb(paths, few, CODES, 2) == train(Size(12000, 4, 2), 12000, trees=7, min_samples=2)
    floats = tables(7000, 0, 5000, dtype="float32")
    assert resources.train_mb(floats, read(), CODES, 2) == train(Size(12000, 4, 4), 12000)
    assert resources.train_mb([], read(), CODES, 2) == train(Size(0, 0, 0), 0)


def test_train_learns_from_no_more_samples_than_it_may(tables):
    paths = tables(7000, 5000)
    for most, learning in [(1000, 3000), (4000, 12000), (9000, 12000)]:
        found = resources.train_mb(paths, read(sampling={"per_class": most}), CODES, 2)
        assert found == train(Size(12000, 4, 2), learning)


def test_train_waits_for_the_size_of_tables_that_are_still_to_be_made(tables):
    with pytest.raises(FileNotFoundError) as error:
        resources.train_mb([*tables(10), "results/samples/T9.parquet"], read(), CODES, 2)
    assert error.value.filename == "results/samples/T9.parquet"


def test_train_with_a_table_of_another_kind_asks_for_little_and_fails_in_its_own_words(tmp_path):
    pd.DataFrame({"polygon": ["a"]}).to_parquet(tmp_path / "T1.parquet")
    assert resources.train_mb([str(tmp_path / "T1.parquet")], read(), CODES, 2) == resources.JOB_MB


def test_minutes_follow_pixels_and_dates(size):
    # 120.6 million pixels × 128 dates at 40 million a minute and core.
    assert resources.classify_minutes(size(), 1) == 10 + 385
    assert resources.classify_minutes(size(), 4) == 10 + 96
    assert resources.sample_minutes(size(), 4) == 10 + 96
    assert resources.classify_minutes(size(64 * 64), 1) == 10
