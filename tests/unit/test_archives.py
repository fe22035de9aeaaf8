"""Folders and zip archives of products: what is listed, what is refused, and that nothing is unpacked."""

import datetime
import operator
import os
import stat
import zipfile
from pathlib import Path

import pytest

from parcelle import files, inventory, listing
from parcelle.errors import InputError
from parcelle.sensors import archives
from parcelle.settings import Sensor

NAME = "SENTINEL2A_20180105-105435-457_L2A_T31TCJ_C_V1-4"


@pytest.fixture
def tile(tmp_path):
    """Folder of a tile."""
    (tmp_path / "31TCJ").mkdir()
    return tmp_path / "31TCJ"


def listed(tile, begins="SENTINEL2"):
    return [place.name for place in archives.listed(str(tile.parent), tile.name, begins)]


def packed(tile, members, name=f"{NAME}.zip", compression=zipfile.ZIP_DEFLATED):
    """An archive of some members and their content; a member may be a `ZipInfo`."""
    with zipfile.ZipFile(tile / name, "w", compression) as content:
        for member, text in members.items():
            content.writestr(member, text)
    return tile / name


def product(**more):
    return {f"{NAME}/a.tif": "image", f"{NAME}/MASKS/b.tif": "mask"} | more


def refused(place):
    """Why something is refused, in one line."""
    with pytest.raises(ValueError) as error:
        archives.opened(place)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_products_are_listed_by_name_and_others_are_not(tile):
    for name in ("SENTINEL2B_2", "SENTINEL2A_1", "LANDSAT8_1", ".SENTINEL2A_1"):
        (tile / name).mkdir()
    for name in ("SENTINEL2A_3.zip", "SENTINEL2A_4.txt", "readme.zip"):
        (tile / name).touch()
    assert listed(tile) == ["SENTINEL2A_1", "SENTINEL2A_3.zip", "SENTINEL2B_2"]
    assert listed(tile, "LANDSAT") == ["LANDSAT8_1"]
    assert archives.listed(str(tile.parent), "31TDJ", "S") == []
    assert archives.listed(f"{tile.parent}/{{tile}}", "31TCJ", "LANDSAT") == [tile / "LANDSAT8_1"]


@pytest.mark.parametrize(
    ("folder", "archive"),
    [
        (NAME, f"{NAME}.zip"),
        (NAME, f"{NAME}.tar.gz"),
        (NAME, f"{NAME.removesuffix('_V1-4')}.zip"),
        ("S2A_X.SAFE", "S2A_X.zip"),
        ("S2A_X.SAFE", "S2A_X.SAFE.zip"),
        ("S2A_X.SAFE", "S2A_X.tar"),
    ],
)
def test_of_a_folder_and_its_archive_it_is_the_folder(tile, folder, archive):
    (tile / archive).touch()
    assert listed(tile, "S") == [archive]
    (tile / folder).mkdir()
    assert listed(tile, "S") == [folder]


@pytest.mark.parametrize("archive", ["SENTINEL2A_2.zip", "SENTINEL2A_11.zip", f"{NAME[:-1]}.zip"])
def test_the_archive_of_another_product_is_listed(tile, archive):
    for name in ("SENTINEL2A_1", NAME):
        (tile / name).mkdir()
    (tile / archive).touch()
    assert listed(tile) == sorted([NAME, "SENTINEL2A_1", archive])


def test_farms_of_links_are_archives_too(tile, tmp_path):
    (tmp_path / "store" / NAME).mkdir(parents=True)
    (tile / NAME).symlink_to(tmp_path / "store" / NAME)
    content = packed(tmp_path / "store", {"SENTINEL2B_2/a.tif": "image"}, "SENTINEL2B_2.zip")
    (tile / content.name).symlink_to(content)
    assert listed(tile) == [NAME, "SENTINEL2B_2.zip"]
    assert [archives.opened(tile / name).name for name in listed(tile)] == [NAME, "SENTINEL2B_2"]


def test_links_to_nothing_or_in_a_circle_are_listed_and_named(tile, tmp_path):
    (tile / f"{NAME}_1").symlink_to(tmp_path / "unmounted")
    (tile / f"{NAME}_2").symlink_to(tile / f"{NAME}_2")
    (tile / f"{NAME}_3").symlink_to(tile / f"{NAME}_4")
    (tile / f"{NAME}_4").symlink_to(tile / f"{NAME}_3")
    (tile / f"{NAME}_5").symlink_to(tile)
    (tile / f"{NAME}_6").symlink_to(tmp_path)
    (tile / f"{NAME}_7.zip").symlink_to(tile / f"{NAME}_7.zip")
    circle = "it is a link that leads back to itself"
    assert [refused(place) for place in archives.listed(str(tmp_path), "31TCJ", "S")] == [
        "it is a link to nothing",
        circle,
        circle,
        circle,
        f"it is a link that leads back to {tile}, which holds it",
        f"it is a link that leads back to {tmp_path}, which holds it",
        circle,
    ]


def test_no_link_inside_of_a_product_is_followed(tile, tmp_path):
    folder = tile / NAME
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "deep" / "back").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    (folder / "round").symlink_to(folder / "round")
    found = archives.opened(folder)
    assert found.names("deep") == ["back", "deeper"] and found.names("deep/deeper") == [] == found.names("none")
    for name in ("out", "out/31TCJ", "deep/back", "deep/back/deep", "round"):
        with pytest.raises(ValueError, match=f"its folder {name} is a link: put the folder itself there"):
            found.names(name)


def test_folders_and_archives_look_the_same(tile):
    (tile / NAME / "MASKS").mkdir(parents=True)
    (tile / NAME / "a.tif").write_text("image")
    (tile / NAME / "MASKS" / "b.tif").write_text("mask")
    folder, archive = archives.opened(tile / NAME), archives.opened(packed(tile, product()))
    for found in (folder, archive):
        assert found.name == NAME
        assert found.names() == ["MASKS", "a.tif"]
        assert found.names("MASKS") == ["b.tif"] and found.names("other") == [] == found.names("MASK")
        assert found.read("MASKS/b.tif") == b"mask"
        with pytest.raises(ValueError, match=r"it has no c\.xml"):
            found.read("c.xml")
    assert folder.file("MASKS/b.tif") == f"{tile}/{NAME}/MASKS/b.tif"
    assert archive.file("MASKS/b.tif") == f"/vsizip/{tile}/{NAME}.zip/{NAME}/MASKS/b.tif"


def link(name):
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ("../x", "'../x' leads out of it"),
        (f"{NAME}/../../etc/passwd", f"'{NAME}/../../etc/passwd' leads out of it"),
        (f"{NAME}\\..\\x", f"'{NAME}\\\\..\\\\x' leads out of it"),
        ("/etc/passwd", "'/etc/passwd' has an absolute name"),
        ("\\\\host\\x", "'\\\\\\\\host\\\\x' has an absolute name"),
        ("C:\\x", "'C:\\\\x' has an absolute name"),
        (f"{NAME}/more.zip", f"'{NAME}/more.zip' is an archive in the archive: unpack the outer one"),
        (f"{NAME}/more.TAR.GZ", f"'{NAME}/more.TAR.GZ' is an archive in the archive: unpack the outer one"),
        (link(f"{NAME}/c.tif"), f"'{NAME}/c.tif' is a link"),
        (link(f"{NAME}/folder"), f"'{NAME}/folder' is a link"),
    ],
)
def test_members_that_lead_elsewhere_are_refused(tile, tmp_path, member, why):
    before = sorted(tmp_path.rglob("*"))
    place = packed(tile, product() | {member: "x"})
    assert refused(place) == f"its member {why}"
    assert sorted(tmp_path.rglob("*")) == sorted([*before, place])


def test_a_member_that_stands_twice_is_refused(tile):
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tile / f"{NAME}.zip", "w") as content:
        for text in ("first", "second"):
            content.writestr(f"{NAME}/a.tif", text)
    assert refused(tile / f"{NAME}.zip") == f"its member '{NAME}/a.tif' stands twice in it"


def test_an_encrypted_member_is_refused(tile):
    place = packed(tile, {f"{NAME}/a.tif": "image"})
    content = bytearray(place.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    place.write_bytes(content)
    assert refused(place) == f"its member '{NAME}/a.tif' is encrypted"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_truncated_archive_is_refused_wherever_it_ends(tile, compression):
    whole = packed(tile, product() | {f"{NAME}/c.tif": os.urandom(500)}, compression=compression).read_bytes()
    for size in range(len(whole)):
        (tile / f"{NAME}.zip").write_bytes(whole[:size])
        assert refused(tile / f"{NAME}.zip") == "it is no zip archive, or a truncated one: fetch it again"


def test_an_archive_that_lost_a_part_in_its_middle_is_refused(tile):
    place = packed(tile, {f"{NAME}/a.tif": os.urandom(3000)})
    whole = place.read_bytes()
    place.write_bytes(whole[:100] + whole[2500:])
    said = "does not lie within the archive, which lacks a part: fetch it again"
    assert refused(place) == f"its member '{NAME}/a.tif' {said}"


def test_damaged_metadata_are_named(tile):
    place = packed(tile, {f"{NAME}/a.xml": "<a/>" * 1000}, compression=zipfile.ZIP_STORED)
    content = bytearray(place.read_bytes())
    content[500] ^= 0xFF
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"its a\.xml is damaged .*: fetch the archive again"):
        archives.opened(place).read("a.xml")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "it does not hold the product's folder and nothing beside it"),
        ({"a.tif": ""}, "it does not hold the product's folder and nothing beside it"),
        ({f"{NAME}/a.tif": "", "x/b.tif": ""}, "it does not hold the product's folder and nothing beside it"),
        ({f"{NAME}/a.tif": "", "b.tif": ""}, "it does not hold the product's folder and nothing beside it"),
        ({"SENTINEL2B_1/a.tif": ""}, "it holds SENTINEL2B_1, which is not what its name says"),
    ],
)
def test_an_archive_holds_the_folder_that_its_name_says(tile, members, why):
    assert refused(packed(tile, members)) == why


@pytest.mark.parametrize("name", ["x.tar", "x.tgz", "x.tar.gz", "x.txt"])
def test_what_cannot_be_read_in_place_is_to_be_unpacked(tile, name):
    (tile / name).touch()
    assert refused(tile / name) == "it is no folder: unpack it"


def forbidden(path, *args, **options):
    raise PermissionError(13, "Permission denied", str(path))


def test_what_must_not_be_read_is_named(tile, monkeypatch):
    (tile / NAME).mkdir()
    day = datetime.date(2018, 1, 5)
    (tile / NAME / "MASKS").mkdir()
    monkeypatch.setattr(os, "listdir", forbidden)
    for folder, what in (("", "it"), ("MASKS", f"{tile / NAME}/MASKS")):
        read = operator.methodcaller("names", folder)
        found, (problem,) = archives.acquired([tile / NAME], read, lambda _: day)
        assert found == [] and problem.date == day
        assert str(problem) == f"{tile / NAME}: {what} cannot be read (Permission denied): make it readable"
    monkeypatch.setattr(os, "scandir", forbidden)
    with pytest.raises(InputError) as error:
        listed(tile)
    assert str(error.value) == f"{tile} cannot be listed (Permission denied): make it readable."


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_folder_without_permission_is_a_problem_and_no_crash(tile):
    (tile / NAME).mkdir(mode=0)
    settings = {"s2": Sensor(format="sentinel2-theia-l2a", path=str(tile.parent))}
    assert listing.products(settings, "31TCJ") == [str(tile / NAME)]
    assert listing.watched(settings, "31TCJ") == [str(tile / NAME)]
    with pytest.raises(InputError, match=r"it cannot be read \(Permission denied\)"):
        inventory.take(settings, "31TCJ", None, datetime.date.min, datetime.date.max, "fail", {"s2": ["b2"]})


def test_an_archive_is_watched_and_not_what_lies_beside(tile):
    place = packed(tile, product())
    (tile / "SENTINEL2A_20180106-105435-457_L2A_T31TCJ_C_V1-4").mkdir()
    (tile / "SENTINEL2A_20180106-105435-457_L2A_T31TCJ_C_V1-4" / "a.tif").touch()
    (tile / "notes.txt").touch()
    settings = {"s2": Sensor(format="sentinel2-theia-l2a", path=str(tile.parent))}
    days = datetime.date(2018, 1, 5), datetime.date(2018, 1, 5)
    assert listing.watched(settings, "31TCJ", days) == [str(place)]
    image = archives.opened(place).file("a.tif")
    before = files.state([image])
    os.utime(place, ns=(1, 1))
    assert files.state([image]) != before


def test_one_file_ends_so():
    names = ["x_B2.tif", "x_B12.tif"]
    assert archives.only(names, "_B2.tif") == "x_B2.tif"
    for ending, number in ((".tif", 2), ("_B3.tif", 0)):
        with pytest.raises(ValueError, match=f"{number} files end in {ending}, where there must be one"):
            archives.only(names, ending)


def test_days_times_and_tiles_in_names():
    assert archives.day_in(NAME) == archives.day_in("S2A_MSIL2A_20180105T105431_N0206") == datetime.date(2018, 1, 5)
    assert archives.day_in("SENTINEL2A_20180231-1") is None is archives.day_in(Path("x").name)
    moment = datetime.datetime(2018, 1, 5, 10, 54, 31, tzinfo=datetime.UTC)
    assert archives.moment("20180105T105431") == archives.moment("20180105-105431") == moment
    with pytest.raises(ValueError, match="its name says 20180105-246000, which is no time of any day"):
        archives.moment("20180105-246000")
    archives.same_tile("31TCJ", "T31TCJ")
    with pytest.raises(ValueError, match="its name says tile 31TCJ, but it lies in the folder of tile 31TDJ"):
        archives.same_tile("31TCJ", "31TDJ")
