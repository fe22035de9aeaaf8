"""Product folders that somebody prepared, or that are nearly right: pipes, near names, damage, absurd numbers."""

import lzma
import os
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
from unit import products
from unit.landsat_products import problem, scene_name, tarred, usgs
from unit.products import TILE, metadata, only_fault, safe, theia_l2a, zipped
from unit.test_s1tiling import found as radar
from unit.test_s1tiling import pair, touch
from unit.test_theia import found as theia
from unit.test_theia import product

from parcelle.sensors import archives
from parcelle.sensors.landsat import LandsatC2L2
from parcelle.sensors.theia_landsat import _quantification

SEN2COR = "sentinel2-sen2cor-l2a"


def piped(path):
    """Put a pipe in a file's place."""
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def test_an_archive_that_is_a_pipe_is_not_waited_for(tmp_path):
    (tmp_path / TILE).mkdir()
    pipe = piped(tmp_path / TILE / "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0.zip")
    found, (fault,) = theia(tmp_path)
    assert (found, fault.why) == ([], f"{pipe} is no file")


def test_an_image_or_a_mask_that_is_a_pipe_is_named(tmp_path):
    folder = product(tmp_path / TILE)
    for name in (f"{folder.name}_FRE_B2.tif", f"MASKS/{folder.name}_CLM_R1.tif"):
        pipe = piped(folder / name)
        found, (fault,) = theia(tmp_path)
        assert (found, fault.why) == ([], f"{pipe} is no file")
        pipe.unlink()
        pipe.touch()


@pytest.mark.parametrize("beside", [False, True])
def test_landsat_waits_for_no_pipe(tmp_path, beside):
    place = usgs(tmp_path, scene_name(), beside=beside)
    pipe = piped((tmp_path if beside else place) / f"{scene_name()}_SR_B4.TIF")
    assert problem(LandsatC2L2(), tmp_path).why == f"{pipe} is no file"


@pytest.mark.parametrize("end", ["", ".tar"])
def test_a_scene_that_is_a_pipe_is_named(tmp_path, end):
    pipe = piped(tmp_path / f"{scene_name()}{end}")
    assert problem(LandsatC2L2(), tmp_path).why == f"{pipe} is no file"


@pytest.mark.parametrize("end", [".tif", "_BorderMask.tif"])
def test_a_radar_image_that_is_a_pipe_is_named(tmp_path, end):
    names = pair("20200108txxxxxx")
    touch(tmp_path / TILE, *names)
    pipe = piped(tmp_path / TILE / names[1].replace(".tif", end))
    found, (fault,) = radar(tmp_path)
    assert (found, fault.why) == ([], f"{pipe} is no file")


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (".ZIP", "its name ends in .ZIP: rename it to .zip"),
        (".7z", "it is no folder: unpack it"),
        (".TAR.GZ", "it is no folder: unpack it"),
        (".tar.zst", "it is no folder: unpack it"),
        (".rar", "it is no folder: unpack it"),
        ("", "it is no folder: unpack it"),
    ],
)
def test_products_under_nearly_their_name_are_named(tmp_path, ending, why):
    name = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0"
    touch(tmp_path / TILE, f"{name}{ending}")
    found, (fault,) = theia(tmp_path)
    assert (found, fault.why, fault.date.day) == ([], why, 5)
    (tmp_path / TILE / f"{name}{ending}").unlink()
    product(tmp_path / TILE, "20180105-105435-457")
    if ending:  # of a product that is there as a folder, it is the folder
        touch(tmp_path / TILE, f"{name}{ending}")
    assert [len(one) for one in theia(tmp_path)] == [1, 0]


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (".TAR", "its name ends in .TAR: rename it to .tar"),
        (".tar.bz2", "it is a compressed archive, which cannot be read in parts: unpack it, or make it a .tar"),
        (".tar.xz", "it is a compressed archive, which cannot be read in parts: unpack it, or make it a .tar"),
        (".7z", "it is a compressed archive, which cannot be read in parts: unpack it, or make it a .tar"),
        ("", "it is neither a folder nor an archive: fetch it again"),
        ("_SR_B4.tif", f"it has no band: no file {scene_name()}_SR_B?.TIF or _ST_B?.TIF is there"),
        ("_QA_PIXEL.tiff", f"it has no band: no file {scene_name()}_SR_B?.TIF or _ST_B?.TIF is there"),
    ],
)
def test_scenes_under_nearly_their_name_are_named(tmp_path, ending, why):
    (tmp_path / f"{scene_name()}{ending}").touch()
    fault = problem(LandsatC2L2(), tmp_path)
    assert (fault.why, fault.date.day) == (why, 3)
    if ending:  # where the scene is there too, it is taken
        usgs(tmp_path, scene_name())
        assert [len(one) for one in LandsatC2L2().find(str(tmp_path), TILE, "l")] == [1, 0]


@pytest.mark.parametrize("end", [".TIF", ".tiff"])
def test_radar_images_under_nearly_their_name_are_named(tmp_path, end):
    first, second = (name.replace(".tif", end) for name in pair("20200108txxxxxx"))
    touch(tmp_path / TILE, first, second.replace("s1a_", "S1A_"))
    found, faults = radar(tmp_path)
    assert found == [] and len(faults) == 2
    assert {f.why for f in faults} == {"its name is not s1x_TTTTT_pp_ASC|DES_ooo_YYYYMMDDtHHMMSS.tif"}


def test_a_border_mask_without_any_image_is_named(tmp_path):
    gone, there = pair("20200108txxxxxx"), pair("20200120txxxxxx")
    masks = [name.replace(".tif", "_BorderMask.tif") for name in (*gone, *there)]
    touch(tmp_path / TILE, there[0], *masks)
    (one,), faults = radar(tmp_path)
    assert one.date.day == 20
    assert [Path(f.product).name for f in faults] == sorted(masks[:2])
    assert {(f.why, f.date.day) for f in faults} == {("the images that it is a mask of are missing", 8)}


def test_a_member_of_a_tar_that_stands_twice_is_named(tmp_path):
    archive = tarred(usgs(tmp_path, scene_name()))
    name = f"{scene_name()}_SR_B4.TIF"
    with tarfile.open(archive, "a") as content:
        content.addfile(tarfile.TarInfo(name))
    why = problem(LandsatC2L2(), tmp_path).why
    assert why == f"its member {name!r} stands twice in it: fetch it again"


def test_a_tar_with_a_member_that_no_disk_holds_is_named(tmp_path):
    member = tarfile.TarInfo(f"{scene_name()}_SR_B4.TIF").tobuf(tarfile.GNU_FORMAT)
    size = b"\x80" + (2**87).to_bytes(11, "big")
    header = bytearray(member[:124] + size + member[136:])
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / f"{scene_name()}.tar").write_bytes(bytes(header) + bytes(10_240))
    assert problem(LandsatC2L2(), tmp_path).why.startswith("it is no tar archive, or a truncated one (")


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_metadata_are_named_however_they_are_compressed(tmp_path, compression):
    place = tmp_path / "S2A_X.zip"
    with zipfile.ZipFile(place, "w", compression) as content:
        content.writestr("S2A_X.SAFE/a.xml", os.urandom(3000))
    damaged = bytearray(place.read_bytes())
    for i in range(60, 2000):
        damaged[i] ^= 0xFF
    place.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"its a\.xml is damaged \(.*\): fetch the archive again") as error:
        archives.opened(place).read("a.xml")
    assert not isinstance(error.value, lzma.LZMAError)


@pytest.fixture
def two(tmp_path):
    """Two products of Sen2Cor; the metadata of the first are to be changed."""
    first, _ = safe(tmp_path / TILE, products.scene(products.FIRST))
    safe(tmp_path / TILE, products.scene(products.LAST), "0509", -1000)
    return tmp_path, first / "MTD_MSIL2A.xml"


def test_metadata_with_millions_of_lines_are_read_in_a_moment(two):
    path, file = two
    file.write_text(metadata().replace("10000", "\n" * 2_000_000 + "10000" + "\n" * 2_000_000))
    began = time.monotonic()
    assert len(products.take(SEN2COR, path).acquisitions) == 2
    assert time.monotonic() - began < 10


OFFSETS = metadata(offset=-1000)
AGAIN = '<BOA_ADD_OFFSET band_id="3">-500</BOA_ADD_OFFSET>'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (metadata().replace("10000", "1"), "no single BOA_QUANTIFICATION_VALUE of 100 or more (ESA's: 10000)"),
        (metadata().replace("10000", "5e-324"), "no single BOA_QUANTIFICATION_VALUE of 100 or more (ESA's: 10000)"),
        (
            metadata().replace("10000", "9" * 999),
            f"a BOA_QUANTIFICATION_VALUE of '{'9' * 40}', which is no such number",
        ),
        (
            OFFSETS.replace("</BOA_ADD_OFFSET_V", f"{AGAIN}</BOA_ADD_OFFSET_V"),
            "two BOA_ADD_OFFSET of B04, -1000 and -500",
        ),
    ],
    ids=range(4),
)
def test_numbers_that_no_product_has_are_named(two, text, why):
    path, file = two
    file.write_text(text)
    assert only_fault(SEN2COR, path).why == f"its MTD_MSIL2A.xml has {why}"


@pytest.mark.parametrize("encoding", ["xyz", "hex", "big5"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_encoding_that_there_is_not_is_named(two, encoding, packed):
    path, file = two
    file.write_text(metadata().replace("UTF-8", encoding))
    if packed:
        zipped(file.parent)
    assert only_fault(SEN2COR, path).why


def test_a_number_in_a_comment_is_none(tmp_path):
    value = "<QUANTIFICATION><THERM_BAND>False</THERM_BAND><VALUE>{}</VALUE></QUANTIFICATION>"
    file = tmp_path / "a.xml"
    file.write_text(f"<a><!-- {value.format(1000)} -->{value.format(10000)}</a>")
    assert _quantification(archives.Folder(tmp_path), "a.xml") == 10_000
    for text in (f"<!-- {value.format(1000)} -->", f"<!--{value.format(1000)}", *map(value.format, (0, 1, 10**7))):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"a\.xml does not say what reflectances are multiplied by"):
            _quantification(archives.Folder(tmp_path), "a.xml")


def test_a_sound_product_beside_a_pipe_is_read(tmp_path):
    good, _ = theia_l2a(tmp_path / TILE, products.scene(products.FIRST))
    piped(tmp_path / TILE / "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-0.zip")
    taken = products.take("sentinel2-theia-l2a", tmp_path, "skip")
    assert [a.id for a in taken.acquisitions] == [good.name]
