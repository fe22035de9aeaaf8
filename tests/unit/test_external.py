"""Functions of the user's own: what they see, that no window changes what they give, and what is refused."""

import datetime
import os
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import scipy.ndimage
from rasterio.windows import Window
from unit import functions_for_tests as functions
from unit.rasters_for_tests import acquired, noise, save
from unit.test_strips import GRID, inventories, recipe, whole

from parcelle import cube, external, features, provenance, settings
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError, SettingsError
from parcelle.external import External
from parcelle.features import Recipe
from parcelle.sensors import Asset

__all__ = ["inventories"]
BANDS = ("b2", "b3", "b5")
DATES = 4
RADAR = Recipe("s1", False, ("vv",), False, "bilinear", (), ("2018-03-01", "2018-03-11"))
DEM = Recipe("dem", False, ("altitude",), False, "bilinear", (), ("2018-03-01",), static=True)


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    return functions.write(tmp_path_factory.mktemp("functions"))


@pytest.fixture
def one(textures):
    """Settings of a function of the module."""
    return lambda function, **options: {"function": f"{textures}:{function}", **options}


def plain(inventory):
    """Bands ``(date, band, row, column)`` and index ``(date, row, column)`` of the tile, as models see them."""
    found = np.moveaxis(whole(inventory, [recipe(BANDS)]).features, 2, 0)
    count = DATES * len(BANDS)
    return found[:count].reshape(DATES, len(BANDS), *found.shape[1:]), found[count:]


@pytest.mark.parametrize("layout", ["tiled", "striped"])
def test_features_follow_those_of_the_sensors(inventories, layout, one, tmp_path):
    made = functions.sources([recipe(BANDS)], season=one("season", arguments={"scale": 2}), green=one("greenest"))
    names = features.names(made)
    assert names[16:] == [
        *(f"season.{what}.{i}" for what in ("mean", "range") for i in (1, 2, 3)),
        *("green.day", "green.peak"),
    ]
    found, enough = functions.assert_independent(inventories[layout], made, tmp_path)
    values, index = plain(inventories[layout])
    assert found.dtype == np.float32
    assert np.array_equal(
        found[enough][:, :16], np.moveaxis(np.concatenate([values.reshape(12, *GRID_SHAPE), index]), 0, 2)[enough]
    )
    mean = (2 * values.astype(np.float32)).mean(axis=0)
    span = 2.0 * (values.max(axis=0).astype(int) - values.min(axis=0))
    expected = np.stack([*mean, *span, index.argmax(axis=0), index.max(axis=0)], axis=2)
    assert np.array_equal(found[enough][:, 16:], expected[enough])


GRID_SHAPE = GRID.height, GRID.width


@pytest.mark.parametrize(("radius", "band"), [(1, "b2"), (2, "b5"), (7, "b2")])
def test_a_margin_lets_a_function_look_around(inventories, radius, band, one, tmp_path):
    texture = one("texture", margin=radius, arguments={"band": band, "radius": radius})
    made = functions.sources([recipe(BANDS)], texture=texture, season=one("season"))
    found, enough = functions.assert_independent(inventories["tiled"], made, tmp_path, (16, 64))
    last = plain(inventories["tiled"])[0][-1, BANDS.index(band)].astype(int)
    side = 2 * radius + 1
    expected = scipy.ndimage.maximum_filter(last, side, mode="nearest") - scipy.ndimage.minimum_filter(
        last, side, mode="nearest"
    )
    assert expected[enough].max() > 1000
    assert np.array_equal(found[enough][:, 16], expected[enough])


def test_acquisitions_are_there_as_they_were_observed(inventories, one, tmp_path):
    """Bands of 10 m against the files themselves; two acquisitions are of one day."""
    inventory = inventories["tiled"]
    made = functions.sources([recipe(BANDS)], seen=one("observed", margin=1))
    assert features.names(made)[16:] == ["seen.most.1", "seen.most.2", "seen.most.3", "seen.count"]
    found, enough = functions.assert_independent(inventory, made, tmp_path, (48,))
    everything = cube.read(inventory, [recipe(BANDS)], GRID.whole, 1)._cube.series[0]
    valid = everything.valid
    with_holes = []
    for band in ("b2", "b3"):
        pixels = [pixels_of(a.assets[band]) for a in inventory.acquisitions]
        with_holes.append(np.where(valid, pixels, 0).max(axis=0))
    assert np.array_equal(found[enough][:, 16:18], np.stack(with_holes, axis=2)[enough])
    assert np.array_equal(found[enough][:, 19], valid.sum(axis=0)[enough])
    assert valid.sum(axis=0).max() == 5  # of six, one of which is hidden


def pixels_of(asset):
    with rasterio.open(asset.path) as image:
        return image.read(asset.band)


def test_a_function_sees_all_sensors(inventories, one, tmp_path):
    """A DEM that rises by 3 m a pixel, and a radar; both alone beside the optical sensor."""
    rise = np.broadcast_to(3.0 * np.arange(GRID.width), GRID_SHAPE).astype("float32")
    path = save(tmp_path / "dem.tif", rise, GRID)
    found = [acquired(1, {"altitude": Asset(path)}, sensor="dem")]
    radar = [(noise(GRID, seed=day, high=200)[0] / 10 - 25).astype("float32") for day in (1, 11)]
    for day, pixels in zip((1, 11), radar, strict=True):
        found.append(acquired(day, {"vv": Asset(save(tmp_path / f"{day}.tif", pixels, GRID))}, sensor="s1"))
    inventory = Inventory("31TCJ", GRID, (*inventories["tiled"].acquisitions, *found))
    made = functions.sources([recipe(BANDS), RADAR, DEM], slope=one("slope", margin=1))
    values, enough = functions.assert_independent(inventory, made, tmp_path, (16, 48))
    assert (values[enough][:, -2] == np.float32(0.3)).all()
    assert np.array_equal(values[enough][:, -1], np.mean(radar, axis=0, dtype=np.float32)[enough])


def test_speckle_is_filtered_around_a_block_too(one, tmp_path):
    """The filter looks three pixels around; the function one more, at what is filtered."""
    found = []
    for day in (1, 4, 9):
        power = np.random.default_rng(day).gamma(4, 0.02, GRID_SHAPE).astype("float32")
        asset = Asset(save(tmp_path / f"{day}.tif", power, GRID, tiled=True, blockxsize=16, blockysize=16), power=True)
        found.append(acquired(day, {"vv": asset}, sensor="s1"))
    filtered = replace(RADAR, speckle="lee", speckle_window=7, reach=3)
    season = one("season", margin=1, arguments={"sensor": "s1"})
    made = functions.sources([filtered], season=season, seen=one("observed", arguments={"sensor": "s1"}))
    assert made[0].reach == 4
    values, enough = functions.assert_independent(Inventory("31TCJ", GRID, tuple(found)), made, tmp_path, (16, 48))
    assert np.allclose(values[enough][:, 2], values[enough][:, :2].mean(axis=1), atol=1e-5)
    assert (values[enough][:, -1] == 3).all()


def test_a_function_may_replace_the_sensors_features(inventories, one, tmp_path):
    made = functions.sources([recipe(BANDS)], green=one("greenest", replace=True))
    assert features.names(made) == ["green.day", "green.peak"]
    assert features.dtype_of(made) is np.float32
    found, enough = functions.assert_independent(inventories["tiled"], made, tmp_path, (48,))
    index = plain(inventories["tiled"])[1]
    assert np.array_equal(found[enough], np.stack([index.argmax(axis=0), index.max(axis=0)], axis=2)[enough])


def test_sources_are_read_back_from_plain_values(one):
    made = functions.sources([recipe(BANDS)], season=one("season", arguments={"scale": 2.5}), green=one("greenest"))
    assert features.from_dicts(features.to_dicts(made)) == made
    assert features.of_sensors(made) == made[:1] and features.externals(made) == made[1:]


CONTENT = {
    "tiles": ["31TCJ"],
    "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "p", "bands": ["b2", "b4", "b8"]}},
    "period": {"start": "2018-01-01", "end": "2018-01-31"},
    "reference": {"path": "r", "field": "code"},
    "nomenclature": "n",
}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"t": {"function": "texture"}}, "external.t.function: found 'texture'; allowed: `module:function`, or "),
        ({"t": {"function": "m:f-g"}}, "external.t.function: found 'm:f-g'; allowed: `module:function`, or "),
        ({"t": {}}, "external.t.function: this setting is required"),
        ({"t": {"function": "m:f", "margin": -1}}, "external.t.margin: found -1; allowed: at least 0"),
        ({"t": {"function": "m:f", "argument": {}}}, "external.t.argument: unknown setting; allowed here: function, "),
        ({"a b": {"function": "m:f"}}, "external.a b"),
        ({"s2": {"function": "m:f"}}, "external: found 's2', which is a sensor's name too; choose another"),
        (
            {"a": {"function": "m:f", "replace": True}, "b": {"function": "m:g"}},
            "external.b.replace: found False, but others replace; set it in all, or in none",
        ),
        ([{"function": "m:f"}], "external: found [{'function': 'm:f'}]; allowed: a group of settings"),
    ],
)
def test_settings_that_name_no_function_are_refused(given, message):
    with pytest.raises(SettingsError) as error:
        settings.read(CONTENT | {"external": given})
    assert message in str(error.value)


def test_what_is_mapped_as_features_changes_no_map(textures):
    plain, asked = (settings.read(CONTENT | {"map": {"features": names}}) for names in ([], ["s2.ndvi.*"]))
    assert provenance.digest(plain) == provenance.digest(asked)
    more = settings.read(CONTENT | {"external": {"t": {"function": f"{textures}:texture"}}})
    assert provenance.digest(plain) != provenance.digest(more)


def test_sources_follow_from_the_settings(textures):
    external = {
        "t": {"function": f"{textures}:texture", "margin": 4},
        "m": {"function": f"{textures}:season", "arguments": {"scale": 3}},
    }
    made = features.sources(settings.read(CONTENT | {"external": external}))
    assert [type(one) for one in made] == [Recipe, External, External]
    assert (made[0].reach, made[0].kept, made[1].margin, made[2].arguments) == (4, True, 4, {"scale": 3})
    assert features.names(made)[-7:-5] == ["t.contrast", "m.mean.1"]
    for one in external.values():
        one["replace"] = True
    assert features.names(features.sources(settings.read(CONTENT | {"external": external})))[0] == "t.contrast"


def test_what_a_function_sees():
    days = ("2018-03-01", "2018-03-11")
    made = Recipe(
        "s2", True, ("b4", "b8"), True, "bilinear", (("ndvi", "(b8-b4)/(b8+b4)", 10_000), ("x", "log(b4-5)", 0)), days
    )
    values = np.array([[[[5, 10]], [[15, 30]]], [[[20, 40]], [[60, 10]]]], np.int16)
    valid, raw = np.array([[[True, False]]]), np.array([[[[5, 0]], [[15, 0]]]], np.int16)
    asked = []
    seen = external.SensorSeries(made, values, [datetime.date(2018, 3, 2)], valid, lambda: asked.append(1) or raw)
    assert seen.bands == ("b4", "b8")
    assert seen.dates == (datetime.date(2018, 3, 1), datetime.date(2018, 3, 11))
    assert seen.raw_dates == (datetime.date(2018, 3, 2),)
    assert np.array_equal(seen.band("b8"), [[[15, 30]], [[60, 10]]])
    assert np.array_equal(seen.index("ndvi"), [[[5000, 5000]], [[5000, -6000]]])
    # log(0) is not defined on the first date of the first pixel.
    assert np.isnan(seen.index("x")[:, 0, 0]).all() and np.allclose(seen.index("x")[:, 0, 1], np.log([5, 35]))
    assert asked == [] and np.array_equal(seen.raw, raw) and np.array_equal(seen.raw, raw) and asked == [1]
    for array in (seen.values, seen.valid, seen.raw, seen.band("b4")):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(ValueError, match="s2 has no band 'b9'; it has b4, b8"):
        seen.band("b9")
    with pytest.raises(ValueError, match="s2 has no index 'ndwi'; it has ndvi, x"):
        seen.index("ndwi")


WRONG = {
    "fails": ("{}['a']", "fails (KeyError: 'a')"),
    "none": ("None", "gives nothing, where a dict of name → array is expected"),
    "list": ("[values[0, 0]]", "gives a list, where a dict of name → array is expected"),
    "empty": ("{}", "gives no feature"),
    "key": ("{'a b': values[0, 0]}", "names a feature 'a b'; allowed: letters, digits, `_`, `-` and `.`"),
    "number": ("{'a': 3}", "gives 'a' as a int, where an array of numbers is expected"),
    "complex": ("{'a': values[0, 0] * 1j}", "gives 'a' as an array of complex128, where an array of numbers"),
    "masked": ("{'a': np.ma.masked_less(values[0, 0], 5)}", "gives 'a' as a MaskedArray, where an array of numbers"),
    "shape": (
        "{'a': values[0, 0, 1:]}",
        "gives 'a' of shape (4, 7), where (row, column) is (5, 7); or (n, row, column)",
    ),
    "four": ("{'a': values}", "gives 'a' of shape (4, 3, 5, 7), where (row, column) is (5, 7)"),
    "none_of_n": ("{'a': values[:0, 0]}", "gives 'a' of shape (0, 5, 7)"),
    "twice": ("{'a.1': values[0, 0], 'a': values[0]}", "gives feature 'a.1' twice"),
    "band": ("{'a': series['s2'].band('b99')[0]}", "fails (ValueError: s2 has no band 'b99'; it has b2, b3, b5)"),
    "writes": ("{'a': np.add(values[0, 0], 1, out=values[0, 0])}", "read-only"),
    "exits": ("exit(0)", "fails (SystemExit: 0)"),
    "silent": ("(_ for _ in ()).throw(type('E', (Exception,), {'__str__': lambda self: 1 / 0})())", "fails (E)"),
    "lines": ("int('a\\nb\\n\\n' * 9, 10 ** 3 if 'one\\ntwo' else 1)", "fails (ValueError: int() base must be"),
    "arguments": ("{'a': values[0, 0] * missing}", "fails (NameError: name 'missing' is not defined)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_gives_no_features_is_refused(what, tmp_path):
    given, message = WRONG[what]
    text = f"import numpy as np\ndef wrong(series):\n    values = series['s2'].values\n    return {given}\n"
    path = functions.write(tmp_path, text)
    with pytest.raises(SettingsError) as error:
        functions.sources([recipe(BANDS)], mine={"function": f"{path}:wrong"})
    assert str(error.value).startswith(f"external.mine: {path}:wrong ") and message in str(error.value)
    assert str(error.value).endswith(" on a generated block of 5 × 7 pixels")


def test_features_must_not_depend_on_the_images(tmp_path):
    path = functions.write(tmp_path, "def wrong(series):\n    return {'a': series['s2'].raw[:, 0]}\n")
    with pytest.raises(SettingsError, match=r"gives a\.1, a\.2, a\.3, a\.4 on one block, and a\.1, .*a\.6 on another"):
        functions.sources([recipe(BANDS)], mine={"function": f"{path}:wrong"})


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere.py:f", "nowhere.py:f cannot be imported (FileNotFoundError: "),
        (
            "no_such_module_anywhere:f",
            "cannot be imported (ModuleNotFoundError: No module named 'no_such_module_anywhere')",
        ),
        ("{here}/wrong.py:f", "wrong.py:f cannot be imported (ZeroDivisionError: division by zero)"),
        ("{here}/exits.py:f", "exits.py:f cannot be imported (SystemExit: 0)"),
        ("{here}/pipe.py:f", "pipe.py:f cannot be imported: it is no file"),
        ("{here}/folder.py:f", "folder.py:f cannot be imported: it is no file"),
        ("{here}/made.py:f", "made.py:f stands in no file ('<string>'): define it in one"),
        ("{here}/made.py:g", "made.py:g stands in no file"),
        ("{here}/right.py:g", "right.py:g cannot be imported (AttributeError: module "),
        ("{here}/right.py:number", "right.py:number is no Python function, but a int"),
    ],
)
def test_what_cannot_be_imported_is_refused(place, message, tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    functions.write(tmp_path, "import sys\nsys.exit(0)\n", "exits.py")
    functions.write(tmp_path, "exec('def f(series): ...')\ndef g(series): ...\ng.__wrapped__ = len\n", "made.py")
    functions.write(tmp_path, "1 / 0\ndef f(series): ...\n", "wrong.py")
    functions.write(tmp_path, "number = 3\ndef f(series): ...\n", "right.py")
    with pytest.raises(SettingsError) as error:
        functions.sources([recipe(BANDS)], mine={"function": place.format(here=tmp_path)})
    assert str(error.value).startswith("external.mine.function: ") and message in str(error.value)


@pytest.mark.parametrize("given", [b"\xff\xfe", {"a": [b"text"]}, object(), []])
def test_arguments_that_are_no_plain_values_are_refused(given, textures):
    if given == []:
        given.append(given)
    with pytest.raises(
        SettingsError, match=r"^external\.mine\.arguments: found .*; allowed: numbers, text, dates, true"
    ):
        functions.sources([recipe(BANDS)], mine={"function": f"{textures}:season", "arguments": {"scale": given}})


def test_arguments_may_be_dates(tmp_path):
    path = functions.write(
        tmp_path, "def f(series, day):\n    assert day == '2018-03-01'\n    return {'a': series['s2'].band('b2')[0]}\n"
    )
    given = {"function": f"{path}:f", "arguments": {"day": datetime.date(2018, 3, 1)}}
    assert functions.sources([recipe(BANDS)], mine=given)[1].arguments == {"day": "2018-03-01"}


def test_a_module_may_lie_in_the_folder_that_runs(tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    functions.write(tmp_path, "def f(series): return 1\n", "mine_here.py")
    functions.write(tmp_path / "package", "def f(series): return 2\n", "inner.py")
    monkeypatch.chdir(tmp_path)
    assert external.find("mine_here:f")(None) == 1
    assert external.find("package.inner:f")(None) == external.find("package/inner.py:f")(None) == 2
    assert external.find("parcelle.hashing:number").__name__ == "number"


def test_another_file_is_another_digest(tmp_path):
    digests = []
    for name, text in [("a", "1"), ("b", "1"), ("c", "2")]:
        path = functions.write(
            tmp_path, f"def f(series): return {{'a': series['s2'].band('b2')[0] * {text}}}\n", f"{name}.py"
        )
        digests.append(functions.sources([recipe(BANDS)], mine={"function": f"{path}:f"})[1].digest)
    assert digests[0] == digests[1] != digests[2] and len(digests[0]) == 16


def broken(tmp_path, given):
    """A function that is right on the generated blocks, which are small, and wrong on others."""
    start = "import numpy as np\ndef f(series):\n    values = series['s2'].band('b2')[0].astype(float)\n"
    small = "    if values.shape[1] < 10:\n        return {'a': values}\n"
    return f"{functions.write(tmp_path, f'{start}{small}    {given}')}:f"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("return {'b': values}", "f does not give 'a', unlike when it was tried, at rows 40–40, columns 60–79"),
        ("return {'a': values, 'b': values}", "f gives 'b', unlike when it was tried, at rows 40–40"),
        ("exit(0)", "f fails (SystemExit: 0) at rows 40–40, columns 60–79"),
        ("raise RuntimeError('no')", "f fails (RuntimeError: no) at rows 40–40, columns 60–79"),
        ("values[:] = np.nan; return {'a': values}", "f gives nan for mine.a at row 40, column "),
        (
            "values[1, 5] = 1e300; return {'a': values}",
            "f gives inf for mine.a at row 40, column 64 (window of rows 40–40",
        ),
    ],
)
def test_what_is_wrong_in_a_job_names_function_and_window(given, message, inventories, tmp_path):
    made = functions.sources([recipe(BANDS)], mine={"function": broken(tmp_path, given)})
    data = cube.read(inventories["tiled"], made, Window(60, 40, 20, 4), 1)
    with pytest.raises(InputError) as error:
        data.features()
    assert str(error.value).startswith("external.mine: ") and message in str(error.value)


def test_what_is_undefined_where_nothing_is_valid_is_nobodys_business(inventories, tmp_path):
    text = (
        "import numpy as np\ndef f(series):\n    return {'a': np.where(series['s2'].valid.any(axis=0), 1.5, np.nan)}\n"
    )
    made = functions.sources([recipe(BANDS)], mine={"function": f"{functions.write(tmp_path, text)}:f"})
    found, enough = functions.assert_independent(inventories["tiled"], made, tmp_path, (48,))
    assert not enough.all() and (found[enough][:, -1] == 1.5).all()
