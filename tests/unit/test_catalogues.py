"""STAC documents on this machine and behind http, catalogues of several documents, and what is wrong with some."""

import contextlib
import datetime
import http.server
import json
import os
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio
from unit.rasters_for_tests import TILE, acquired, read_series
from unit.stac_items import images, planetary_computer, truth, written
from unit.web import served

from parcelle import inventory
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError
from parcelle.images import GDAL
from parcelle.sensors import Asset, catalogues
from parcelle.sensors.stac import Stac
from parcelle.settings import Sensor

DAYS = datetime.date(2023, 1, 1), datetime.date(2023, 12, 31)
NOT_REMOTE = "which is not: allowed are http, https, s3, gs"
CLEAR = np.full((11, 9), 4, np.uint8)


def stac(path):
    return Stac("sentinel-2-l2a").find(str(path), "31TCJ", "s2")


def catalogue(folder, count=2, relative=True):
    """A static catalogue, as pystac writes it: catalog.json, a collection, an item a folder, images beside the items.

    Returns:
        What the red band is on each date.

    """
    extent = pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]]))
    root, inside = pystac.Catalog("root", "all"), pystac.Collection("sentinel-2-l2a", "one of them", extent)
    root.add_child(inside)
    red = []
    for i in range(count):
        values, _ = truth(seed=i * 1000)
        place = folder / "sentinel-2-l2a" / f"i{i}"
        files = images(place, values, CLEAR, 1000)
        names = {band: os.path.relpath(path, place) if relative else path for band, path in files.items()}
        when = f"2023-03-{i + 1:02}T10:00:00Z"
        inside.add_item(pystac.Item.from_dict(planetary_computer(names, f"i{i}", datetime=when)))
        red.append(values["b4"])
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return red


def read_red(path):
    """Red on all dates, after the inventory: ``(date, row, column)``."""
    sensor = Sensor(format="stac", collection="sentinel-2-l2a", path=str(path))
    assert inventory.tile_grid({"s2": sensor}, "31TCJ", "header", DAYS) == TILE
    found = inventory.take({"s2": sensor}, "31TCJ", TILE, *DAYS, "fail", {"s2": ["b4"]})
    with rasterio.Env(**GDAL):
        return read_series(found.acquisitions, ("b4",)).values[:, 0]


def test_a_static_catalogue_is_walked(tmp_path):
    red = catalogue(tmp_path)
    for start in ("catalog.json", "sentinel-2-l2a/collection.json"):
        np.testing.assert_array_equal(read_red(tmp_path / start), red)
    np.testing.assert_array_equal(read_red(tmp_path / "sentinel-2-l2a/i1/i1.json"), red[1:])


def test_a_remote_catalogue_is_read_through_http(tmp_path, monkeypatch):
    red = catalogue(tmp_path)
    with served(tmp_path, monkeypatch) as (address, asked):
        np.testing.assert_array_equal(read_red(f"{address}/catalog.json"), red)
    documents = {"/catalog.json", "/sentinel-2-l2a/collection.json"}
    documents |= {f"/sentinel-2-l2a/i{i}/i{i}.json" for i in range(2)}
    # Nothing beyond what the documents name: of the bands those in use, and the finest one for the tile's grid.
    files = {f"/sentinel-2-l2a/i{i}/{name}.tif" for i in range(2) for name in ("b2", "b4", "scl")}
    assert set(asked) == documents | files


def test_a_remote_item_collection_is_read(tmp_path, monkeypatch):
    values, _ = truth()
    images(tmp_path / "images", values, CLEAR, 1000)
    names = {band: f"images/{band}.tif" for band in (*values, "scl")}
    written(tmp_path / "31TCJ.json", planetary_computer(names))
    with served(tmp_path, monkeypatch) as (address, _):
        np.testing.assert_array_equal(read_red(f"{address}/{{tile}}.json")[0], values["b4"])
        (found,), problems = stac(f"{address}/31TCJ.json")
        assert problems == []
        assert found.assets["b4"].path == f"/vsicurl/{address}/images/b4.tif"


def test_a_relative_name_starts_at_the_item_s_own_address_where_there_is_no_file(tmp_path):
    values, classes = truth()
    images(tmp_path / "here", values, classes)
    names = {band: f"here/{band}.tif" for band in (*values, "scl")}
    one = planetary_computer(names | {"b2": "../far/b2.tif"})
    one["links"] = [{"rel": "self", "href": "https://example.com/items/x.json"}]
    (found,), _ = stac(written(tmp_path / "items.json", one))
    assert found.assets["b3"].path == str(tmp_path / "here/b3.tif")
    assert found.assets["b2"].path == "/vsicurl/https://example.com/far/b2.tif"


def test_what_is_listed_at_every_start_is_on_this_machine_and_nothing_is_fetched(tmp_path, monkeypatch):
    catalogue(tmp_path)
    root = json.loads((tmp_path / "catalog.json").read_text())
    root["links"] += [{"rel": "item", "href": "https://example.com/item.json"}]
    (tmp_path / "catalog.json").write_text(json.dumps(root))

    def offline(*words, **more):
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    format = Stac("sentinel-2-l2a")
    first = tmp_path / "catalog.json"
    assert format.products(str(first), "31TCJ") == [first]
    watched = {os.path.relpath(path, tmp_path) for path in format.watched(str(first), "31TCJ")}
    assert {"catalog.json", "sentinel-2-l2a/collection.json", "sentinel-2-l2a/i0/i0.json"} <= watched
    assert {f"sentinel-2-l2a/i{i}/{name}.tif" for i in range(2) for name in ("b2", "b12", "scl")} <= watched
    assert not any("example" in path for path in watched)
    for method in (format.products, format.watched):
        assert method("https://example.com/{tile}.json", "31TCJ") == []
        assert method(str(tmp_path / "none.json"), "31TCJ") == []


def test_a_catalogue_that_links_back_is_walked_once(tmp_path):
    catalogue(tmp_path, count=1)
    path = tmp_path / "sentinel-2-l2a/collection.json"
    content = json.loads(path.read_text())
    content["links"] += [{"rel": "child", "href": "../catalog.json"}, {"rel": "child", "href": "./collection.json"}]
    path.write_text(json.dumps(content))
    found, problems = stac(tmp_path / "catalog.json")
    assert [a.id for a in found] == ["i0"]
    assert problems == []


def test_a_catalogue_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "MOST", 3)
    catalogue(tmp_path, count=3)
    with pytest.raises(InputError, match=r"catalog\.json links to more than 3 documents: name a smaller catalogue\.$"):
        stac(tmp_path / "catalog.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "is missing: it should list the images"),
        ("{", "is not a STAC ItemCollection"),
        ('{"type": "Topology"}', "is not a STAC ItemCollection"),
    ],
)
def test_an_item_of_a_catalogue_that_cannot_be_read_is_a_problem(tmp_path, text, why):
    catalogue(tmp_path)
    path = tmp_path / "sentinel-2-l2a/i0/i0.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    (found,), (problem,) = stac(tmp_path / "catalog.json")
    assert found.id == "i1"
    assert problem.product == str(path)
    assert why in problem.why


def test_a_page_of_several_is_refused(tmp_path):
    values, classes = truth()
    one = planetary_computer(images(tmp_path, values, classes))
    path = written(tmp_path / "items.json", one, links=[{"rel": "next", "href": "https://example.com/page/2"}])
    with pytest.raises(
        InputError, match=r"is one page of several \(it has a link `next`\): save all items in one file"
    ):
        stac(path)


def test_a_server_that_says_no_is_named(tmp_path, monkeypatch):
    with served(tmp_path, monkeypatch) as (address, _):
        with pytest.raises(InputError) as error:
            stac(f"{address}/none.json")
        assert str(error.value) == f"{address}/none.json cannot be read: the server says 404 Not Found."
    with pytest.raises(InputError, match=r"none\.json cannot be read \(.*refused.*\): check the address\."):
        stac(f"{address}/none.json")


def test_a_server_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(catalogues, "PATIENCE", 0.2)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/items.json"
        with pytest.raises(InputError, match=r"items\.json cannot be read \(timed out\): check the address\."):
            stac(address)


def test_a_document_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogues, "LARGEST", 1 << 20)
    (tmp_path / "items.json").write_text(" " * (1 << 20) + "{}")
    sentence = r"items\.json has more than 1 MiB: name a smaller ItemCollection\."
    with served(tmp_path, monkeypatch) as (address, _), pytest.raises(InputError, match=sentence):
        stac(f"{address}/items.json")


@pytest.mark.parametrize(
    "href",
    [
        *("file:///etc/passwd", "file:/etc/passwd", "File:///etc/passwd", " FILE:/etc/passwd", "fi\tle:///etc/passwd"),
        *("C:/passwd", "NETCDF:/etc/passwd", 'HDF5:"/etc/passwd"://a', "ZARR:/etc", "STACIT:/etc/x.json"),
        *("ftp://example.com/b.tif", "data:image/tiff,x"),
    ],
)
def test_a_remote_item_does_not_name_files_of_this_machine(tmp_path, monkeypatch, href):
    values, classes = truth()
    files = images(tmp_path, values, classes) | {"b2": href}
    written(tmp_path / "items.json", planetary_computer(files))
    with served(tmp_path, monkeypatch) as (address, _):
        found, (problem,) = stac(f"{address}/items.json")
    assert found == []
    assert problem.why == f"it is remote, and names {' '.join(href.split())}, {NOT_REMOTE}"


@pytest.mark.parametrize("href", ["/etc/passwd", "/vsizip//data/a.zip/b.tif", "../../../../etc/passwd"])
def test_what_a_remote_item_names_is_on_its_server(tmp_path, monkeypatch, href):
    values, classes = truth()
    files = images(tmp_path, values, classes) | {"b2": href}
    one = planetary_computer(files)
    one["links"] = [{"rel": "self", "href": "/srv/items/x.json"}]
    written(tmp_path / "items.json", one)
    with served(tmp_path, monkeypatch) as (address, _):
        (found,), _ = stac(f"{address}/items.json")
    assert found.assets["b2"].path.startswith(f"/vsicurl/{address}/")


@pytest.mark.parametrize("scheme", ["file://", "FILE://", "File:", "C:"])
def test_a_remote_catalogue_does_not_lead_to_this_machine(tmp_path, monkeypatch, scheme):
    secret = written(tmp_path / "secret/items.json", planetary_computer(images(tmp_path, *truth())))
    links = [{"rel": "item", "href": f"{scheme}{secret}"}]
    (tmp_path / "web").mkdir()
    (tmp_path / "web/catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", "links": links}))
    with served(tmp_path / "web", monkeypatch) as (address, _):
        found, (problem,) = stac(f"{address}/catalog.json")
    assert found == []
    assert problem.why == f"it is remote, and names {scheme}{secret}, {NOT_REMOTE}"


def test_a_remote_inventory_is_not_read(tmp_path, monkeypatch):
    """It names files of the machine that wrote it."""
    one = acquired(10, {"b4": Asset("/etc/passwd")})
    Inventory("31TCJ", TILE, (one,), formats={"s2": "sentinel-2-l2a"}).write(str(tmp_path / "31TCJ.json"))
    with served(tmp_path, monkeypatch) as (address, _):
        found, (problem,) = stac(f"{address}/31TCJ.json")
    assert found == []
    assert problem.why == "it is of an inventory, and remote: copy that to this machine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path):
    path = tmp_path / "items.json"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(InputError, match=r"items\.json cannot be read \(Permission denied\)\."):
        stac(path)


def test_a_folder_is_no_catalogue(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)\."):
        stac(tmp_path)


@pytest.mark.parametrize("scheme", ["HTTP", "Http"])
def test_the_scheme_of_an_address_may_be_in_capitals(tmp_path, monkeypatch, scheme):
    values, classes = truth()
    images(tmp_path, values, classes)
    names = {band: f"{band}.tif" for band in (*values, "scl")}
    one = planetary_computer(names | {"b2": "S3://bucket/b2.tif"})
    written(tmp_path / "items.json", one)
    with served(tmp_path, monkeypatch) as (address, _):
        place = address.replace("http", scheme, 1)
        (found,), problems = stac(f"{place}/items.json")
    assert problems == []
    assert found.assets["b4"].path == f"/vsicurl/{address}/b4.tif"
    assert found.assets["b2"].path == "/vsis3/bucket/b2.tif"


@pytest.mark.parametrize("place", ["ftp://example.com/items.json", "file:///data/items.json", "s3://b/items.json"])
def test_an_address_that_no_document_has_is_named(place):
    with pytest.raises(InputError) as error:
        stac(place)
    sentence = "cannot be read: write a path, or an address that begins with http:// or https://."
    assert str(error.value) == f"{place} {sentence}"


def test_a_document_or_an_image_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "items.json")
    with pytest.raises(InputError, match=r"items\.json is no file: name a document\.$"):
        stac(tmp_path / "items.json")
    files = images(tmp_path, *truth())
    Path(files["b4"]).unlink()
    os.mkfifo(files["b4"])
    found, (problem,) = stac(written(tmp_path / "more.json", planetary_computer(files)))
    assert (found, problem.why) == ([], f"{files['b4']} is no file")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_document_that_is_nested_without_end_is_refused(tmp_path, opening):
    (tmp_path / "items.json").write_text('{"features": ' + opening * 100_000)
    with pytest.raises(InputError, match=r"items\.json is not a STAC ItemCollection"):
        stac(tmp_path / "items.json")


class Slow(http.server.BaseHTTPRequestHandler):
    """Sends to and fro, or lets a byte drip now and then."""

    def do_GET(self):
        if self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(60):
                self.wfile.write(b" ")
                time.sleep(0.1)

    def log_message(self, *words):
        pass


@pytest.fixture
def slow(monkeypatch):
    """Address of a server that is no use."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_lets_bytes_drip_is_given_up(slow, monkeypatch):
    monkeypatch.setattr(catalogues, "LONGEST", 1)
    began = time.monotonic()
    with pytest.raises(InputError, match=r"drip cannot be read: it takes more than 1 s: check the address\.$"):
        stac(f"{slow}/drip")
    assert time.monotonic() - began < 4


def test_a_catalogue_that_takes_too_long_is_refused(tmp_path, slow, monkeypatch):
    monkeypatch.setattr(catalogues, "LONGEST", 1)
    links = [{"rel": "item", "href": f"{slow}/drip?{i}"} for i in range(50)]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", "links": links}))
    sentence = r"catalog\.json and what it links to take more than 1 s: save all items in one file\.$"
    with pytest.raises(InputError, match=sentence):
        stac(tmp_path / "catalog.json")


def test_an_address_that_leads_to_itself_is_named_in_one_line(slow):
    with pytest.raises(InputError, match=r"round cannot be read: the server says 302 .*infinite loop") as error:
        stac(f"{slow}/round")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a\nb.json", "\ud800.json"])
def test_a_link_that_cannot_be_written_is_named_all_the_same(tmp_path, slow, name):
    links = [{"rel": "item", "href": start + name} for start in ("", "http://127.0.0.1:1/")]
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "id": "c", "links": links}))
    found, problems = stac(tmp_path / "catalog.json")
    assert found == [] and len(problems) == 2
    assert all("\n" not in str(p) and str(p).encode() for p in problems)
