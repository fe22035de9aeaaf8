"""The parts of the report: pictures, numbers in words, choices."""

import datetime
import io
import os
import struct
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import rasterio
from matplotlib.colors import to_rgb
from PIL import Image

from parcelle import files
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.report import figures, formats, maps
from parcelle.report.sources import Dates, Tile
from parcelle.sensors import Problem

COLOURS = [(255, 0, 0), (0, 128, 0), (10, 20, 30)]
DAY = datetime.date(2018, 1, 1)


def write(path, values, dtype="uint8", resolution=10, crs="EPSG:32631"):
    height, width = np.shape(values)
    transform = rasterio.Affine(resolution, 0, 0, 0, -resolution, 50)
    layout = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": dtype, "nodata": 0}
    with files.whole(path) as draft, rasterio.open(draft, "w", crs=crs, transform=transform, **layout) as image:
        image.write(np.asarray(values, dtype), 1)
    return path


def pixels(png):
    """Red, green, blue and opacity of a picture: ``(row, column, 4)``."""
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def chunks(png):
    """Names of the chunks of a PNG."""
    names, place = [], 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        names.append(png[place + 4 : place + 8].decode())
        place += length + 12
    return names


def dates(clear, sensor="s2", step=10):
    days = tuple(DAY + datetime.timedelta(days=step * i) for i in range(len(clear)))
    return Dates(sensor, len(clear), days, tuple(clear))


def test_class_map_has_the_colours_of_the_classes(tmp_path):
    path = write(tmp_path / "class.tif", [[0, 7, 3], [7, 200, 0]])
    picture = maps.class_map(path, [200, 3, 7], COLOURS, side=100)
    found = pixels(picture.png)
    assert found[..., 3].tolist() == [[0, 255, 255], [255, 255, 0]]
    assert found[0, 1, :3].tolist() == list(COLOURS[2]) == found[1, 0, :3].tolist()
    assert found[0, 2, :3].tolist() == list(COLOURS[1])
    assert found[1, 1, :3].tolist() == list(COLOURS[0])
    assert (picture.size, picture.step, picture.crs, picture.pixel) == ((3, 2), 1, "EPSG:32631", "10 m")


def test_class_map_of_more_classes_than_a_palette_holds(tmp_path):
    codes = list(range(1, 401))
    colours = [(code % 256, code // 256, 7) for code in codes]
    path = write(tmp_path / "class.tif", [[0, 1, 255, 256, 400]], dtype="uint16")
    found = pixels(maps.class_map(path, codes, colours, side=100).png)
    assert found[0, :, 3].tolist() == [0, 255, 255, 255, 255]
    assert found[0, 1:, :3].tolist() == [[1, 0, 7], [255, 0, 7], [0, 1, 7], [144, 1, 7]]


def test_class_that_the_nomenclature_lacks_is_refused(tmp_path):
    path = write(tmp_path / "class.tif", [[1, 4]])
    with pytest.raises(InputError, match=r"class.tif: class 4 is not in the nomenclature"):
        maps.class_map(path, [1, 2, 3], COLOURS, side=100)


def test_maps_are_read_from_overviews(tmp_path):
    # The file says 1 and its overview 2: whoever reads the whole file finds 1.
    path = write(tmp_path / "class.tif", np.full((1000, 800), 1))
    write(tmp_path / "class.tif.ovr", np.full((250, 200), 2), resolution=40)
    picture = maps.class_map(path, [1, 2, 3], COLOURS, side=250)
    assert (pixels(picture.png)[..., :3] == COLOURS[1]).all()
    assert (picture.size, picture.step) == ((200, 250), 4)


def test_a_large_mosaic_is_decimated_to_the_side_asked_for(tmp_path):
    picture = maps.class_map(write(tmp_path / "class.tif", np.full((301, 90), 3)), [1, 2, 3], COLOURS, side=100)
    assert (picture.size, picture.step) == ((23, 76), 4)
    assert (pixels(picture.png) == (*COLOURS[2], 255)).all()


def test_ramp_map_runs_from_zero_to_its_end(tmp_path):
    picture = maps.ramp_map(write(tmp_path / "confidence.tif", [[0, 1, 50, 100]]), side=100, high=100)
    found = pixels(picture.png)[0]
    viridis = np.array(matplotlib.colormaps["viridis"]([0.01, 0.5, 1.0]))[:, :3] * 255
    assert found[:, 3].tolist() == [0, 255, 255, 255]
    assert np.abs(found[1:, :3] - viridis).max() <= 2
    assert picture.high == 100


def test_ramp_map_takes_the_largest_value_as_its_end(tmp_path):
    picture = maps.ramp_map(write(tmp_path / "validity.tif", [[0, 300, 600]], dtype="uint16"), side=100)
    viridis = np.array(matplotlib.colormaps["viridis"]([0.5, 1.0]))[:, :3] * 255
    assert picture.high == 600
    assert np.abs(pixels(picture.png)[0, 1:, :3] - viridis).max() <= 2


def test_decimated_numbers_leave_no_data_out(tmp_path):
    values = np.zeros((4, 4))
    values[0, 0] = 100
    found = pixels(maps.ramp_map(write(tmp_path / "confidence.tif", values), side=2, high=100).png)
    assert found[..., 3].tolist() == [[255, 0], [0, 0]]
    assert np.abs(found[0, 0, :3] - np.array(matplotlib.colormaps["viridis"](1.0)[:3]) * 255).max() <= 1


def test_map_without_data_is_transparent(tmp_path):
    picture = maps.ramp_map(write(tmp_path / "validity.tif", np.zeros((3, 3))), side=2)
    assert not pixels(picture.png)[..., 3].any()
    assert picture.high == 1


def test_number_beyond_the_ramp_is_refused(tmp_path):
    path = write(tmp_path / "confidence.tif", [[101]])
    with pytest.raises(InputError, match=r"confidence.tif holds 101, more than the 100 it can hold"):
        maps.ramp_map(path, side=10, high=100)


@pytest.mark.parametrize(
    ("crs", "resolution", "width", "label", "share"),
    [
        ("EPSG:32631", 10, 300, "500 m", 1 / 6),
        ("EPSG:32631", 10, 10980, "20 km", 20 / 109.8),
        ("EPSG:3035", 10, 400, "1 km", 1 / 4),
        ("EPSG:3035", 0.5, 10, "1 m", 1 / 5),
        ("EPSG:4326", 0.001, 1000, "0.2°", 1 / 5),
        ("EPSG:2225", 10, 1000, "500 m", 500 / 3048),  # US survey feet
    ],
)
def test_scale_bar(crs, resolution, width, label, share):
    bar = maps.scale_bar(Grid(crs, 0, 0, resolution, 7, width))
    assert bar.label == label
    assert bar.share == pytest.approx(share, rel=1e-4)


def test_gradient_is_the_ramp_of_the_pictures():
    stops = maps.gradient().split(", ")
    assert (len(stops), stops[0], stops[-1]) == (9, "#440154", "#fde725")
    first = maps.gradient(figures.CLEAR_RAMP, 0.25).split(", ")[0]
    expected = matplotlib.colormaps[figures.CLEAR_RAMP](0.25)[:3]
    assert np.abs(np.array(to_rgb(first)) - expected).max() < 1 / 255


def axes_of(draw, *args):
    """Axes of a figure that is drawn and not yet encoded."""
    return draw.__wrapped__(*args).axes[0]


def test_confusion_is_in_percent_of_rows():
    matrix = np.array([[970, 30, 0], [1, 999, 0], [0, 0, 0]])
    texts = [text.get_text() for text in axes_of(figures.confusion, matrix, ["a", "b", "c"]).texts]
    assert texts[:9] == ["97", "3", "", "<1", "100", "", "–", "–", "–"]
    assert texts[9:] == ["n = 1\u202f000", "n = 1\u202f000", "n = 0"]


def test_confusion_is_blue_where_right_and_orange_where_wrong():
    faces = [p.get_facecolor()[:3] for p in axes_of(figures.confusion, np.array([[3, 1], [0, 4]]), ["a", "b"]).patches]
    assert np.allclose(faces[0], matplotlib.colormaps["Blues"](0.85 * 0.75)[:3])
    assert np.allclose(faces[1], matplotlib.colormaps["Oranges"](0.85 * 0.25)[:3])
    assert np.allclose(faces[2], (1, 1, 1))
    assert faces[3][2] > faces[3][0] and faces[1][0] > faces[1][2]


def test_confusion_names_rows_and_columns():
    axes = axes_of(figures.confusion, np.eye(2), ["Maize", "An exceedingly long name of a class"])
    expected = ["Maize", "An exceedingly long name of a…"]
    assert [label.get_text() for label in axes.get_xticklabels()] == expected
    assert [label.get_text() for label in axes.get_yticklabels()] == expected
    assert axes.yaxis_inverted() and not axes.xaxis_inverted()


def test_names_that_look_like_formulas_are_drawn_as_they_are():
    picture = figures.confusion(np.eye(2), ["a $b^ c$", "\\frac{"])
    assert picture.png != figures.confusion(np.eye(2), ["a b c", "frac"]).png


@pytest.mark.parametrize("number", [2, 7, 25])
def test_confusion_fits_the_page_and_its_letters_stay_readable(number):
    names = ["Industrial or commercial units"] * number
    picture = figures.confusion(np.eye(number), names)
    width = Image.open(io.BytesIO(picture.png)).width
    assert abs(width / picture.width - figures.DPI / figures.PAGE_DPI) < 0.01
    assert picture.width <= 1250
    sizes = {text.get_size() for text in axes_of(figures.confusion, np.eye(number), names).texts}
    assert min(sizes) >= 7
    # Nothing is cut off: the outermost pixels are all white.
    edge = pixels(picture.png)
    assert (
        (edge[0] == 255).all() and (edge[-1] == 255).all() and (edge[:, 0] == 255).all() and (edge[:, -1] == 255).all()
    )


def test_calendar_has_a_bar_for_each_date():
    tile = Tile("t", (dates([0.0, 0.5, 1.0]), dates([0.25], "s1")), ())
    axes = axes_of(figures.calendar, tile, DAY, DAY + datetime.timedelta(days=99))
    bars = [p for p in axes.patches if not np.allclose(p.get_facecolor()[:3], to_rgb("#eceef1"))]
    assert [bar.get_height() for bar in bars] == pytest.approx([0, 0.41, 0.82, 0.82 / 4])
    assert [bar.get_y() for bar in bars] == [1, 1, 1, 0]
    start = axes.get_xlim()[0]
    assert [bar.get_x() + bar.get_width() / 2 - start for bar in bars] == pytest.approx([0.5, 10.5, 20.5, 0.5])
    ramp = matplotlib.colormaps[figures.CLEAR_RAMP]
    assert np.allclose(bars[1].get_facecolor(), ramp(0.25 + 0.75 * 0.5))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["s1", "s2"]


def test_calendar_spans_the_period():
    axes = axes_of(figures.calendar, Tile("t", (dates([1.0]),), ()), DAY, datetime.date(2018, 12, 31))
    assert np.diff(axes.get_xlim()) == [365]


def crosses(axes):
    """Day (from 1 on) and height of each product that was left out."""
    places = [line.get_xydata() for line in axes.lines if line.get_marker() == "x"]
    start = axes.get_xlim()[0]
    return [(round(x - start + 0.5), pytest.approx(y)) for place in places for x, y in place]


def skipped(day, sensor="s2"):
    return Problem(f"{sensor}-{day}", "cut", day and DAY + datetime.timedelta(days=day - 1), sensor)


def test_a_product_that_was_left_out_is_a_cross_on_its_day_in_the_row_of_its_sensor():
    problems = (skipped(7), skipped(21, "s1"), skipped(30), skipped(None), Problem("x", "cut", DAY, "other"))
    tile = Tile("t", (dates([0.5]), dates([0.25], "s1")), problems)
    axes = axes_of(figures.calendar, tile, DAY, DAY + datetime.timedelta(days=99))
    assert crosses(axes) == [(7, 1.41), (30, 1.41), (21, 0.41)]


def test_many_tiles_have_a_row_each():
    tiles = [Tile(f"t{i}", (dates([0.0, i / 9]), dates([1.0], "s1")), (skipped(3 + i),)) for i in range(10)]
    axes = axes_of(figures.calendars, tiles, "s2", DAY, DAY + datetime.timedelta(days=99))
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"t{9 - i}" for i in range(10)]
    assert sorted(crosses(axes), key=lambda place: place[0]) == [(3 + i, 9.4 - i) for i in range(10)]
    ramp, start = matplotlib.colormaps[figures.CLEAR_RAMP], axes.get_xlim()[0]
    for i, marks in enumerate(reversed(axes.collections)):
        boxes = [path.get_extents() for path in marks.get_paths()]
        assert [(b.x0 + b.x1) / 2 - start for b in boxes] == pytest.approx([0.5, 10.5])
        assert [(b.y0, b.y1) for b in boxes] == [(9 - i, pytest.approx(9.8 - i))] * 2
        assert np.allclose(marks.get_facecolor(), [ramp(0.25), ramp(0.25 + 0.75 * i / 9)])


def test_rows_of_many_tiles_grow_with_their_number():
    heights = []
    for number in (13, 100):
        tiles = [Tile(f"t{i}", (dates([0.5]),), ()) for i in range(number)]
        heights.append(pixels(figures.calendars(tiles, "s2", DAY, datetime.date(2018, 12, 31)).png).shape[0])
    assert heights[1] - heights[0] == pytest.approx(87 * figures.ROW * figures.DPI, abs=2)


def test_sensor_without_a_date_has_an_empty_row():
    tile = Tile("t", (dates([]),), ())
    assert not axes_of(figures.calendar, tile, DAY, DAY).patches
    assert (tile.clear_dates, tile.sensors[0].clear_share) == (0, None)


def test_pictures_hold_no_date_and_no_version(tmp_path):
    calendar = figures.calendar(Tile("t", (dates([1.0]),), ()), DAY, DAY)
    drawn = maps.class_map(write(tmp_path / "class.tif", [[1]]), [1], COLOURS[:1], 10)
    for png in (calendar.png, figures.confusion(np.eye(3), ["a", "b", "c"]).png, drawn.png):
        assert set(chunks(png)) <= {"IHDR", "PLTE", "tRNS", "IDAT", "IEND", "pHYs"}


def test_no_picture_needs_a_screen():
    code = "import sys; from parcelle.report import page; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.8765, 2, "0.88"), (1.0, 3, "1.000"), (-0.25, 2, "\N{MINUS SIGN}0.25"), (None, 2, "–"), (-0.0, 2, "0.00")],
)
def test_score(value, digits, text):
    assert formats.score(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (7, "7"), (2.4, "2.4"), (12.6, "13"), (1234567, "1\u202f234\u202f567")]
)
def test_count(value, text):
    assert formats.count(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.5, "50.0\u202f%"), (0, "0.0\u202f%"), (0.0001, "< 0.1\u202f%"), (None, "–"), (float("nan"), "–")],
)
def test_percent(share, text):
    assert formats.percent(share) == text


@pytest.mark.parametrize(("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")])
def test_named(names, text):
    assert formats.named(list(names)) == text


def test_times():
    assert [formats.times(number, "seed") for number in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
