"""Landsat of Theia, in both layouts: generated products, read back; and what is wrong with damaged ones."""

import datetime

import numpy as np
import pytest
from unit import landsat_products as products
from unit.landsat_products import (
    COMMON,
    DAYS,
    NEXT,
    SCENE,
    Truth,
    check_next_zone,
    check_own_grid,
    damaged,
    described,
    old_name,
    problem,
    series,
    take,
    theia_name,
)
from unit.rasters_for_tests import constant, save

from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.sensors.theia_landsat import LandsatTheia


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    """A year of products of Theia, of three satellites; some are archives."""
    folder = tmp_path_factory.mktemp("theia")
    truths = [Truth(day, seed) for seed, day in enumerate(DAYS)]
    for i, truth in enumerate(truths):
        product = products.theia(folder / "31TCJ", theia_name("578"[i % 3], truth.day), truth)
        if i % 4 == 1:
            products.zipped(product)
    return folder, truths


def test_a_year_of_theia_is_read_back_on_its_own_grid(year):
    folder, truths = year
    check_own_grid(series(described(folder, "landsat-theia")), truths, COMMON, products.theia_invalid, 0.5001)


def test_a_year_of_theia_is_read_back_in_another_zone(year):
    folder, truths = year
    check_next_zone(series(described(folder, "landsat-theia"), NEXT), truths, COMMON, products.theia_invalid, 1.05)


def test_surface_reflectance_of_theia_may_be_asked_for(year):
    folder, _ = year
    found = series(described(folder, "landsat-theia", reflectance="SRE"))
    flat = series(described(folder, "landsat-theia", reflectance="FRE"))
    assert np.array_equal(found.valid, flat.valid)
    assert np.abs(found.values - flat.values - 100)[:, :, found.valid.all(axis=0)].max() <= 1


def test_days_of_theias_products(year):
    format = LandsatTheia()
    listed = format.products(str(year[0]), "31TCJ")
    assert sorted(map(format.date_of, listed)) == [datetime.date(2018, month, 17) for month in range(1, 13)]
    assert {path.name.rpartition("_V1-0")[2] for path in listed} == {"_MTD_ALL.xml", ".zip"}


@pytest.mark.parametrize("quantification", [1000, 10_000])
def test_a_year_of_the_old_layout_is_read_back(tmp_path, quantification):
    truths = [Truth(day, seed) for seed, day in enumerate(DAYS)]
    for i, truth in enumerate(truths):
        name = old_name("578"[i % 3], truth.day)
        products.old(tmp_path / "D0005H0002", name, truth, quantification)
    sensor, error = described(tmp_path, "landsat-theia"), 0.5001 * 10_000 / quantification
    found = series(sensor, tile="D0005H0002")
    check_own_grid(found, truths, COMMON, products.old_invalid, error)
    surface = series(described(tmp_path, "landsat-theia", reflectance="SRE"), tile="D0005H0002")
    assert np.abs(surface.values - found.values - 100)[:, :, found.valid.all(axis=0)].max() <= 10_000 / quantification


def test_bands_of_the_old_layout_lie_behind_each_other(tmp_path):
    for satellite in "58":
        products.old(tmp_path / "D0005H0002", old_name(satellite))
    found, problems = LandsatTheia().find(str(tmp_path), "D0005H0002", "l")
    assert problems == []
    places = [{band: asset.band for band, asset in a.assets.items()} for a in found]
    assert places[0] == {band: i for i, band in enumerate(COMMON, start=1)}
    assert places[1] == {band: i for i, band in enumerate(("coastal", *COMMON), start=1)}
    assert [(mask.path[-7:], mask.invalid_bits) for mask in found[0].masks] == [
        ("NUA.TIF", 0xFFFF), ("SAT.TIF", 0xFFFF), ("DIV.TIF", 1)]  # fmt: skip
    assert {a.datetime.date() for a in found} == {datetime.date(2014, 1, 10)}


def test_a_tile_of_the_old_grid_may_go_by_its_whole_name(tmp_path):
    products.old(tmp_path / "France-MetropoleD0005H0002", old_name())
    found, problems = LandsatTheia().find(str(tmp_path), "France-MetropoleD0005H0002", "l")
    assert (len(found), problems) == (1, [])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (theia_name(tile="T31TDJ"), "its name says tile 31TDJ, but it lies in the folder of tile 31TCJ"),
        (old_name(), "its name says tile France-MetropoleD0005H0002, but it lies in the folder of tile 31TCJ"),
        ("LANDSAT8-OLITIRS-XS_20180103_L2A_T31TCJ", "its name is neither LANDSATn-…-XS_YYYYMMDD-HHMMSS-mmm_L2A_Txxxxx"),
        (theia_name(day="20180230"), "its name says the time 20180230-103617, which there is not"),
        (theia_name().replace("L2A", "L1C"), "its name is neither LANDSATn-…-XS_YYYYMMDD-HHMMSS-mmm_L2A_Txxxxx"),
    ],
)
def test_names_that_theia_does_not_give_are_problems(tmp_path, name, why):
    (tmp_path / "31TCJ" / name).mkdir(parents=True)
    assert problem(LandsatTheia(), tmp_path).why.startswith(why)


@pytest.fixture
def pair(tmp_path):
    products.theia(tmp_path / "31TCJ", theia_name(day="20180612"))
    return products.theia(tmp_path / "31TCJ", theia_name())


@pytest.mark.parametrize("file", ["{}_FRE_B4.tif", "MASKS/{}_CLM_XS.tif", "MASKS/{}_SAT_XS.tif", "MASKS/{}_EDG_XS.tif"])
def test_what_is_missing_in_a_product_of_theia_is_named(tmp_path, pair, file):
    (pair / file.format(pair.name)).unlink()
    end = file.partition("{}")[2]
    assert damaged(described(tmp_path, "landsat-theia")) == (f"{pair}: 0 files end in {end}, where there must be one")


@pytest.mark.parametrize("file", ["{}_FRE_B4.tif", "MASKS/{}_EDG_XS.tif"])
def test_an_empty_file_of_theia_is_named(tmp_path, pair, file):
    path = pair / file.format(pair.name)
    path.write_bytes(b"")
    assert damaged(described(tmp_path, "landsat-theia")).startswith(f"{pair.name}: {path} cannot be opened (")


def test_an_image_of_theia_on_another_grid_is_named(tmp_path, pair):
    products.theia(tmp_path / "31TCJ", theia_name(day="20180712"))
    other = Grid(SCENE.crs, SCENE.left + 30, SCENE.top, 30, SCENE.height, SCENE.width)
    path = save(pair / f"{pair.name}_FRE_B4.tif", constant(1, other, "int16"), other)
    with pytest.raises(InputError, match=f"{path} is on another grid"):
        take(described(tmp_path, "landsat-theia"))


def test_a_coastal_band_that_landsat_5_does_not_have_is_named(tmp_path, pair):
    products.theia(tmp_path / "31TCJ", theia_name("5", "20180712"))
    with pytest.raises(InputError, match=f"{theia_name('5', '20180712')}: it has no band coastal\n"):
        take(described(tmp_path, "landsat-theia", bands=["coastal", "blue"]))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda f: (f / f"{f.name}.xml").unlink(), "0 files end in {}.xml, where there must be one"),
        (lambda f: (f / f"{f.name}.xml").write_text("<METADATA/>"), "{}.xml does not say what reflectances are"),
        (lambda f: (f / f"{f.name}.xml").write_bytes(b"\xff\0"), "{}.xml does not say what reflectances are"),
        (lambda f: next(f.glob("*PENTE*")).unlink(), "0 files are named …_ORTHO_SURF_CORR_PENTE_….TIF, where there"),
        (lambda f: (f / "MASK" / f"{f.name}_DIV.TIF").unlink(), "0 files end in _DIV.TIF, where there must be one"),
        (lambda f: (f / "MASK").rename(f / "mask"), "0 files end in _NUA.TIF, where there must be one"),
    ],
)
def test_what_is_missing_in_the_old_layout_is_named(tmp_path, change, why):
    for day in ("20140110", "20140712"):
        products.old(tmp_path / "D0005H0002", old_name(day=day))
    folder = tmp_path / "D0005H0002" / old_name()
    change(folder)
    sentence = damaged(described(tmp_path, "landsat-theia"), tile="D0005H0002", years=(2014, 2014))
    assert sentence.startswith(f"{folder}: {why.format(folder.name)}")


def test_a_file_of_the_old_layout_with_too_few_bands_is_named(tmp_path):
    for day in ("20140110", "20140712"):
        products.old(tmp_path / "D0005H0002", old_name(day=day))
    folder = tmp_path / "D0005H0002" / old_name()
    image = next(folder.glob("*PENTE*"))
    save(image, np.ones((5, SCENE.height, SCENE.width), np.int16), SCENE)
    sentence = damaged(described(tmp_path, "landsat-theia"), tile="D0005H0002", years=(2014, 2014))
    assert sentence == f"{folder.name}: {image} has 5 bands, but band 6 is asked for"


def test_entities_in_metadata_are_never_followed(tmp_path):
    folder = products.old(tmp_path / "D0005H0002", old_name())
    path = folder / f"{folder.name}.xml"
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{path}">]>'
    path.write_text(entity + path.read_text().replace("1000.0", "&e;"))
    why = problem(LandsatTheia(), tmp_path, "D0005H0002").why
    assert why == f"{folder.name}.xml does not say what reflectances are multiplied by (QUANTIFICATION)"
