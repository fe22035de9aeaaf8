"""Product folders of Theia, as small as they can be: the names matter, nothing is opened."""

import datetime
from pathlib import Path

import pytest

from parcelle.sensors import Asset, Mask
from parcelle.sensors.theia import Sentinel2L2A

BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")
DATES = ("20180105-105435-457", "20180115-105354-463")


def product(parent, date=DATES[0], tile="T31TCJ", satellite="A", version="C_V1-0"):
    """Write the empty files of a product."""
    name = f"SENTINEL2{satellite}_{date}_L2A_{tile}_{version}"
    masks = parent / name / "MASKS"
    masks.mkdir(parents=True)
    for band in BANDS:
        for kind in ("FRE", "SRE"):
            (parent / name / f"{name}_{kind}_{band}.tif").touch()
    for mask in ("CLM", "EDG", "SAT", "MG2"):
        for resolution in ("R1", "R2"):
            (masks / f"{name}_{mask}_{resolution}.tif").touch()
    (parent / name / f"{name}_MTD_ALL.xml").touch()
    (parent / name / f"{name}_QKL_ALL.jpg").touch()
    return parent / name


def found(path, tile="31TCJ"):
    return Sentinel2L2A().find(str(path), tile, "s2")


def only_problem(path, tile="31TCJ"):
    acquisitions, problems = found(path, tile)
    assert acquisitions == []
    (problem,) = problems
    return problem


def test_the_day_of_a_product_is_in_its_name():
    name = "SENTINEL2A_20180131-105435-463_L2A_T31TCJ_C_V1-0"
    for product in (Path("x") / name, Path("x") / name / f"{name}_MTD_ALL.xml", Path("x") / f"{name}_FRE_B2.tif"):
        assert Sentinel2L2A().date_of(product) == datetime.date(2018, 1, 31)
    for other in ("SENTINEL2A_2018", "SENTINEL2A_20180231-105435-463", "items.json"):
        assert Sentinel2L2A().date_of(Path(other)) is None


def test_a_product_is_read_by_its_names(tmp_path):
    folder = product(tmp_path / "31TCJ")
    (acquisition,), problems = found(tmp_path)
    assert problems == []
    assert acquisition.id == folder.name == "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0"
    assert acquisition.sensor == "s2"
    assert acquisition.datetime == datetime.datetime(2018, 1, 5, 10, 54, 35, tzinfo=datetime.UTC)
    assert list(acquisition.assets) == [band.lower() for band in BANDS]
    expected = Asset(f"{folder}/{folder.name}_FRE_B8A.tif", 1, 1e-4, 0.0, -10000)
    assert acquisition.assets["b8a"] == expected
    assert acquisition.assets["b2"].path.endswith("_FRE_B2.tif")
    masks = [Mask(f"{folder}/MASKS/{folder.name}_{mask}_R1.tif", 1, (), 255) for mask in ("CLM", "EDG", "SAT")]
    assert list(acquisition.masks) == masks
    assert all(Path(a.path).is_file() for a in (*acquisition.assets.values(), *acquisition.masks))


def test_bands_of_10_and_20_m():
    assert [b.name for b in Sentinel2L2A.bands if b.gsd == 10] == ["b2", "b3", "b4", "b8"]
    assert [b.name for b in Sentinel2L2A.bands if b.gsd == 20] == ["b5", "b6", "b7", "b8a", "b11", "b12"]
    assert {b.unit for b in Sentinel2L2A.bands} == {"reflectance"}


def test_products_that_are_missing_are_named(tmp_path):
    tile = tmp_path / "31TCJ"
    product(tile)
    (tile / "SENTINEL2A_20180125-105435-457_L2A_T31TCJ_C_V1-0.zip").touch()
    (tile / "SENTINEL2A_20180225-105435-457_L2A_T31TCJ_C_V1-0").symlink_to(tmp_path / "unmounted")
    acquisitions, problems = found(tmp_path)
    assert len(acquisitions) == 1
    assert [p.why for p in problems] == ["it is no folder: unpack it", "it is a link to nothing"]
    assert [p.date.month for p in problems] == [1, 2]
    assert len(Sentinel2L2A().products(str(tmp_path), "31TCJ")) == 3


def test_products_come_by_name_whatever_else_lies_there(tmp_path):
    tile = tmp_path / "31TCJ"
    for date in reversed(DATES):
        product(tile, date)
    (tile / "LANDSAT8_20180105").mkdir()
    (tile / f"SENTINEL2A_{DATES[0]}_L2A_T31TCJ_C_V1-0.zip").touch()  # unpacked beside
    (tile / "SENTINEL2A.txt").touch()
    (tile / "readme.txt").touch()
    acquisitions, problems = found(tmp_path)
    assert [a.datetime.day for a in acquisitions] == [5, 15]
    assert problems == []


@pytest.mark.parametrize(
    "names",
    [
        {"satellite": "B"},
        {"satellite": "C", "version": "C_V3-1"},
        {"version": "D_V1-10"},
        {"tile": "31TCJ"},
    ],
)
def test_names_of_other_satellites_and_versions_are_read(tmp_path, names):
    product(tmp_path / "31TCJ", **names)
    acquisitions, problems = found(tmp_path)
    assert (len(acquisitions), problems) == (1, [])


def test_the_tile_of_the_settings_may_start_with_t(tmp_path):
    product(tmp_path / "T31TCJ")
    acquisitions, problems = found(tmp_path, "T31TCJ")
    assert (len(acquisitions), problems) == (1, [])


def test_the_place_of_the_tile_in_the_path_may_be_said(tmp_path):
    product(tmp_path / "s2" / "31TCJ" / "2018")
    pattern = tmp_path / "s2" / "{tile}" / "2018"
    assert len(found(pattern)[0]) == 1
    assert len(Sentinel2L2A().products(str(pattern), "31TCJ")) == 1
    assert found(tmp_path / "s2") == ([], [])  # /31TCJ is added: it holds no product, only a folder


def test_a_missing_folder_has_no_products(tmp_path):
    assert found(tmp_path / "nowhere") == ([], [])
    assert Sentinel2L2A().products(str(tmp_path), "31TCJ") == []


def test_the_name_of_another_tile_is_a_problem(tmp_path):
    folder = product(tmp_path / "31TCJ", tile="T31TDJ")
    problem = only_problem(tmp_path)
    assert problem.product == str(folder)
    assert problem.why == "its name says tile 31TDJ, but it lies in the folder of tile 31TCJ"


@pytest.mark.parametrize(
    "name",
    [
        "SENTINEL2A_20180105_L2A_T31TCJ_C_V1-0",
        "SENTINEL2A_20180105-105435-457_L1C_T31TCJ_C_V1-0",
        "SENTINEL2A_20180105-105435-457_L2A_T31TCJ",
        "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0.incomplete",
        "SENTINEL2X_20180105-105435-457_L2A_T31TCJ_C_V1-0",
    ],
)
def test_a_name_that_is_not_a_products_is_a_problem(tmp_path, name):
    (tmp_path / "31TCJ" / name).mkdir(parents=True)
    assert "its name is not SENTINEL2x_YYYYMMDD-HHMMSS-mmm_L2A_Txxxxx_C_Vx-x" in only_problem(tmp_path).why


def test_a_day_that_does_not_exist_is_a_problem(tmp_path):
    product(tmp_path / "31TCJ", date="20180230-105435-457")
    assert only_problem(tmp_path).why


@pytest.mark.parametrize("band", ["B2", "B8A", "B12"])
def test_a_missing_band_is_a_problem(tmp_path, band):
    folder = product(tmp_path / "31TCJ")
    (folder / f"{folder.name}_FRE_{band}.tif").unlink()
    assert only_problem(tmp_path).why == f"0 files end in _FRE_{band}.tif, where there must be one"


def test_two_files_of_a_band_are_a_problem(tmp_path):
    folder = product(tmp_path / "31TCJ")
    (folder / "SENTINEL2A_COPY_FRE_B2.tif").touch()
    assert only_problem(tmp_path).why == "2 files end in _FRE_B2.tif, where there must be one"


def test_a_missing_mask_is_a_problem(tmp_path):
    folder = product(tmp_path / "31TCJ")
    (folder / "MASKS" / f"{folder.name}_EDG_R1.tif").unlink()
    assert only_problem(tmp_path).why == "0 files end in _EDG_R1.tif, where there must be one"


def test_a_missing_folder_of_masks_is_a_problem(tmp_path):
    folder = product(tmp_path / "31TCJ")
    (folder / "MASKS").rename(folder / "masks")
    assert only_problem(tmp_path).why == "0 files end in _CLM_R1.tif, where there must be one"


def test_an_empty_folder_is_a_problem_and_the_others_are_read(tmp_path):
    product(tmp_path / "31TCJ", DATES[0])
    empty = tmp_path / "31TCJ" / f"SENTINEL2A_{DATES[1]}_L2A_T31TCJ_C_V1-0"
    empty.mkdir()
    acquisitions, (problem,) = found(tmp_path)
    assert [a.datetime.day for a in acquisitions] == [5]
    assert problem.product == str(empty)


def test_a_product_stands_for_its_metadata_or_first_band_or_folder(tmp_path):
    folder = product(tmp_path / "31TCJ")

    def key():
        (path,) = Sentinel2L2A().products(str(tmp_path), "31TCJ")
        return path

    assert key() == folder / f"{folder.name}_MTD_ALL.xml"
    key().unlink()
    assert key() == folder / f"{folder.name}_FRE_B2.tif"
    key().unlink()
    assert key() == folder


def test_products_come_by_name(tmp_path):
    folders = [product(tmp_path / "31TCJ", date) for date in reversed(DATES)]
    listed = Sentinel2L2A().products(str(tmp_path), "31TCJ")
    assert [path.parent for path in listed] == folders[::-1]
