"""Products of Sen2Cor: a year of them, read; versions of one overpass; and what is refused."""

import datetime
import logging
import shutil
import zipfile

import numpy as np
import pytest
from unit import products
from unit.products import TILE, jp2, metadata, only_fault, safe, scene, series, take, year, zipped

from parcelle import inventory, sensors
from parcelle.errors import InputError, SettingsError
from parcelle.sensors import Asset
from parcelle.sensors.sen2cor import Sentinel2L2A
from parcelle.settings import Sensor

FORMAT = "sentinel2-sen2cor-l2a"
INVALID = (0, 1, 3, 8, 9, 10)
DAY, LATER = datetime.date(2018, 1, 3), datetime.date(2018, 6, 12)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A year: half of it of baseline 02.06, half of 05.09, with its offset; and the truth."""
    parent, scenes = tmp_path_factory.mktemp("year") / TILE, year()
    half = len(scenes) // 2
    old = [safe(parent, s) for s in scenes[:half]]
    new = [safe(parent, s, "0509", -1000) for s in scenes[half:]]
    return parent, scenes, np.array([classes for _, classes in old + new])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two products, to be copied."""
    parent = tmp_path_factory.mktemp("two") / TILE
    safe(parent, scene(DAY))
    safe(parent, scene(LATER), "0509", -1000)
    return parent


@pytest.fixture
def pair(two, tmp_path):
    """Copies of two products: the folder of the tile, and the products, the second with an offset."""
    shutil.copytree(two, tmp_path / TILE)
    return tmp_path, *sorted((tmp_path / TILE).iterdir())


def check(found, scenes, classes, invalid=INVALID):
    values, valid = series(found)
    truth = np.stack([s.seen() for s in scenes])
    expected = np.stack([s.observed() for s in scenes]) & ~np.isin(classes, invalid)
    assert 0.3 < expected.mean() < 0.9
    assert np.array_equal(valid, expected)
    assert np.array_equal(values.transpose(0, 2, 3, 1)[valid], truth.transpose(0, 2, 3, 1)[valid])


def test_a_year_of_folders_is_read_as_it_was_written(archive):
    parent, scenes, classes = archive
    found = take(FORMAT, parent.parent)
    assert [a.date for a in found.acquisitions] == [s.day for s in scenes]
    check(found, scenes, classes)


def test_a_year_of_archives_is_read_in_place(archive, tmp_path):
    parent, scenes, classes = archive
    (tmp_path / TILE).mkdir()
    for i, folder in enumerate(sorted(parent.iterdir())):
        ending = ".SAFE.zip" if i % 2 else ".zip"  # as one service or another names them
        zipped(folder, f"{folder.stem}{ending}", keep=True).rename(tmp_path / TILE / f"{folder.stem}{ending}")
    before = sorted(tmp_path.rglob("*"))
    found = take(FORMAT, tmp_path)
    assert all(a.assets["b2"].path.startswith(f"/vsizip/{tmp_path}") for a in found.acquisitions)
    check(found, scenes, classes)
    assert sorted(tmp_path.rglob("*")) == before
    again = take(FORMAT, parent.parent)
    assert [a.id for a in found.acquisitions] == [a.id for a in again.acquisitions]


def test_the_values_that_are_not_valid_may_be_chosen(archive):
    parent, scenes, classes = archive
    check(take(FORMAT, parent.parent, invalid=[4, 5, 0]), scenes, classes, (4, 5, 0))


@pytest.mark.parametrize("invalid", [[12], [3, -1], [256]])
def test_values_that_are_no_class_are_refused(invalid):
    with pytest.raises(SettingsError, match=f"invalid: {invalid[-1]} is no class of the scene classification"):
        Sentinel2L2A(invalid)


def test_an_offset_changes_what_is_stored_and_nothing_else(tmp_path):
    same = scene(DAY)
    classes = np.full((30, 30), 4)
    for name, baseline, offset in (("old", "0206", 0), ("new", "0509", -1000)):
        safe(tmp_path / name / TILE, same, baseline, offset, classes=classes)
    (old, valid), (new, valid_too) = (series(take(FORMAT, tmp_path / name)) for name in ("old", "new"))
    assert np.array_equal(valid, valid_too) and valid.mean() > 0.9
    assert np.array_equal(old[:, :, valid[0]], new[:, :, valid[0]])


def test_reflectance_below_0_is_kept_with_an_offset(tmp_path):
    dark = scene(DAY, low=-900)
    safe(tmp_path / TILE, dark, "0509", -1000, classes=np.full((30, 30), 4))
    values, valid = series(take(FORMAT, tmp_path))
    assert values[0][:, valid[0]].min() < -800
    assert np.array_equal(values[0][:, valid[0]], dark.seen()[:, valid[0]])


def test_a_product_is_read_by_its_names(pair):
    path, old, _ = pair
    (first, second), problems = Sentinel2L2A().find(str(path), TILE, "s2")
    assert problems == []
    assert first.id == "S2A_MSIL2A_20180103T105431_N0206_R051_T31TCJ_20180201T130000" == old.stem
    assert first.datetime == datetime.datetime(2018, 1, 3, 10, 54, 31, tzinfo=datetime.UTC)
    images = f"{old}/GRANULE/L2A_T31TCJ_A013229_20180103T105435/IMG_DATA"
    assert first.assets["b8a"] == Asset(f"{images}/R20m/T31TCJ_20180103T105431_B8A_20m.jp2", 1, 1e-4, 0, 0)
    assert first.assets["b2"].path == f"{images}/R10m/T31TCJ_20180103T105431_B02_10m.jp2"
    assert [m.path for m in first.masks] == [f"{images}/R20m/T31TCJ_20180103T105431_SCL_20m.jp2"]
    assert first.masks[0].invalid_values == INVALID
    assert second.assets["b12"].offset == -0.1


def test_bands_at_60_m_are_there_when_they_are_named(pair):
    path, *_ = pair
    assert [b.name for b in Sentinel2L2A.bands if b.name not in Sentinel2L2A.default] == ["b1", "b9"]
    assert Sentinel2L2A.default == products.BANDS
    values, valid = series(take(FORMAT, path, bands=("b1", "b9")), ("b1", "b9"))
    truth = scene(DAY).seen(("b1", "b9"))
    assert np.array_equal(values[0][:, valid[0]], truth[:, valid[0]]) and valid[0].any()


def test_bands_at_60_m_may_be_missing_where_they_are_not_named(tmp_path):
    safe(tmp_path / TILE, scene(DAY), size=20)
    safe(tmp_path / TILE, scene(LATER))
    assert len(take(FORMAT, tmp_path).acquisitions) == 2
    assert only_fault(FORMAT, tmp_path, ("b1", "b2")).why == "it has no band b1"


def test_the_grid_is_that_of_the_bands_at_10_m(pair):
    settings = {"s2": Sensor(format=FORMAT, path=str(pair[0]))}
    assert inventory.tile_grid(settings, TILE, "header", (products.FIRST, products.LAST)) == products.GRID


def test_products_are_listed_without_a_look_inside(pair, monkeypatch):
    path, old, new = pair
    archive = zipped(new)
    (path / TILE / "S2A_MSIL1C_20180103T105431_N0206_R051_T31TCJ_20180103T130000.SAFE").mkdir()
    monkeypatch.setattr(zipfile, "ZipFile", None)
    listed = Sentinel2L2A().products(str(path), TILE)
    assert listed == [old / "MTD_MSIL2A.xml", archive]
    assert [Sentinel2L2A().date_of(p) for p in listed] == [DAY, LATER]


def test_early_products_write_the_level_before_names(pair):
    path, old, _ = pair
    (old / "MTD_MSIL2A.xml").write_text(metadata("0205", quantification="L2A_BOA_QUANTIFICATION_VALUE"))
    for file in [*old.rglob("T31TCJ_*.jp2")]:
        file.rename(file.with_name(f"L2A_{file.name}"))
    assert len(take(FORMAT, path).acquisitions) == 2


def versions(path, caplog):
    with caplog.at_level(logging.INFO, "parcelle.sensors.sen2cor"):
        found, problems = Sentinel2L2A().find(str(path), TILE, "s2")
    assert problems == []
    return [a.id.split("_")[3] + "/" + a.id.split("_")[6] for a in found], caplog.messages


def copied(product, baseline, generated):
    """Process a product once more."""
    parts = product.name.split("_")
    again = product.with_name("_".join([*parts[:3], baseline, *parts[4:6], f"{generated}.SAFE"]))
    shutil.copytree(product, again)
    return again


def test_of_two_baselines_the_newer_is_read_and_the_log_names_the_other(pair, caplog):
    path, old, _ = pair
    again = copied(old, "N0500", "20230901T000000")
    (again / "MTD_MSIL2A.xml").write_text(metadata("0500", -1000))
    ids, log = versions(path, caplog)
    assert ids == ["N0500/20230901T000000", "N0509/20180201T130000"]
    assert log == [f"left out: {old.stem}: {again.stem} is newer"]


def test_a_newer_baseline_counts_more_than_a_later_day(pair, caplog):
    path, _, new = pair
    copied(new, "N0400", "20240101T000000")
    assert versions(path, caplog)[0][-1] == "N0509/20180201T130000"


def test_of_one_baseline_what_was_generated_last_is_read(pair, caplog):
    path, old, _ = pair
    copied(old, "N0206", "20180301T000000")
    copied(old, "N0206", "20180101T000000")
    ids, log = versions(path, caplog)
    assert ids[0] == "N0206/20180301T000000"
    assert len(log) == 2 and all(line.endswith("20180301T000000 is newer") for line in log)


def test_both_parts_of_a_take_are_read(tmp_path):
    """A tile where one datastrip ends and the next begins: two products, of which each has a part."""
    whole, classes = scene(DAY), np.full((30, 30), 4)
    north, south = (scene(DAY) for _ in range(2))
    for band, pixels in whole.bands.items():
        middle = len(pixels) // 2
        north.bands[band][middle:], south.bands[band][:middle] = -32768, -32768
    safe(tmp_path / TILE, north, generated="20180103T130000", classes=classes)
    safe(tmp_path / TILE, south, generated="20180103T130500", strip="105701", classes=classes)
    found = take(FORMAT, tmp_path)
    assert [a.datetime.strftime("%H%M%S") for a in found.acquisitions] == ["105435", "105701"]
    values, valid = series(found)
    assert np.array_equal(valid[0], whole.observed())
    assert np.array_equal(values[0][:, valid[0]], whole.seen()[:, valid[0]])


def test_a_product_that_is_there_twice_is_named(pair):
    path, old, _ = pair
    zipped(old, f"{old.stem}.SAFE.zip", keep=True)
    zipped(old)
    assert str(only_fault(FORMAT, path)) == f"{old.stem}: listed 2 times"


def test_a_folder_is_read_and_not_its_archive(pair):
    path, old, _ = pair
    zipped(old, keep=True)
    assert [a.assets["b2"].path.startswith(str(old)) for a in take(FORMAT, path).acquisitions] == [True, False]


SECRET = "file:///etc/hostname"
ENTITY = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{SECRET}">]>\n'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n'
OUTSIDE = f'<!DOCTYPE x SYSTEM "{SECRET}">\n'
NO_RATIO = metadata().replace("BOA_QUANTIFICATION_VALUE", "OTHER")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (metadata(doctype=ENTITY), "its MTD_MSIL2A.xml declares a document type, which may hold entities"),
        (metadata(doctype=LAUGHS), "its MTD_MSIL2A.xml declares a document type, which may hold entities"),
        (metadata(doctype=OUTSIDE), "its MTD_MSIL2A.xml declares a document type, which may hold entities"),
        (metadata()[:400], "its MTD_MSIL2A.xml is no whole XML (unclosed token: line 7"),
        ("", "its MTD_MSIL2A.xml is no whole XML (no element found: line 1"),
        (metadata().replace("10000", "&e;"), "its MTD_MSIL2A.xml is no whole XML (undefined entity"),
        (NO_RATIO, "its MTD_MSIL2A.xml has no single BOA_QUANTIFICATION_VALUE of 100 or more"),
        (metadata().replace("10000", "0"), "its MTD_MSIL2A.xml has no single BOA_QUANTIFICATION_VALUE of 100 or more"),
        (metadata().replace("10000", "x"), "its MTD_MSIL2A.xml has a BOA_QUANTIFICATION_VALUE of 'x', which is no"),
        (metadata().replace("10000", "nan"), "its MTD_MSIL2A.xml has a BOA_QUANTIFICATION_VALUE of 'nan', which is no"),
        (metadata(offset=-1000).replace("-1000", ""), "its MTD_MSIL2A.xml has a BOA_ADD_OFFSET of '', which is no"),
        (
            metadata(offset=-1000).replace('"12"', '"13"'),
            "its MTD_MSIL2A.xml has a BOA_ADD_OFFSET with the band_id '13'",
        ),
        (metadata(offset=-1000).replace('"12"', '"10"'), "its MTD_MSIL2A.xml has a BOA_ADD_OFFSET of other bands, but"),
    ],
)
def test_metadata_that_cannot_be_trusted_are_named(pair, text, why, packed):
    path, old, _ = pair
    (old / "MTD_MSIL2A.xml").write_text(text)
    place = zipped(old) if packed else old
    problem = only_fault(FORMAT, path)
    assert problem.product == str(place) and problem.date == DAY
    assert problem.why.startswith(why)


def test_a_new_product_without_offsets_is_refused(pair):
    path, _, new = pair
    (new / "MTD_MSIL2A.xml").write_text(metadata("0509"))
    assert only_fault(FORMAT, path).why == (
        "its MTD_MSIL2A.xml has no BOA_ADD_OFFSET, which products of baseline 05.09 have: fetch it again"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_missing_metadata_are_named(pair, packed):
    path, old, _ = pair
    (old / "MTD_MSIL2A.xml").unlink()
    assert Sentinel2L2A().products(str(path), TILE)[0] == old
    if packed:
        zipped(old)
    assert only_fault(FORMAT, path).why == "it has no MTD_MSIL2A.xml"


@pytest.mark.parametrize("size", [16 * 2**20 + 1, 40 * 2**20])
def test_metadata_that_are_far_too_large_are_not_read(pair, size):
    path, old, _ = pair
    with (old / "MTD_MSIL2A.xml").open("r+b") as stream:
        stream.truncate(size)
    assert f"its MTD_MSIL2A.xml has {size} bytes" in only_fault(FORMAT, path).why
    zipped(old)  # it is small there
    assert f"its MTD_MSIL2A.xml has {size} bytes" in only_fault(FORMAT, path).why


def image(product, ending):
    (found,) = product.rglob(f"*{ending}")
    return found


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["_B02_10m.jp2", "_B8A_20m.jp2", "_SCL_20m.jp2"])
def test_a_missing_band_or_mask_is_named(pair, ending, packed):
    path, old, _ = pair
    image(old, ending).unlink()
    if packed:
        zipped(old)
    assert only_fault(FORMAT, path).why == f"0 files end in {ending}, where there must be one"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ["_B03_10m.jp2", "_SCL_20m.jp2"])
def test_an_empty_file_is_named(pair, ending, packed):
    path, old, _ = pair
    image(old, ending).write_bytes(b"")
    if packed:
        zipped(old)
    why = only_fault(FORMAT, path).why
    assert ending in why and "cannot be opened" in why


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", ["_B03_10m.jp2", "_SCL_20m.jp2"])
def test_a_truncated_image_is_named(pair, ending, left):
    path, old, _ = pair
    file = image(old, ending)
    file.write_bytes(file.read_bytes()[: int(left * file.stat().st_size)])
    assert only_fault(FORMAT, path).why.startswith(str(file))


@pytest.mark.parametrize(("code", "size", "other"), [("B05", 20, 10), ("B02", 10, 20)])
def test_a_band_of_another_pixel_size_is_named_even_if_all_are(pair, code, size, other):
    path, old, new = pair
    pixels = np.full((600 // other, 600 // other), 500, "uint16")
    for product in (old, new):
        jp2(image(product, f"_{code}_{size}m.jp2"), pixels, other)
    with pytest.raises(InputError) as found:
        take(FORMAT, path)
    band = f"b{int(code[1:])}"
    assert f"_{code}_{size}m.jp2 has pixels of {other} m, where those of {band} are of {size} m" in str(found.value)


def test_names_that_are_no_products_are_named(pair):
    path, old, _ = pair
    strange = old.rename(old.with_name("S2A_MSIL2A_20180103T105431_N0206_R051_T31TCJ.SAFE"))
    problem = only_fault(FORMAT, path)
    assert problem.product == str(strange)
    assert problem.why == "its name is not S2x_MSIL2A_YYYYMMDDTHHMMSS_Nxxxx_Rxxx_Txxxxx_YYYYMMDDTHHMMSS.SAFE"


def test_the_product_of_another_tile_is_named(pair):
    path, old, _ = pair
    old.rename(old.with_name(old.name.replace("31TCJ", "31TDJ")))
    assert only_fault(FORMAT, path).why == "its name says tile 31TDJ, but it lies in the folder of tile 31TCJ"


def test_a_time_that_does_not_exist_is_named(pair):
    path, old, _ = pair
    old.rename(old.with_name(old.name.replace("20180103T105431", "20180103T995431")))
    assert only_fault(FORMAT, path).why == "its name says 20180103T995431, which is no time of any day"


@pytest.mark.parametrize("number", [0, 2])
def test_there_must_be_one_granule(pair, number):
    path, old, _ = pair
    (granule,) = (old / "GRANULE").iterdir()
    if number:
        shutil.copytree(granule, granule.with_name("L2A_T31TCJ_A013230_20180103T105435"))
    else:
        shutil.rmtree(granule)
    assert only_fault(FORMAT, path).why.startswith(f"{number} folders in GRANULE are named as L2A_Txxxxx_Axxxxxx_")


def test_a_link_inside_of_a_product_is_not_followed(pair, tmp_path):
    path, old, _ = pair
    (old / "GRANULE").rename(tmp_path / "elsewhere")
    (old / "GRANULE").symlink_to(tmp_path / "elsewhere")
    assert only_fault(FORMAT, path).why == "its folder GRANULE is a link: put the folder itself there"


def test_bad_products_stop_the_run_unless_they_are_skipped(pair):
    path, old, _ = pair
    (old / "MTD_MSIL2A.xml").unlink()
    with pytest.raises(InputError) as error:
        take(FORMAT, path)
    assert f"{old}: it has no MTD_MSIL2A.xml" in str(error.value)


def test_the_format_has_a_name():
    format = sensors.of(Sensor(format=FORMAT, path="x", invalid=[3, 8]))
    assert isinstance(format, Sentinel2L2A) and format.invalid == (3, 8)
