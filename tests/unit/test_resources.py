import pytest
import yaml
from unit import tiny

from parcelle import files, mapping, resources, settings
from parcelle.mapping import Options

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
SENSORS = {"s2": {"dates": 70, "bands": 3}, "s1": {"dates": 60, "bands": 1}}
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


# Two regions' forests: 100 trees of 15,000 nodes, each of 64 bytes and 8 a class.
MODELS = 2 * 100 * 15_000 * (64 + 8 * 3) / 2**20


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("window", [128, 512])
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


def test_products_count_as_they_are_asked(size):
    path, products = size(), ["class", "probability"]
    expected = formula(512, products=tuple(products), models=MODELS)
    assert classify(path, map={"products": products}) == pytest.approx(expected, abs=1)


def test_a_small_tile_needs_no_large_window(size):
    """640 m × 640 m fit into one window of 65."""
    assert classify(size(64 * 64)) == pytest.approx(formula(65, models=MODELS), abs=1)
    assert classify(size(), window={"size": 4096}) > classify(size()) + 10_000


def test_dates_of_the_largest_sensor_count(size):
    more = classify(size(s2={"dates": 170, "bands": 3})) - classify(size())
    assert more == pytest.approx(1.2 * 512**2 * 100 * (3 * 2 + 1) / 2**20, abs=1)


def test_sample_has_the_windows_and_a_table_but_one_model_of_one_class(size):
    path = size()
    table = 1.2 * 2 * 4 * 14 * FULL / 50 / 2**20
    found = resources.sample_mb(path, RECIPES, read(), 2)
    assert found == pytest.approx(classify(path, 2, codes=[1]) + table, abs=1)
    assert resources.sample_mb(size(64 * 64), RECIPES, read(), 2) < found


def test_train_grows_with_its_samples(tmp_path):
    paths = [tmp_path / f"{i}.parquet" for i in range(3)]
    for path, megabytes in zip(paths, (1, 2, 0), strict=True):
        path.write_bytes(b"0" * megabytes * 2**20)
    assert resources.train_mb([str(p) for p in paths]) == int(250 + 1.2 * (500 + 8 * 3))
    assert resources.train_mb([]) == 850


def test_minutes_follow_pixels_and_dates(size):
    # 120.6 million pixels × 130 dates at 40 million a minute and core.
    assert resources.classify_minutes(size(), 1) == 10 + 391
    assert resources.classify_minutes(size(), 4) == 10 + 97
    assert resources.sample_minutes(size(), 4) == 10 + 97
    assert resources.classify_minutes(size(64 * 64), 1) == 10
