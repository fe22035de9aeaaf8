"""One look at every file: blocks that cannot be read, what contradicts the others, and how much is clear."""

import csv
import datetime

import numpy as np
import pystac
import pytest
import rasterio
from unit.rasters_for_tests import TILE, acquired, coarser, constant, noise, save
from unit.test_inventory import FIRST, LAST, band, radar, refused, sensor, take, theia, why

from parcelle import acquisitions, checksums, damage, files, inventory, opening
from parcelle.acquisitions import Inventory
from parcelle.checks import looks
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.sensors import Asset, Mask, Problem

BIG = Grid("EPSG:32631", 500_000, 4_900_020, 10, 300, 200)
WIDE = Grid("EPSG:32631", 500_000, 4_900_020, 10, 1200, 1600)


@pytest.fixture
def products(tmp_path):
    return [theia(tmp_path / "31TCJ", day) for day in (3, 8, 13)]


def one(path, *masks, full=True, grid=BIG, bands=1, threads=1):
    """What a look at a file with a number of bands shows."""
    assets = {f"b{i}": Asset(str(path), i) for i in range(1, bands + 1)}
    (found,) = looks([acquired(3, assets, masks)], grid, full, threads)
    return found


def spoil(path, row, column, plane=1):
    """Overwrite the first bytes of a block of a compressed GeoTIFF."""
    with rasterio.open(path) as image:
        place = image.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=plane)
    content = bytearray(path.read_bytes())
    content[int(place) : int(place) + 20] = b"\xff" * 20
    path.write_bytes(content)


TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
STRIPS = {"tiled": False, "blockysize": 8, "compress": "lzw"}


@pytest.mark.parametrize(
    ("profile", "block", "where"),
    [
        (TILED, (3, 5), "rows 48–63, columns 80–95"),
        (TILED | {"interleave": "pixel"}, (0, 0), "rows 0–15, columns 0–15"),
        (TILED | {"blockxsize": 64, "blockysize": 128}, (2, 3), "rows 256–299, columns 192–199"),
        (STRIPS, (20, 0), "rows 160–167, columns 0–199"),
    ],
)
def test_a_block_that_cannot_be_read_is_named_by_its_rows_and_columns(profile, block, where, tmp_path):
    path = tmp_path / "a.tif"
    save(path, noise(BIG, 2), BIG, **profile)
    assert one(path, bands=2).fault is None
    spoil(path, *block)
    fault = one(path, bands=2).fault
    assert fault.startswith(f"{path} cannot be read in {where} (") and "\n" not in fault
    assert one(path, bands=2, full=False).fault is None, "headers say nothing of it"


@pytest.mark.parametrize("part", [16, 64, 1024])
def test_the_block_that_is_named_does_not_depend_on_what_is_read_at_once(part, tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    save(path, noise(BIG), BIG, **TILED)
    spoil(path, 7, 2)
    spoil(path, 11, 1)
    monkeypatch.setattr(damage, "PART", part)
    assert "rows 112–127, columns 32–47" in one(path).fault


def test_only_bands_in_use_are_read(tmp_path):
    path = tmp_path / "a.tif"
    save(path, noise(BIG, 2), BIG, **TILED, interleave="band")
    spoil(path, 3, 5, plane=2)
    assert one(path).fault is None
    assert "rows 48–63, columns 80–95" in one(path, bands=2).fault


def jp2(path, grid=BIG):
    profile = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    layout = {"QUALITY": 100, "REVERSIBLE": "YES", "tiled": True, "blockxsize": 64, "blockysize": 64}
    with rasterio.open(path, "w", driver="JP2OpenJPEG", dtype="uint16", count=1, **profile, **layout) as image:
        image.write(noise(grid, dtype="uint16"))
    return path


@pytest.mark.parametrize("missing", [1, 2, 500, 30_000])
@pytest.mark.parametrize("full", [False, True])
def test_a_truncated_jpeg_2000_is_named_though_gdal_may_read_it(missing, full, tmp_path):
    path = jp2(tmp_path / "a.jp2")
    assert one(path, full=full).fault is None
    content = path.read_bytes()
    path.write_bytes(content[:-missing])
    size = len(content)
    assert one(path, full=full).fault == (
        f"{path} is truncated: its box 'jp2c' ends at byte {size}, the file at {size - missing}"
    )


@pytest.mark.parametrize("bare", [False, True])
def test_an_image_in_jpeg_2000_without_a_length_must_have_its_end(bare, tmp_path):
    content = jp2(tmp_path / "a.jp2").read_bytes()
    start = content.index(b"jp2c")
    if not bare:  # a length of 0 is the rest of the file
        content = content[: start - 4] + bytes(4) + content[start:]
    for missing in (0, 1):
        path = tmp_path / f"{missing}.{'j2k' if bare else 'jp2'}"
        path.write_bytes(content[(start + 4 if bare else 0) : len(content) - missing])
        if bare:
            assert bool(damage._truncation_of_boxes(str(path))) is bool(missing)
        else:
            fault = one(path).fault
            assert fault is None if not missing else fault.endswith(f"its image has no end at byte {len(content) - 1}")


def test_a_block_of_a_jpeg_2000_that_cannot_be_read_is_named(tmp_path):
    path = jp2(tmp_path / "a.jp2")
    content = bytearray(path.read_bytes())
    # The header of a tile in the middle (marker SOT) is no longer one.
    tiles = [i for i in range(len(content)) if content[i : i + 4] == b"\xff\x90\x00\x0a"]
    content[tiles[9] : tiles[9] + 12] = bytes(12)
    path.write_bytes(content)
    fault = one(path).fault
    assert fault.startswith(f"{path} cannot be read in rows ")
    assert one(path, full=False).fault is None


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("threads", [1, 4])
def test_each_file_is_opened_once(full, threads, tmp_path, products, monkeypatch):
    opened, original = [], opening.image

    def counted(path, *words, **named):
        opened.append(str(path))
        return original(path, *words, **named)

    monkeypatch.setattr(opening, "image", counted)
    settings = {"s2": sensor(str(tmp_path))}
    found = inventory.take(
        settings, "31TCJ", TILE, FIRST, LAST, "fail", {"s2": ["b4", "b11"]}, full=full, threads=threads
    )
    assert len(found.acquisitions) == 3 and len(opened) == 3 * (2 + 3) == len(set(opened))


@pytest.mark.parametrize("threads", [1, 2])
def test_full_gives_the_checksum_of_each_file_that_was_read(threads, tmp_path, products):
    words = ({"s2": sensor(str(tmp_path))}, "31TCJ", TILE, FIRST, LAST, "fail", {"s2": ["b4"]})
    found = inventory.take(*words, full=True, threads=threads)
    inventory.write_sums(found, tmp_path / "SHA256SUMS")
    masks = [folder / "MASKS" / f"{folder.name}_{m}_R1.tif" for folder in products for m in ("CLM", "EDG", "SAT")]
    used = [band(folder, "B4") for folder in products] + masks
    assert checksums.read(tmp_path / "SHA256SUMS") == {str(path): files.checksum(path) for path in sorted(used)}
    headers = inventory.take(*words)
    assert not any(one.checksums for one in headers.acquisitions)
    assert headers.to_dict() == found.to_dict(), "a later check reruns no map"


def test_full_finds_what_headers_do_not(tmp_path, products):
    path = band(products[1], "B4")
    with rasterio.open(path) as image:
        pixels = image.read()
    save(path, pixels + noise(TILE)[0] % 50, **TILED)
    spoil(path, 0, 1)
    settings = {"s2": sensor(str(tmp_path))}
    words = (settings, "31TCJ", TILE, FIRST, LAST)
    assert inventory.take(*words, "fail", {"s2": ["b4"]}).problems == ()
    with pytest.raises(InputError, match=r"_FRE_B4\.tif cannot be read in rows 0–15, columns 16–17 \("):
        inventory.take(*words, "fail", {"s2": ["b4"]}, full=True, threads=2)
    skipped = [inventory.take(*words, "skip", {"s2": ["b4"]}, full=True, threads=t) for t in (1, 2, 5)]
    assert [p.product for p in skipped[0].problems] == [products[1].name] and skipped[0] == skipped[1] == skipped[2]


def mask_of(path, pixels, grid=BIG, **profile):
    return Mask(save(path, pixels.astype("uint8"), grid, **profile), 1, (1,), 0b100)


def test_the_clear_share_is_that_of_the_masks(tmp_path):
    clouds, shadow = noise(BIG, high=4, dtype="uint8")[0], np.zeros((300, 200), "uint8")
    shadow[:100] = 4
    masks = mask_of(tmp_path / "a.tif", clouds), mask_of(tmp_path / "b.tif", shadow)
    asset = save(tmp_path / "band.tif", constant(1, BIG), BIG)
    assert one(asset, masks[0]).clear == pytest.approx((clouds != 1).mean(), abs=5e-5)
    assert one(asset, *masks).clear == pytest.approx(((clouds != 1) & (shadow == 0)).mean(), abs=5e-5)
    assert one(asset).clear is None


def test_a_large_mask_is_looked_at_here_and_there(tmp_path, monkeypatch):
    """Its clear share is right to the part of a pixel in 512, and few pixels of it are asked for."""
    pixels = np.zeros((WIDE.height, WIDE.width), "uint8")
    pixels[:, 500:900] = 1
    mask = mask_of(tmp_path / "a.tif", pixels, WIDE, **(TILED | {"blockxsize": 512, "blockysize": 512}))
    asset = save(tmp_path / "band.tif", constant(1, WIDE), WIDE)
    assert one(asset, mask, grid=WIDE, full=False).clear == pytest.approx(0.75, abs=1 / 512)


def test_a_mask_is_read_from_its_overview(tmp_path):
    """The file says clear and its overview cloud: whoever reads the whole file finds it clear."""
    mask = mask_of(tmp_path / "a.tif", np.ones((WIDE.height, WIDE.width)), WIDE)
    with rasterio.open(mask.path, "r+") as image:
        image.build_overviews([2])
    with rasterio.open(mask.path, "r+") as image:
        image.write(np.zeros((1, WIDE.height, WIDE.width), "uint8"))
    asset = save(tmp_path / "band.tif", constant(1, WIDE), WIDE)
    assert one(asset, mask, grid=WIDE, full=False).clear == 0


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:32632", "EPSG:4326"])
def test_the_clear_share_of_a_mask_on_another_grid_is_over_the_tile(crs, tmp_path):
    """The mask is clear west of a meridian through the tile, and ends before the tile does in the north."""
    west, south, east, north = rasterio.warp.transform_bounds(BIG.crs, crs, *BIG.bounds)
    cut = south + (north - south) * 0.8
    side = (east - west) / 150
    rows, columns = round((cut - south + 40 * side) / side), 300
    grid = Grid(crs, west - 75 * side, cut, side, rows, columns)
    pixels = np.ones((rows, columns), "uint8")
    pixels[:, :150] = 0
    middle = west + 75 * side
    x, y = np.meshgrid(*BIG.centres(BIG.whole))
    x, y = (np.array(v) for v in rasterio.warp.transform(BIG.crs, crs, x.ravel(), y.ravel()))
    expected = ((x < middle) & (y < cut)).mean()
    asset = save(tmp_path / "band.tif", constant(1, BIG), BIG)
    assert one(asset, mask_of(tmp_path / "m.tif", pixels, grid)).clear == pytest.approx(expected, abs=1e-3)
    assert 0.3 < expected < 0.5


def test_a_mask_whose_blocks_cannot_be_read_is_named_without_reading_all_else(tmp_path, products):
    path = products[0] / "MASKS" / f"{products[0].name}_CLM_R1.tif"
    save(path, noise(TILE, dtype="uint8", high=200), **TILED)
    spoil(path, 0, 0)
    assert why(tmp_path).startswith(f"{path} cannot be read in rows 0–15, columns 0–15 (")


def test_clear_shares_stand_in_the_items_and_in_the_table(tmp_path, products):
    half = constant(0, dtype="uint8")
    half[: TILE.height // 3] = 1
    save(products[1] / "MASKS" / f"{products[1].name}_CLM_R1.tif", half)
    band(products[2], "B8").write_bytes(b"")
    found = take(tmp_path, on_bad="skip")
    shares = [1.0, round(1 - (TILE.height // 3) / TILE.height, 4)]
    assert [a.clear for a in found.acquisitions] == shares
    found.write(str(tmp_path / "tile.json"))
    assert acquisitions.read(str(tmp_path / "tile.json")).acquisitions == found.acquisitions
    items = pystac.ItemCollection.from_dict(found.to_dict())
    assert [item.properties["parcelle:clear"] for item in items] == shares
    inventory.write_table(found, tmp_path / "tile.csv")
    with (tmp_path / "tile.csv").open() as stream:
        rows = [*csv.reader(stream)]
    assert rows[0] == ["sensor", "id", "date", "clear", "note"]
    assert [row[:4] for row in rows[1:]] == [
        ["s2", products[0].name, "2018-03-03", "1.0000"],
        ["s2", products[1].name, "2018-03-08", f"{shares[1]:.4f}"],
        ["s2", products[2].name, "2018-03-13", ""],
    ]
    notes = [row[4] for row in rows[1:]]
    assert notes[:2] == ["", ""] and notes[2].startswith(f"left out: {band(products[2], 'B8')} cannot be opened (")


def test_the_table_is_ordered_and_holds_what_has_no_date(tmp_path):
    every = [acquired(9, {}, sensor="s2"), acquired(3, {}, sensor="s1")]
    wrong = (Problem("x", "it has no date", None, "s2"), Problem("y", "cut", datetime.date(2018, 3, 4), "s2"))
    inventory.write_table(Inventory("T1", TILE, tuple(every), wrong), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().splitlines()[1:] == [
        "s1,s1-3-10,2018-03-03,,",
        "s2,x,,,left out: it has no date",
        "s2,y,2018-03-04,,left out: cut",
        "s2,s2-9-10,2018-03-09,,",
    ]


@pytest.mark.parametrize(("said", "bad"), [(None, False), (-10000, False), (0, True), (-9999, True)])
def test_a_file_that_calls_something_else_no_data_is_named(said, bad, tmp_path, products):
    path = save(band(products[0], "B8"), constant(5), nodata=said)
    if not bad:
        assert take(tmp_path).problems == ()
        return
    assert why(tmp_path) == f"{path} says that no data is {said}, where -10000 is what its product says"


def test_nan_contradicts_nothing(tmp_path):
    asset = Asset(save(tmp_path / "a.tif", constant(1, BIG, "float32"), BIG, nodata=float("nan")), 1, nodata=0)
    assert looks([acquired(3, {"vv": asset})], BIG)[0].fault is None


def test_a_file_of_another_type_than_most_is_named(tmp_path, products):
    path = save(band(products[2], "B11"), constant(0.1, coarser(TILE, 2), "float32"), coarser(TILE, 2))
    assert why(tmp_path) == f"{path} is of another type: float32, where 2 of 3 acquisitions have int16"


def test_types_may_differ_where_products_are_of_any_grid(tmp_path):
    s1 = radar(tmp_path, [3, 9, 15])
    save(tmp_path / "3-9.tif", noise(TILE, 2, dtype="float64"))
    assert take(tmp_path, bands=("vv", "vh"), s1=s1).problems == ()


@pytest.mark.parametrize(
    "other",
    [
        Grid("EPSG:32632", TILE.left, TILE.top, 10, TILE.height, TILE.width),
        Grid("EPSG:32631", TILE.left + 60, TILE.top, 10, TILE.height, TILE.width),
    ],
)
def test_of_a_single_product_too_files_must_begin_at_one_corner(other, tmp_path):
    folder = theia(tmp_path / "31TCJ", 3)
    path = save(band(folder, "B8"), constant(1, other), other)
    said = refused(tmp_path, grid=TILE)
    assert f"{folder.name}: {path} " in said
    assert f"{path} is on another grid: {other}, where {band(folder, 'B11').name} has" in said or "not touch" in said


def test_a_date_in_the_future_is_a_fault_whatever_the_period(tmp_path, products):
    later = products[0].with_name(products[0].name.replace("20180303", "29180303"))
    for path in [*products[0].rglob("*"), products[0]]:
        path.rename(path.with_name(path.name.replace("20180303", "29180303")))
    assert later.is_dir()
    said = f"{later.name}: its date, 2918-03-03, lies in the future: correct it"
    assert f"\n  {said}\n" in refused(tmp_path)
    found = take(tmp_path, on_bad="skip")
    assert [str(p) for p in found.problems] == [said] and len(found.acquisitions) == 2


def test_dates_out_of_the_period_are_counted_in_the_log(tmp_path, products, caplog):
    theia(tmp_path / "31TCJ", 28, month=2)
    with caplog.at_level("INFO", "parcelle.inventory"):
        take(tmp_path)
    assert "s2: 4 products, 3 from 2018-03-01 to 2018-03-31" in caplog.messages


def again(folder, version):
    """The same product once more, of another version of the processing."""
    target = folder.with_name(folder.name.replace("_V1-0", f"_{version}"))
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            place = target / str(path.relative_to(folder)).replace("_V1-0", f"_{version}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return target


def test_of_two_versions_of_a_product_the_last_is_kept(tmp_path, products):
    newer = again(products[1], "V2-2")
    said = f"{products[1].name}: the same acquisition as {newer.name}: keep one of them"
    assert f"\n  {said}\n" in refused(tmp_path)
    found = take(tmp_path, on_bad="skip")
    assert [a.id for a in found.acquisitions] == [products[0].name, newer.name, products[2].name]
    assert [str(p) for p in found.problems] == [said]
