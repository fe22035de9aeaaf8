"""Damaged products of Theia: each is named in one sentence, none is used silently, none stops what is whole."""

import os
import re
import shutil

import numpy as np
import pytest
import rasterio
from unit.rasters_for_tests import TILE, coarser, constant, noise, save
from unit.test_inventory import FIRST, LAST, band, sensor, theia

from parcelle import files, inventory, listing
from parcelle.errors import InputError
from parcelle.grid import Grid

MOVED = Grid("EPSG:32631", TILE.left + 10, TILE.top, 10, TILE.height, TILE.width)
ZONE_32 = Grid("EPSG:32632", TILE.left, TILE.top, 10, TILE.height, TILE.width)
TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}


def mask(folder, name="CLM"):
    return folder / "MASKS" / f"{folder.name}_{name}_R1.tif"


def truncated(folder):
    path = band(folder, "B8")
    save(path, noise(), **TILED)
    path.write_bytes(path.read_bytes()[:-100])
    return rf"{path} is truncated: its block \(\d, \d\) ends at byte \d+, the file at \d+"


def zero_byte_band(folder):
    band(folder, "B4").write_bytes(b"")
    return rf"{band(folder, 'B4')} cannot be opened \(.*\)"


def zero_byte_mask(folder):
    mask(folder).write_bytes(b"")
    return rf"{mask(folder)} cannot be opened \(.*\)"


def missing_mask(folder):
    mask(folder, "EDG").unlink()
    return r"0 files end in _EDG_R1\.tif, where there must be one"


def no_masks(folder):
    shutil.rmtree(folder / "MASKS")
    return r"0 files end in _CLM_R1\.tif, where there must be one"


def spoiled_mask(folder):
    path = mask(folder, "SAT")
    save(path, noise(dtype="uint8", high=200), **TILED)
    with rasterio.open(path) as image:
        place = int(image.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[place : place + 20] = b"\xff" * 20
    path.write_bytes(content)
    return rf"{path} cannot be read in rows 0–15, columns 0–15 \(.*\)"


def swapped_bands(folder):
    """B4 has the pixels of B11 and B11 those of B4."""
    fine, coarse = band(folder, "B4"), band(folder, "B11")
    fine.rename(folder / "other.tif")
    coarse.rename(fine)
    (folder / "other.tif").rename(coarse)
    return rf"{fine} is on another grid: .* {coarser(TILE, 2).width} × .* 20, where 2 of 3 acquisitions have .*"


def oblong(folder):
    """Height and width are exchanged."""
    turned = Grid(TILE.crs, TILE.left, TILE.top, 10, TILE.width, TILE.height)
    path = save(band(folder, "B8"), constant(1, turned), turned)
    return rf"{path} is on another grid: .* where 2 of 3 acquisitions have .*"


def other_crs(folder):
    path = save(band(folder, "B8"), constant(1, ZONE_32), ZONE_32)
    return rf"{path} is on another grid: EPSG:32632 .* where 2 of 3 acquisitions have EPSG:32631 .*"


def moved(folder):
    path = save(mask(folder), constant(0, MOVED, "uint8"), MOVED)
    return rf"{path} is on another grid: .* where 2 of 3 acquisitions have .*"


def wrong_nodata(folder):
    path = save(band(folder, "B4"), constant(5), nodata=0)
    return rf"{path} says that no data is 0, where -10000 is what its product says"


def reals(folder):
    """Reflectance of 0 to 1, where the others have it × 10,000."""
    path = save(band(folder, "B4"), constant(0.2, dtype="float32"))
    return rf"{path} is of another type: float32, where 2 of 3 acquisitions have int16"


def future(folder):
    renamed = folder.with_name(folder.name.replace("_2018", "_2918"))
    folder.rename(renamed)
    for path in sorted(p for p in renamed.rglob("*") if p.is_file()):
        path.rename(path.with_name(path.name.replace("_2018", "_2918")))
    return r"its date, 2918-03-08, lies in the future: correct it"


def looped_band(folder):
    path = band(folder, "B8")
    path.unlink()
    path.symlink_to(path)
    return rf"{path} cannot be opened \(.*\)"


def looped_folder(folder):
    shutil.rmtree(folder)
    folder.symlink_to(folder)
    return r".*link.*"


def link_to_nothing(folder):
    shutil.rmtree(folder)
    folder.symlink_to(folder.with_name("nowhere"))
    return r".*link.*"


def text(folder):
    band(folder, "B4").write_text("<html>404 not found</html>")
    return rf"{band(folder, 'B4')} cannot be opened \(.*\)"


def closed(path):
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")


def no_permission(folder):
    closed(band(folder, "B4"))
    return rf"{band(folder, 'B4')} cannot be opened \(.*\)"


def closed_folder(folder):
    closed(folder)
    return r".*[Pp]ermission.*"


DAMAGES = [
    *(truncated, zero_byte_band, zero_byte_mask, missing_mask, no_masks, spoiled_mask, swapped_bands, oblong),
    *(other_crs, moved, wrong_nodata, reals, future, looped_band, looped_folder, link_to_nothing, text),
    *(no_permission, closed_folder),
]


@pytest.fixture
def products(tmp_path):
    yield [theia(tmp_path / "31TCJ", day) for day in (3, 8, 13)]
    for folder in (tmp_path / "31TCJ").iterdir():
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def take(folder, on_bad, **options):
    bands = {"s2": ["b4", "b8", "b11"]}
    return inventory.take({"s2": sensor(str(folder))}, "31TCJ", TILE, FIRST, LAST, on_bad, bands, **options)


@pytest.mark.parametrize("full", [False, True], ids=["headers", "full"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_damage_is_named_in_one_sentence_and_never_used(damage, full, products, tmp_path):
    whole = take(tmp_path, "fail").acquisitions
    sentence = damage(products[1])
    with pytest.raises(InputError) as error:
        take(tmp_path, "fail", full=full)
    first, fault, cure = str(error.value).split("\n")
    assert first == "tile 31TCJ: 1 bad acquisition(s):"
    name, _, why = fault.strip().partition(": ")
    assert products[1].name.replace("_2018", "") in name.replace("_2018", "").replace("_2918", "")
    assert re.fullmatch(sentence, why), why
    assert cure == "Repair or remove them, or set `on_bad_acquisition: skip` to go on without them."
    found = take(tmp_path, "skip", full=full)
    assert [p.why for p in found.problems] == [why] and found.problems[0].sensor == "s2"
    assert found.acquisitions == (whole[0], whole[2])


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__)
def test_damage_does_not_stop_what_looks_for_changes(damage, products, tmp_path):
    settings = {"s2": sensor(str(tmp_path))}
    before = files.state(listing.watched(settings, "31TCJ"))
    damage(products[1])
    # Who may read a file is no state of it.
    same = files.state(listing.watched(settings, "31TCJ")) == before
    assert same is (damage is no_permission)
    keys = listing.products(settings, "31TCJ", (FIRST, LAST))
    assert [str(products[i]) in keys[-1 if i else 0] for i in (0, 2)] == [True, True]
    assert inventory.tile_grid(settings, "31TCJ", "header", (FIRST, LAST)) == TILE


def test_a_product_that_is_there_twice_is_named(products, tmp_path):
    copy = products[1].with_name(products[1].name.replace("_V1-0", "_V2-0"))
    shutil.copytree(products[1], copy)
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        path.rename(path.with_name(path.name.replace("_V1-0", "_V2-0")))
    sentence = f"{products[1].name}: the same acquisition as {copy.name}: keep one of them"
    with pytest.raises(InputError) as error:
        take(tmp_path, "fail")
    assert str(error.value).split("\n")[1].strip() == sentence
    found = take(tmp_path, "skip")
    assert [str(p) for p in found.problems] == [sentence]
    assert [a.id for a in found.acquisitions] == [products[0].name, copy.name, products[2].name]


def test_all_at_once(products, tmp_path):
    """Of many damaged products, each is named, and the only whole one is used."""
    more = [theia(tmp_path / "31TCJ", day) for day in range(14, 14 + 12)]
    reasons = {}
    for folder, damage in zip(more, (truncated, zero_byte_mask, other_crs, wrong_nodata, reals, text), strict=False):
        damage(folder)
        reasons[folder.name] = damage.__name__
    found = take(tmp_path, "skip")
    assert sorted(p.product for p in found.problems) == sorted(reasons)
    assert len(found.acquisitions) == 3 + 12 - len(reasons) and np.mean([a.clear for a in found.acquisitions]) == 1
