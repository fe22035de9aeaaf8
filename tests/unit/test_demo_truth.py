import numpy as np
import pandas as pd
import pytest

from parcelle.demo import products, truth
from parcelle.errors import InputError, StaleError
from parcelle.files import whole
from parcelle.grid import Grid

GRID = Grid("EPSG:32631", 732_000.0, 5_096_000.0, 10.0, 10, 20)
TRUTH = np.repeat([[11], [13]], 5, axis=0) * np.ones((1, 20), int)


def write_map(path, values, grid=GRID):
    with whole(path) as draft:
        products.write_raster(draft, grid, values.astype(np.uint8), nodata=0)


def write_samples(path, rows):
    names = ("tile", "row", "column", "reference", "predicted")
    with whole(path) as draft:
        pd.DataFrame(rows, columns=names).assign(polygon="p", group="g").to_parquet(draft)


@pytest.fixture
def country(tmp_path):
    folder = tmp_path / "country"
    (folder / "truth").mkdir(parents=True)
    for tile in ("31TGM", "31TGL"):
        products.write_raster(folder / f"truth/{tile}.tif", GRID, TRUTH.astype(np.uint8), nodata=0)
    return folder


@pytest.fixture
def results(tmp_path):
    """Maps with 4 and 20 wrong pixels and 40 without data; 6 samples of two seeds and two regions."""
    folder = tmp_path / "results"
    wrong = TRUTH.copy()
    wrong[0, :4] = 61
    write_map(folder / "map/31TGM/class.tif", wrong)
    gaps = TRUTH.copy()
    gaps[0], gaps[8:] = 13, 0
    write_map(folder / "map/31TGL/class.tif", gaps)
    write_samples(
        folder / "model/plain/0/validation.parquet",
        [("31TGM", 0, 0, 11, 11), ("31TGM", 9, 3, 13, 11), ("31TGL", 9, 3, 11, 13)],
    )
    write_samples(folder / "model/hills/0/validation.parquet", [("31TGL", 1, 19, 11, 11)])
    write_samples(folder / "model/plain/1/validation.parquet", [("31TGL", 5, 0, 13, 13), ("31TGL", 4, 0, 13, 13)])
    write_samples(folder / "model/plain/all/validation.parquet", [])
    return folder


def test_a_map_is_compared_where_it_has_data(country, results):
    assert truth.map_accuracy(results / "map/31TGM/class.tif", country / "truth/31TGM.tif") == (196, 200)
    assert truth.map_accuracy(results / "map/31TGL/class.tif", country / "truth/31TGL.tif") == (140, 160)


def test_an_empty_map_has_no_accuracy(country, tmp_path):
    write_map(tmp_path / "none.tif", 0 * TRUTH)
    assert truth.map_accuracy(tmp_path / "none.tif", country / "truth/31TGM.tif") == (0, 0)


def test_a_map_on_another_grid_is_refused(country, tmp_path):
    write_map(tmp_path / "moved.tif", TRUTH, Grid("EPSG:32631", 732_010.0, 5_096_000.0, 10.0, 10, 20))
    with pytest.raises(InputError, match=r"moved.tif lies on EPSG:32631 \(732010, 5096000\)"):
        truth.map_accuracy(tmp_path / "moved.tif", country / "truth/31TGM.tif")


def test_tiles_are_counted_alone_and_together(country, results):
    tiles = truth.tile_accuracies(country, results)
    assert tiles == {"31TGL": (140, 160), "31TGM": (196, 200)}
    assert truth.pooled(tiles) == (336, 360)


def test_samples_are_compared_with_the_truth_and_with_the_labels(country, results):
    found = truth.sample_accuracies(country, results)
    assert found == {"0": truth.Samples(4, truth=3, labels=2), "1": truth.Samples(2, truth=1, labels=2)}


def test_a_folder_without_results_is_refused(country, tmp_path):
    with pytest.raises(InputError, match=r"map holds no tile with a class.tif: run the workflow first"):
        truth.tile_accuracies(country, tmp_path)
    with pytest.raises(InputError, match="model holds no validation samples: run the workflow first"):
        truth.sample_accuracies(country, tmp_path)


def test_a_folder_with_no_samples_but_those_of_the_model_of_all_is_refused(country, tmp_path):
    write_samples(tmp_path / "model/plain/all/validation.parquet", [])
    with pytest.raises(InputError, match="no validation samples"):
        truth.sample_accuracies(country, tmp_path)


def test_maps_of_another_country_are_refused(country, results):
    (country / "truth/31TGL.tif").unlink()
    with pytest.raises(InputError, match=r"truth/31TGL.tif is missing: .* is not the country that was mapped"):
        truth.tile_accuracies(country, results)
    with pytest.raises(InputError, match=r"truth/31TGL.tif is missing"):
        truth.sample_accuracies(country, results)


def test_a_map_that_was_changed_is_refused(country, results):
    with (results / "map/31TGL/class.tif").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(StaleError, match="was changed or cut"):
        truth.tile_accuracies(country, results)


def test_the_command_prints_a_line_per_figure(country, results, capsys):
    assert truth.main([str(country), str(results)]) == 0
    lines = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [(name, float(share), int(total)) for name, share, total in lines] == [
        ("map of 31TGL against the truth", 0.875, 160),
        ("map of 31TGM against the truth", 0.98, 200),
        ("maps of all tiles against the truth", 0.9333, 360),
        ("validation samples of seed 0 against the truth", 0.75, 4),
        ("validation samples of seed 1 against the truth", 0.5, 2),
        ("validation samples of all seeds against the truth", 0.6667, 6),
        ("validation samples of all seeds against the labels", 0.6667, 6),
    ]


def test_the_command_says_what_is_wrong(country, tmp_path, capsys):
    assert truth.main([str(country), str(tmp_path)]) == 1
    assert "run the workflow first" in capsys.readouterr().err


def test_an_accuracy_of_nothing_is_undefined(country, results, capsys):
    write_map(results / "map/31TGM/class.tif", 0 * TRUTH)
    assert truth.main([str(country), str(results)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-2:] == ["undefined", "0"]
