"""The page, from tables that `assess` wrote about counts known by hand."""

import base64
import datetime
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import rasterio
import yaml

from parcelle import assessment, files, provenance, settings
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError, StaleError
from parcelle.grid import Grid
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.report import page
from parcelle.sensors import Problem

CLASSES = Nomenclature(
    (
        LandClass(5, "Maize <b>", "#fdae61"),
        LandClass(2, "Water & ice", "#2c7fb8"),
        LandClass(9, "Rock", "#999999"),
        LandClass(7, "Glacier", "#eeeeff"),
    )
)
# (group, reference, predicted, samples) of each region and seed. Water is validated in the north only; rock is learnt
# and never validated, though some maize is taken for it; nothing is known of glaciers.
VALIDATION = {
    ("north", 0): [("a", 5, 5, 8), ("a", 5, 2, 2), ("b", 2, 2, 6)],
    ("north", 1): [("a", 5, 5, 9), ("a", 5, 2, 1), ("c", 2, 2, 5)],
    ("south", 0): [("e", 5, 5, 7), ("f", 5, 9, 3)],
    ("south", 1): [("e", 5, 5, 6)],
}
LEARNING = {"north": {5: 30, 2: 20, 9: 4}, "south": {5: 25, 2: 8}}
COUNTS = {
    "t1": [("north", 5, 600), ("north", 2, 300), ("north", 0, 50), ("", 0, 50)],
    "t2": [("south", 5, 80), ("south", 9, 20), ("north", 2, 500)],
}
CLEAR = {
    "t1": [("s2", "2018-03-04", 2, 0.5), ("s2", "2018-05-01", 1, 1.0), ("s2", "2018-07-20", 1, 0.25)],
    "t2": [("s2", "2018-03-04", 1, 0.0), ("s2", "2018-08-09", 1, 0.75)],
}
CUT = Problem("S2_<i>_20180401", "FRE_B8.tif is cut & unreadable", datetime.date(2018, 4, 1), "s2")
PROBLEMS = {"t1": (CUT,), "t2": ()}
GRID = Grid("EPSG:32631", 500000, 5000000, 10, 40, 60)


def table(path, columns, rows):
    with files.whole(path) as draft:
        pd.DataFrame(rows, columns=columns.split(",")).to_csv(draft, index=False)
    return path


def write_model(folder, region, seed, rows, learning):
    frame = pd.DataFrame(rows, columns=["group", "reference", "predicted", "samples"])
    frame = frame.loc[frame.index.repeat(frame["samples"])]
    with files.whole(folder / "validation.parquet") as draft:
        frame.assign(polygon=frame["group"], tile="t1", row=0, column=0).to_parquet(draft)
    entries = []
    for code in sorted({*learning, *frame["reference"]}):
        part = frame[frame["reference"] == code]
        groups = {f"validation_{unit}": part["group"].nunique() for unit in ("groups", "polygons")}
        learnt = {"learning": learning.get(code, 0), "learning_groups": 1, "learning_polygons": 1}
        entries.append({"code": code, "validation": len(part), **groups, **learnt})
    files.write_json(folder / "model.json", {"samples": entries})


def write_mosaic(path, values, tags):
    with (
        files.whole(path) as draft,
        rasterio.open(
            draft,
            "w",
            driver="GTiff",
            height=40,
            width=60,
            count=1,
            dtype="uint8",
            nodata=0,
            crs=GRID.crs,
            transform=GRID.transform,
        ) as image,
    ):
        image.update_tags(**tags)
        image.write(values.astype("uint8"), 1)
    return path


def write_tile(folder, tile, clear, problems):
    table(folder / "map" / tile / "clear.csv", "sensor,date,acquisitions,clear", clear)
    Inventory(tile, GRID, (), problems).write(str(folder / "acquisitions" / f"{tile}.json"))


def settings_of(folder, **other):
    given = {
        "results": str(folder),
        "tiles": list(CLEAR),
        "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "images"}},
        "period": {"start": "2018-01-01", "end": "2018-12-31"},
        "reference": {"path": "reference.gpkg", "field": "code"},
        "nomenclature": "classes.csv",
        "seeds": 2,
    }
    return settings.read(given | other)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Everything that the report reads; tests that change something work on the arguments."""
    folder = tmp_path_factory.mktemp("valley")
    for (region, seed), rows in VALIDATION.items():
        write_model(folder / "model" / region / str(seed), region, seed, rows, LEARNING[region])
    for tile, rows in COUNTS.items():
        rows = [(region, code, pixels, pixels, 100) for region, code, pixels in rows]
        table(folder / "map" / tile / "counts.csv", "region,class,pixels,own_pixels,pixel_area", rows)
        write_tile(folder, tile, CLEAR[tile], PROBLEMS[tile])
    checked = settings_of(folder)
    values = np.full((40, 60), 5)
    values[:, 30:], values[:10] = 2, 0
    tags = provenance.tags(provenance.digest(checked))
    for name, of_product in {"class": values, "confidence": values * 10, "validity": values}.items():
        write_mosaic(folder / "mosaic" / f"{name}.tif", of_product, tags)
    names = ("scores", "summary", "confusion", "classes", "areas")
    tables = {name: folder / "assessment" / f"{name}.csv" for name in names}
    inputs = [
        sorted(folder.glob(f)) for f in ("model/*/*/validation.parquet", "model/*/*/model.json", "map/*/counts.csv")
    ]
    assessment.assess(*inputs, CLASSES.codes, tables)
    return {
        "tables": tables,
        "mosaics": [folder / "mosaic" / f"{name}.tif" for name in ("class", "confidence", "validity")],
        "clear_shares": [folder / "map" / tile / "clear.csv" for tile in CLEAR],
        "acquisitions": [folder / "acquisitions" / f"{tile}.json" for tile in CLEAR],
        "classes": CLASSES,
        "settings": checked,
    }


class Reader(HTMLParser):
    """What a reader sees: text, rows of tables, pictures; and all attributes of all elements."""

    def __init__(self, source):
        super().__init__()
        self.text, self.rows, self.pictures, self.elements, self.open = "", [], [], [], []
        self.feed(source)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)
        self.handle_data(" ")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "img":
            self.pictures.append(dict(attrs))

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open) and self.rows[-1]:
            self.rows[-1][-1] += data

    def row(self, first, place=0):
        """Cells of the row (of several, the one at `place`) that begins with some text."""
        cells = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        return [row for row in cells if row and row[0].startswith(first)][place]


@pytest.fixture(scope="module")
def source(made, tmp_path_factory):
    output = tmp_path_factory.mktemp("report") / "index.html"
    page.write(**made, output=output)
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(source):
    return Reader(source)


def written(made, tmp_path, **other):
    output = tmp_path / "index.html"
    page.write(**(made | other), output=output)
    return Reader(output.read_text(encoding="utf-8"))


def test_page_needs_no_network(source, read):
    assert {p["src"].split(",")[0] for p in read.pictures} == {"data:image/png;base64"}
    assert not {tag for tag, _ in read.elements} & {"script", "link", "iframe", "object", "base"}
    links = [attributes["href"] for _, attributes in read.elements if "href" in attributes]
    assert links and all(link.startswith("#") for link in links)
    assert not re.search(r"url\(|@import|https?:", source)
    policy = next(a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_links_lead_somewhere(read):
    places = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    assert {a["href"][1:] for _, a in read.elements if "href" in a} <= places


def test_pictures_are_whole_and_described(read):
    # Class, confidence, validity, confusion, and a calendar of each tile.
    assert len(read.pictures) == 4 + len(CLEAR)
    for picture in read.pictures:
        assert base64.b64decode(picture["src"].partition(",")[2]).startswith(b"\x89PNG\r\n")
        assert len(picture["alt"]) > 15
    assert read.pictures[0]["alt"].startswith("Land-cover map, most of it Water & ice (53.3")


def test_same_inputs_give_the_same_bytes(made, source, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        page.write(**made, output=tmp_path / "again.html")
        assert matplotlib.rcParams["font.size"] == 30
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == source
    assert files.verify(tmp_path / "again.html")


def test_page_holds_no_date_but_those_of_its_inputs(read):
    today = datetime.date.today().isoformat()
    assert today not in read.text
    assert "Newest image 2018-08-09" in read.text


def test_script_writes_the_same_page(made, source, tmp_path):
    from report import report

    arguments = made | {"output": str(tmp_path / "index.html"), "classes": CLASSES.to_list()}
    report(**{("checked" if name == "settings" else name): value for name, value in arguments.items()})
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == source


def test_headline(made, read):
    oa = [(8 + 6 + 7) / 26, (9 + 5 + 6) / 21]
    summary = (
        pd.read_csv(made["tables"]["summary"], keep_default_na=False).query("region == 'all' and score == 'oa'").iloc[0]
    )
    half = 12.7062 * np.std(oa, ddof=1) / np.sqrt(2)
    assert f"Overall accuracy {np.mean(oa):.3f} 95 % interval" in read.text
    assert f"95 % interval {float(summary.low):.3f} to {float(summary.high):.3f}" in read.text
    assert f"spread over seeds ± {half:.3f}" in read.text
    assert "Seeds 2 each learns from 50 % of a class's groups" in read.text
    assert "tried on 24 held-out samples" in read.text


def test_it_says_what_the_scores_are_not(read):
    assert "Split by whole polygons held out as a whole" in read.text
    assert "its neighbour, perhaps in the same field, may lie on the other" in read.text
    assert "This is a test of the models, not the accuracy of the map." in read.text
    assert "Reference polygons are no probability sample" in read.text
    assert "seeds share polygons, so it shrinks with their number and is no interval of the accuracy" in read.text
    assert "are redrawn 1 000 times with replacement" in read.text
    assert "one more model of each region, which learns from all reference polygons" in read.text


def test_scores_of_a_class(read):
    name, samples, groups, _, f1, _, precision, precision_spread, recall, _ = read.row("Maize <b>")
    assert (name, samples, groups) == ("Maize <b> 5", "18", "3")
    # Seed 0: 15 of 20 found, seed 1: 15 of 16; what is called maize is maize.
    assert recall.startswith(f"{(15 / 20 + 15 / 16) / 2:.2f}")
    assert precision == "1.00 1.00 to 1.00"
    assert precision_spread == "± 0.00"
    assert f1.startswith(f"{(30 / 35 + 30 / 31) / 2:.2f}")


def test_class_that_is_not_validated_has_no_scores(read):
    # Its precision would be 0, because of the maize that is taken for it.
    assert read.row("Rock") == ["Rock 9 not validated", "0", "0", "", "–", "", "–", "", "–", ""]
    titles = [a["title"] for _, a in read.elements if "undefined" in a.get("class", "")]
    assert titles and all(title.startswith("Undefined: ") for title in titles)


def test_notes_name_what_the_scores_leave_out(read):
    assert "Learnt but never validated. Rock: the map may show it" in read.text
    assert "Learnt but never validated in a region." in read.text
    assert "south: Water & ice." in read.text
    assert "Never learnt. Glacier: no seed has a sample of it" in read.text
    assert "Few validation groups. Maize <b> (3) and Water & ice (2). Intervals from fewer than 10" in read.text
    assert "Few samples to learn from" not in read.text


def test_scores_of_regions(read):
    expected = {"country": (24, [21 / 26, 20 / 21]), "north": (16, [14 / 16, 14 / 15]), "south": (8, [7 / 10, 1])}
    for region, (samples, oa) in expected.items():
        assert read.row(region)[1] == str(samples)
        assert read.row(region)[2].startswith(f"{np.mean(oa):.3f} ")
    # F1 of water by region: none where it is not validated.
    assert read.row("Water & ice", 1)[2:] == [f"{np.mean([12 / 14, 10 / 11]):.2f}", "–"]


def test_scores_of_seeds(read):
    assert read.row("Overall accuracy") == ["Overall accuracy", "0.808", "0.952"]


def test_mapped_areas(read):
    # 680 pixels of maize, 800 of water and 20 of rock, 100 m² each; 100 without data.
    assert read.row("Maize <b>", 2) == ["Maize <b>", "680", "6.8", "45.3 %", "", "42.9 %", "80.0 %"]
    assert read.row("Glacier", 2)[1:4] == ["0", "0", "0.0 %"]
    assert "No data: 100 pixels, 6.2 % of the tiles" in read.text
    assert "These are counts of pixels, not estimates of areas." in read.text


def test_legend_has_names_colours_and_shares(source):
    legend = re.search(r'<ul class="legend".*?</ul>', source, re.S)[0]
    entries = re.findall(r'background:(#\w+)"></span><span>(.*?)</span><span class="muted">(.*?)</span>', legend)
    assert [(colour, html.unescape(name)) for colour, name, _ in entries] == [
        (c.colour, c.name) for c in CLASSES.classes
    ]
    assert [share for *_, share in entries] == ["45.3\u202f%", "53.3\u202f%", "1.3\u202f%", "0.0\u202f%"]
    assert "no data" in legend


def test_names_are_escaped(source):
    assert "Maize <b>" not in source and "Maize &lt;b&gt;" in source
    assert "S2_<i>_" not in source and "cut &amp; unreadable" in source


def test_acquisitions_of_tiles(read):
    assert read.row("t1") == ["t1", "4", "3", "58.3 %", "1.8", "1"]
    assert read.row("t2") == ["t2", "2", "2", "37.5 %", "0.8", "0"]
    assert read.row("t1", 1) == ["t1", "s2", "2018-04-01", "S2_<i>_20180401", "FRE_B8.tif is cut & unreadable"]
    assert "1 product that could not be used" in read.text


def test_no_problem_is_said_too(made, tmp_path):
    write_tile(tmp_path, "t1", CLEAR["t1"], ())
    acquisitions = [tmp_path / "acquisitions" / "t1.json", made["acquisitions"][1]]
    assert "No product was skipped." in written(made, tmp_path, acquisitions=acquisitions).text


def test_of_many_tiles_the_worst_are_drawn(made, tmp_path):
    shares = np.linspace(0.99, 0.01, 14)
    for i, share in enumerate(shares):
        write_tile(tmp_path, f"x{i:02}", [("s2", "2018-03-04", 1, share)], ())
    names = [f"x{i:02}" for i in range(14)]
    clear = [tmp_path / "map" / name / "clear.csv" for name in names]
    inventories = [tmp_path / "acquisitions" / f"{name}.json" for name in names]
    read = written(made, tmp_path, clear_shares=clear, acquisitions=inventories)
    drawn = [p["alt"] for p in read.pictures if p["alt"].startswith("Calendar of tile")]
    assert [alt.split()[3] for alt in drawn] == [f"{name}:" for name in names[:1:-1]]
    assert "Of 14 tiles, these are the 12 with the fewest clear dates of a pixel" in read.text
    assert [read.row(name)[0] for name in names] == names
    rows = [p["alt"] for p in read.pictures if p["alt"].startswith("Calendar of s2 over all tiles")]
    assert len(rows) == 1 and "Each mark is a date, as dark as its clear share" in read.text


def test_settings_can_be_read_back(made, source):
    text = html.unescape(re.search(r"<pre>(.*?)</pre>", source, re.S)[1])
    assert settings.read(yaml.safe_load(text)) == made["settings"]
    assert "window" not in yaml.safe_load(text)


def test_software_versions(read):
    for name, version in provenance.versions().items():
        assert read.row(name) == [name, version]


def test_other_settings_than_those_of_the_map_are_told(made, read, tmp_path):
    digest = provenance.digest(made["settings"])
    assert f"Settings digest {digest}" in read.text
    assert "made with other settings" not in read.text
    other = settings_of(Path(made["settings"].results), model={"trees": 7})
    text = written(made, tmp_path, settings=other).text
    assert f"which is not that of the map ( {digest}): the map was made with other settings" in text


def test_products_that_were_not_asked_for_are_left_out(made, tmp_path):
    text = written(made, tmp_path, mosaics=made["mosaics"][:1]).text
    assert "Confidence" not in text and "Validity" not in text


def test_map_of_classes_is_required(made, tmp_path):
    with pytest.raises(InputError, match=r"needs mosaic/class.tif, and was given confidence and validity"):
        written(made, tmp_path, mosaics=made["mosaics"][1:])


def test_stale_input_is_refused_and_leaves_no_page(made, tmp_path):
    changed = tmp_path / "summary.csv"
    changed.write_bytes(made["tables"]["summary"].read_bytes())
    files.beside(changed).write_text(files.checksum(changed))
    changed.write_text(changed.read_text() + "\n")
    with pytest.raises(StaleError, match=r"summary.csv was changed"):
        written(made, tmp_path, tables=made["tables"] | {"summary": changed})
    assert not list(tmp_path.glob("*.html"))
