"""Products of Theia: their names, in folders where nothing is opened; and a year of them, read."""

import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from unit import products
from unit.products import only_fault, series, take, year, zipped
from unit.rasters_for_tests import coarser, save

from parcelle.errors import InputError
from parcelle.sensors import Asset, Mask
from parcelle.sensors.theia import Sentinel2L2A, Sentinel2L3A

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
    assert [p.why for p in problems] == [
        "it is no zip archive, or a truncated one: fetch it again",
        "it is a link to nothing",
    ]
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
    assert only_problem(tmp_path).why == "its name says 20180230-105435, which is no time of any day"


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


L2A, L3A = "sentinel2-theia-l2a", "sentinel2-theia-l3a"


@pytest.fixture(scope="module")
def l2a(tmp_path_factory):
    """A year of level 2A: the folder of the tile, the scenes, and what is valid of them."""
    parent, scenes = tmp_path_factory.mktemp("l2a") / "31TCJ", year(low=-300)
    return parent, scenes, np.array([products.theia_l2a(parent, scene)[1] for scene in scenes])


@pytest.fixture(scope="module")
def l3a(tmp_path_factory):
    """A year of level 3A."""
    parent, scenes = tmp_path_factory.mktemp("l3a") / "31TCJ", year(months=True, low=-300)
    return parent, scenes, np.array([products.theia_l3a(parent, scene)[1] for scene in scenes])


def check(found, scenes, expected, bands=products.BANDS):
    values, valid = series(found, bands)
    truth = np.stack([scene.seen(bands) for scene in scenes])
    assert 0.3 < expected.mean() < 0.9
    assert np.array_equal(valid, expected)
    assert np.array_equal(values.transpose(0, 2, 3, 1)[valid], truth.transpose(0, 2, 3, 1)[valid])


def test_a_year_of_level_2a_is_read_as_it_was_written(l2a):
    parent, scenes, valid = l2a
    found = take(L2A, parent.parent)
    assert [a.date for a in found.acquisitions] == [scene.day for scene in scenes]
    check(found, scenes, valid)


def test_a_year_of_level_3a_is_read_as_it_was_written(l3a):
    parent, scenes, valid = l3a
    found = take(L3A, parent.parent)
    assert [a.date for a in found.acquisitions] == [scene.day for scene in scenes]
    assert found.acquisitions[1].id == "SENTINEL2X_20180215-000000-000_L3A_T31TCJ_C_V1-1"
    check(found, scenes, valid)


@pytest.mark.parametrize("level", [L2A, L3A])
def test_a_year_of_archives_is_read_in_place(l2a, l3a, level, tmp_path):
    parent, scenes, valid = l2a if level == L2A else l3a
    (tmp_path / "31TCJ").mkdir()
    for i, folder in enumerate(sorted(parent.iterdir())):
        # As Theia names them: the version may be missing.
        name = f"{folder.name.rpartition('_')[0] if i % 2 else folder.name}.zip"
        zipped(folder, name, keep=True).rename(tmp_path / "31TCJ" / name)
    before = sorted(tmp_path.rglob("*"))
    found = take(level, tmp_path)
    assert all(m.path.startswith(f"/vsizip/{tmp_path}") for a in found.acquisitions for m in a.masks)
    check(found, scenes, valid)
    assert sorted(tmp_path.rglob("*")) == before
    assert [a.id for a in found.acquisitions] == [a.id for a in take(level, parent.parent).acquisitions]


def test_masks_at_10_m_serve_bands_at_20_m_alone(tmp_path):
    scenes, bands = year(step=60), ("b5", "b8a", "b12")
    masks = []
    for scene in scenes:
        folder, _ = products.theia_l2a(tmp_path / "31TCJ", scene)
        masks.append(np.ones((60, 60), bool))
        for mask in ("CLM", "EDG", "SAT"):
            masks[-1] &= pixels(folder / "MASKS" / f"{folder.name}_{mask}_R1.tif") == 0
    expected = np.array(masks) & np.stack([scene.observed(bands) for scene in scenes])
    check(take(L2A, tmp_path, bands=bands), scenes, expected, bands)


def pixels(path):
    with rasterio.open(path) as image:
        return image.read(1)


def test_surface_reflectance_may_be_chosen(tmp_path):
    scenes = year(step=90)
    valid = [products.theia_l2a(tmp_path / "31TCJ", scene, kind="SRE")[1] for scene in scenes]
    check(take(L2A, tmp_path, reflectance="SRE"), scenes, np.array(valid))
    flat, clear = series(take(L2A, tmp_path))
    assert (flat.transpose(0, 2, 3, 1)[clear] == 7).all()  # what was written for the other kind
    assert Sentinel2L2A("SRE").find(str(tmp_path), "31TCJ", "s2")[0][0].assets["b2"].path.endswith("_SRE_B2.tif")


def test_a_product_without_metadata_stands_for_its_first_band_of_the_kind_in_use(tmp_path):
    folder = product(tmp_path / "31TCJ")
    (folder / f"{folder.name}_MTD_ALL.xml").unlink()
    assert Sentinel2L2A("SRE").products(str(tmp_path), "31TCJ") == [folder / f"{folder.name}_SRE_B2.tif"]


def test_an_archive_stands_for_itself_and_a_folder_before_its_archive(tmp_path):
    first, second = (product(tmp_path / "31TCJ", date) for date in DATES)
    alone, _ = zipped(first), zipped(second, f"{second.name.rpartition('_')[0]}.zip", keep=True)
    format = Sentinel2L2A()
    assert format.products(str(tmp_path), "31TCJ") == [alone, second / f"{second.name}_MTD_ALL.xml"]
    assert format.date_of(alone) == datetime.date(2018, 1, 5)
    acquisitions, problems = found(tmp_path)
    assert problems == [] and acquisitions[1].assets["b2"].path == f"{second}/{second.name}_FRE_B2.tif"
    assert acquisitions[0].assets["b2"].path == f"/vsizip/{alone}/{first.name}/{first.name}_FRE_B2.tif"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0", "its name is not SENTINEL2x_YYYYMMDD-HHMMSS-mmm_L3A_T"),
        ("SENTINEL2X_20180215-000000-000_L3A_T31TDJ_C_V1-1", "its name says tile 31TDJ, but it lies in the folder"),
        ("SENTINEL2X_20180215-000000-000_L3A_T31TCJ_C_V1-1", "0 files end in _FRC_B2.tif, where there must be one"),
    ],
)
def test_what_is_no_synthesis_is_named(tmp_path, name, why):
    (tmp_path / "31TCJ" / name).mkdir(parents=True)
    acquisitions, (problem,) = Sentinel2L3A().find(str(tmp_path), "31TCJ", "s2")
    assert acquisitions == [] and problem.why.startswith(why)


def test_two_syntheses_of_a_month_are_not_averaged(tmp_path):
    scenes = year(months=True)[:2]
    first, _ = products.theia_l3a(tmp_path / "31TCJ", scenes[0])
    second, valid = products.theia_l3a(tmp_path / "31TCJ", scenes[0], version="C_V1-2")
    products.theia_l3a(tmp_path / "31TCJ", scenes[1])
    assert str(only_fault(L3A, tmp_path)) == f"{first.name}: the same synthesis as {second.name}: keep one"
    found = take(L3A, tmp_path, "skip")
    assert found.acquisitions[0].id == second.name
    assert np.array_equal(series(found)[1][0], valid)


@pytest.fixture
def pair(tmp_path):
    """Two products of each level, of which the first ones are to be damaged."""
    scenes = year(step=180)[:2]
    two = [products.theia_l2a(tmp_path / "l2a/31TCJ", scene)[0] for scene in scenes]
    synthesised = [products.theia_l3a(tmp_path / "l3a/31TCJ", scene)[0] for scene in scenes]
    return {L2A: two, L3A: synthesised}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize(
    ("level", "file"),
    [(L2A, "_FRE_B4.tif"), (L2A, "_CLM_R1.tif"), (L2A, "_SAT_R1.tif"), (L3A, "_FRC_B11.tif"), (L3A, "_FLG_R1.tif")],
)
def test_missing_and_empty_files_are_named(pair, level, file, change, packed):
    folder = pair[level][0]
    (path,) = folder.rglob(f"*{file}")
    change(path)
    missing = not path.exists()
    if packed:
        zipped(folder)
    why = only_fault(level, folder.parents[1]).why
    assert why == f"0 files end in {file}, where there must be one" if missing else f"{file} cannot be opened (" in why


@pytest.mark.parametrize(("band", "own", "other"), [("B5", 20, 10), ("B3", 10, 20)])
def test_a_band_of_another_pixel_size_is_named_even_if_all_are(pair, band, own, other):
    for folder in pair[L2A]:
        grid = coarser(products.GRID, other // 10)
        save(folder / f"{folder.name}_FRE_{band}.tif", np.ones((grid.height, grid.width), "int16"), grid)
    with pytest.raises(InputError) as error:
        take(L2A, folder.parents[1])
    said = f"_FRE_{band}.tif has pixels of {other} m, where those of {band.lower()} are of {own} m"
    assert said in str(error.value)


def test_a_link_inside_of_a_product_is_not_followed(pair, tmp_path):
    masks = pair[L2A][0] / "MASKS"
    masks.rename(tmp_path / "elsewhere")
    masks.symlink_to(tmp_path / "elsewhere")
    assert only_fault(L2A, tmp_path / "l2a").why == "its folder MASKS is a link: put the folder itself there"
