"""An area of interest, and regions that cover a tile in part: nothing else is read, learnt from or mapped."""

import logging
from collections import Counter
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from unit import tiny

from parcelle import mapping, planning, provenance, reference, sampling, settings, vector_files
from parcelle.areas import Areas
from parcelle.errors import InputError, SettingsError
from parcelle.grid import Grid, reproject
from parcelle.images import Images
from parcelle.mapping import Options
from parcelle.training import Model

GRID = Grid("EPSG:32631", 500_000, 5_000_000, 10, 200, 160)
TILE = GRID.footprint()
RECIPES = tiny.recipes(radar=True)
OPTIONS = Options((12, 3, 5), ("class", "confidence", "validity", "probability"), 1)
# A slanted field across several windows, and a pixel by itself.
FIELD = shapely.Polygon([(500_203, 4_999_702), (500_817, 4_999_611), (500_690, 4_999_236), (500_333, 4_999_404)])
SPECK = shapely.box(501_204, 4_998_306, 501_207, 4_998_309)
AREA = shapely.union(FIELD, SPECK)
OWN = shapely.box(500_000, 4_998_000, 501_600, 4_999_600)


class ByFeatures:
    """A classifier whose answer follows from every feature of a pixel."""

    classes = np.array([3, 5, 12])

    def probabilities(self, pixels):
        mixed = np.sin(np.nan_to_num(pixels).astype(np.float64) @ np.linspace(0.1, 1, pixels.shape[1])[:, None])
        raw = np.abs(np.concatenate([mixed, mixed**2, 1 - mixed], axis=1)) + 0.01
        return raw / raw.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class Made:
    products: dict
    counts: Counter
    clear: dict
    blocks: int
    files: dict


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return tiny.scene(tmp_path_factory.mktemp("images"), grid=GRID, radar=True, block=16)


@pytest.fixture(scope="module")
def whole(scene, tmp_path_factory):
    return mapped(scene, tmp_path_factory.mktemp("whole"), {"whole": TILE})


def mapped(scene, folder, regions, window=64, threads=2, own=OWN):
    """Map the tile; the bytes of all that is written of it are `files`."""
    outputs = {p: str(folder / f"{p}.tif") for p in OPTIONS.products}
    models = {name: [Model(ByFeatures(), {})] for name in regions}
    decoded = []

    class Counting(Images):
        def __exit__(self, *words):
            decoded.append(self.blocks)
            super().__exit__(*words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping, "Images", Counting)
        counts, clear = mapping.map_tile(
            scene.inventory, Areas(regions, own), models, RECIPES, outputs, OPTIONS,
            window=window, threads=threads, tags={},
        )  # fmt: skip
    mapping.write_counts(counts, GRID.pixel_area, str(folder / "counts.csv"))
    mapping.write_clear(scene.inventory, clear, counts, folder / "clear.csv")
    products = {name: values(path) for name, path in outputs.items()}
    return Made(products, counts, clear, decoded[0], {p.name: p.read_bytes() for p in folder.iterdir()})


def values(path):
    with rasterio.open(path) as image:
        return image.read()


def inside(*geometries):
    """Pixels whose centre lies in one of some polygons, asked one by one."""
    x, y = np.meshgrid(*GRID.centres(GRID.whole))
    return np.logical_or.reduce([shapely.intersects_xy(g, x.ravel(), y.ravel()) for g in geometries]).reshape(x.shape)


@pytest.mark.parametrize("regions", [{"whole": AREA}, {"east": FIELD, "west": SPECK}], ids=["area", "regions"])
@pytest.mark.parametrize("window", [32, 48, 64, 1024])
def test_the_map_inside_is_that_of_the_whole_tile_and_0_outside(regions, window, scene, whole, tmp_path):
    made = mapped(scene, tmp_path, regions, window)
    mask = inside(AREA)
    assert 0 < mask.sum() < 0.1 * mask.size
    for product, pixels in made.products.items():
        expected = np.where(mask, whole.products[product], 0)
        assert expected.any() and np.array_equal(pixels, expected), product


@pytest.mark.parametrize("threads", [1, 3])
def test_bytes_counts_and_clear_shares_depend_on_no_window(threads, scene, tmp_path):
    first = mapped(scene, tmp_path / "first", {"whole": AREA}, 1024)
    assert len(first.files) == 2 * (len(OPTIONS.products) + 2)
    for window in (16, 32, 48, 80):
        again = mapped(scene, tmp_path / str(window), {"whole": AREA}, window, threads)
        assert [name for name, content in first.files.items() if again.files[name] != content] == []


def test_pixels_and_clear_pixels_are_those_of_the_truth(scene, tmp_path):
    made, mask, own = mapped(scene, tmp_path, {"whole": AREA}, 32), inside(AREA), inside(OWN)
    codes, names = made.products["class"][0], np.where(mask, "whole", "")
    triples = zip(names.ravel().tolist(), codes.ravel().tolist(), own.ravel().tolist(), strict=True)
    assert made.counts == Counter(triples)
    for name, valid in scene.valid.items():
        assert made.clear[name].tolist() == valid[:, mask].sum(axis=1).tolist()
    shares = [line.split(",") for line in (tmp_path / "clear.csv").read_text().splitlines()[1:]]
    expected = [(n, valid[i][mask].mean()) for n, valid in (*scene.valid.items(),) for i in range(len(valid))]
    assert [(row[0], pytest.approx(float(row[3]), abs=1e-6)) for row in shares] == expected


def test_the_blocks_that_are_decoded_fall_with_the_area(scene, whole, tmp_path):
    """A tenth of the tile, and what of the blocks and windows of 32 pixels at its border lies beyond it."""
    tenth = shapely.box(500_400, 4_998_800, 500_960, 4_999_370)
    assert inside(tenth).mean() == pytest.approx(0.1, abs=0.003)
    made = mapped(scene, tmp_path, {"whole": tenth}, 32)
    assert made.blocks < 0.3 * whole.blocks
    assert mapped(scene, tmp_path / "speck", {"whole": SPECK}, 32).blocks < 0.04 * whole.blocks


def frame(*shapes, crs="EPSG:32631", **columns):
    return gpd.GeoDataFrame(columns or {"name": range(len(shapes))}, geometry=list(shapes), crs=crs)


def save(path, *shapes, crs="EPSG:32631", layer=None):
    fine = reproject(shapely.segmentize(np.array(shapes), 20), "EPSG:32631", crs)
    frame(*fine, crs=crs).to_file(path, **({"layer": layer} if layer else {}))
    return str(path)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3035"])
@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson"])
def test_an_area_is_read_from_any_file_in_any_crs(crs, suffix, tmp_path):
    path = save(tmp_path / f"area.{suffix}", FIELD, SPECK, crs="EPSG:4326" if suffix == "geojson" else crs)
    part = planning.part_of(planning.read_area(path), GRID)
    assert part.symmetric_difference(AREA).area < 1
    assert np.array_equal(Areas({"a": part}, TILE).region_of(GRID, GRID.whole) == 0, inside(AREA))


def test_the_layer_of_an_area_must_be_named_where_there_are_several(tmp_path):
    save(tmp_path / "a.gpkg", FIELD, layer="first")
    path = save(tmp_path / "a.gpkg", SPECK, layer="second")
    with pytest.raises(InputError, match=r"a\.gpkg has the layers first, second: say which with `layer`"):
        planning.read_area(path)
    assert planning.part_of(planning.read_area(path, "second"), GRID).area == pytest.approx(SPECK.area)


def test_an_area_without_polygons_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.gpkg holds no polygon: draw the area in it, or remove `area`"):
        planning.read_area(save(tmp_path / "a.gpkg"))
    with pytest.raises(InputError, match="are not polygons"):
        planning.read_area(save(tmp_path / "b.gpkg", shapely.Point(0, 0)))


def test_a_tile_outside_of_the_area_is_refused_by_name(tmp_path):
    path = save(tmp_path / "area.gpkg", FIELD)
    grids = {"A": GRID, "B": Grid(GRID.crs, 600_000, 5_000_000, 10, 50, 50), "C": Grid("EPSG:32632", 0, 0, 10, 9, 9)}
    polygons = frame(FIELD.buffer(-50))
    with pytest.raises(InputError) as error:
        planning.parts_of(path, None, grids, polygons)
    said = f"tiles outside of the area {path}: B, C. Remove them from `tiles`, or enlarge the area."
    assert str(error.value) == said
    assert list(planning.parts_of(path, None, {"A": GRID}, polygons)) == ["A"]


def test_an_area_that_reaches_no_pixel_centre_does_not_touch(tmp_path):
    beside = shapely.box(499_000, 4_999_000, 500_004, 4_999_500)
    assert planning.part_of(planning.read_area(save(tmp_path / "a.gpkg", beside)), GRID).is_empty
    half = shapely.box(499_000, 4_999_000, 500_006, 4_999_500)
    assert not planning.part_of(planning.read_area(save(tmp_path / "b.gpkg", half)), GRID).is_empty


def test_regions_are_cut_by_the_area():
    everywhere = planning.read_regions(None, None)
    found = planning.regions_in(everywhere, GRID, whole=True, area=AREA)
    assert found.name.tolist() == ["whole"] and found.geometry[0].equals(AREA)
    zones = frame(shapely.box(0, 4_999_500, 600_000, 5_100_000), shapely.box(0, 0, 600_000, 4_999_500), name=list("ab"))
    found = planning.regions_in(zones, GRID, whole=False, area=FIELD)
    assert found.name.tolist() == ["a", "b"]
    assert found.area.sum() == pytest.approx(FIELD.area) and found.covers(SPECK).sum() == 0
    assert planning.regions_in(zones, GRID, whole=False, area=SPECK).name.tolist() == ["b"]


def test_what_areas_only_touch_along_a_line_is_no_part():
    left, right = (
        shapely.box(500_000, 4_999_000, 500_500, 4_999_800),
        shapely.box(500_500, 4_999_000, 501_000, 4_999_500),
    )
    shared = planning.common(shapely.union(left, shapely.box(500_700, 4_999_500, 500_900, 4_999_700)), right)
    assert shared.is_empty
    one = planning.common(shapely.box(500_400, 4_999_400, 500_600, 4_999_800), shapely.union(left, SPECK))
    assert one.equals(shapely.box(500_400, 4_999_400, 500_500, 4_999_800))


def test_reference_polygons_are_cut_by_the_area_and_those_outside_counted(tmp_path, caplog):
    across, out = (
        shapely.box(500_150, 4_999_450, 500_450, 4_999_550),
        shapely.box(501_000, 4_998_500, 501_100, 4_998_600),
    )
    polygons = frame(across, out, polygon=["p", "q"], code=[3, 5], field=["", ""], x=[0, 0], y=[0, 0])
    path = save(tmp_path / "area.gpkg", FIELD)
    with caplog.at_level(logging.WARNING):
        parts = planning.parts_of(path, None, {"A": GRID}, polygons)
    assert f"1 of 2 reference polygons lie outside of the area {path}" in caplog.messages
    regions = planning.regions_in(planning.read_regions(None, None), GRID, whole=True, area=parts["A"])
    pieces = reference.pieces(polygons, GRID, planning.common(TILE, parts["A"]), regions)
    assert pieces.polygon.tolist() == ["p"]
    assert pieces.area[0] == pytest.approx(across.intersection(FIELD).area)
    found = sampling.pixels(pieces, GRID)
    expected = inside(across) & inside(FIELD)
    assert expected[found.row, found.column].all() and len(found) == expected.sum() > 0


def test_files_beside_a_shapefile_belong_to_the_area(tmp_path):
    path = save(tmp_path / "area.shp", FIELD)
    assert {p.rpartition(".")[2] for p in vector_files.parts(path)} >= {"shp", "dbf", "prj"}


SETTINGS = {
    "tiles": ["31TCJ"],
    "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "/data"}},
    "period": {"start": "2018-01-01", "end": "2018-12-31"},
    "reference": {"path": "reference.gpkg", "field": "code"},
    "nomenclature": "classes.csv",
}


def area_of(value):
    return settings.read(SETTINGS | {"area": value}).area


def test_an_area_is_a_file_or_a_group():
    assert settings.read(SETTINGS).area is None and area_of(None) is None
    assert area_of("a/../b.gpkg") == area_of({"path": "b.gpkg"}) == settings.Area(path="b.gpkg")
    assert area_of({"path": "b.gpkg", "layer": "x"}).layer == "x"
    again = settings.read(settings.read(SETTINGS | {"area": "b.gpkg"}).model_dump(mode="json"))
    assert again.area == area_of("b.gpkg")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "area: found 3; allowed: a group of settings (path, layer)"),
        ("", "area: found ''; allowed: some text"),
        ("$NOWHERE_AT_ALL/a", "environment variable NOWHERE_AT_ALL is not set"),
        ({"layer": "x"}, "area.path: this setting is required"),
        ({"path": "a", "lair": "x"}, "area.lair: unknown setting; allowed here: path, layer"),
    ],
)
def test_what_is_no_area_is_refused(value, said):
    with pytest.raises(SettingsError) as error:
        area_of(value)
    assert said in str(error.value)


def test_the_digest_of_the_settings_holds_that_there_is_an_area_but_not_its_folder():
    def digest(**changes):
        return provenance.digest(settings.read(SETTINGS | changes))

    assert digest(area="a.gpkg") == digest(area="/elsewhere/a.gpkg") != digest()
    assert digest(area={"path": "a.gpkg", "layer": "x"}) != digest(area="a.gpkg")
    assert digest(check="full") == digest()
