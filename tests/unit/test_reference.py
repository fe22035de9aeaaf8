"""Three tiles: two that overlap in UTM zone 31, and one in zone 32 that overlaps the second."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from parcelle import planning, reference, sampling, vectors
from parcelle.errors import InputError
from parcelle.grid import Grid, reproject
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.reference import Source

A = Grid("EPSG:32631", 735_000, 4_987_500, 10, 100, 100)
B = Grid("EPSG:32631", 735_700, 4_987_500, 10, 100, 100)
C = Grid("EPSG:32632", 263_700, 4_987_600, 10, 120, 100)
TILES = {"A": A, "B": B, "C": C}
OVERLAP = 735_700, 736_000
CLASSES = Nomenclature(
    (LandClass(12, "wheat", "#ff0000"), LandClass(3, "forest", "#00ff00"), LandClass(200, "water", "#0000ff"))
)


def leaf(x, y, size=40.0, turn=0.3):
    """A polygon with no right angle and no vertex on the grid; `x`, `y` in zone 31."""
    angles = np.linspace(0, 2 * np.pi, 7, endpoint=False) + turn
    radius = size * (1 + 0.3 * np.sin(3 * angles))
    return shapely.Polygon(np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]))


# In A only, over the border of A and the part that is B's own, in B only, over the zones' border, in C only, outside.
SHAPES = {
    "a": leaf(735_200, 4_987_200),
    "ab": leaf(736_000, 4_987_000, 120),
    "b": leaf(736_250, 4_987_300),
    "bc": leaf(736_690, 4_986_900, 150),
    "c": leaf(737_100, 4_987_100),
    "out": leaf(745_000, 4_987_100),
}


def save(path, shapes=SHAPES, crs="EPSG:32631", **columns):
    """A reference whose vertices are those of `shapes` in zone 31."""
    columns = columns or {"code": list(itertools.islice(itertools.cycle([12, 3, 200]), len(shapes)))}
    geometry = reproject(np.array(list(shapes.values())), "EPSG:32631", crs)
    frame = gpd.GeoDataFrame(columns, geometry=geometry, crs=crs)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path)
    return str(path)


def read(path, field="code", group=None):
    return reference.read(Source(path, field, group=group), CLASSES)


def cut(polygons, regions=None, tiles=TILES):
    """Pieces of all tiles."""
    own = planning.own_areas(tiles)
    every = planning.read_regions(None, None) if regions is None else regions
    return {
        tile: reference.pieces(polygons, grid, own[tile], planning.regions_in(every, grid, whole=regions is None))
        for tile, grid in tiles.items()
    }


def halves(x):
    """Regions `east` and `west` of an easting in zone 31."""
    shapes = [shapely.box(x, 4_900_000, x + 90_000, 5_100_000), shapely.box(x - 90_000, 4_900_000, x, 5_100_000)]
    return gpd.GeoDataFrame({"name": ["east", "west"]}, geometry=shapes, crs="EPSG:32631")


def in_zone_31(pieces):
    """Pieces of all tiles in one CRS."""
    return pd.concat([p.to_crs("EPSG:32631") for p in pieces.values() if len(p)], ignore_index=True)


def test_polygons_have_code_name_and_centroid(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg"))
    assert list(polygons.columns) == ["polygon", "code", "x", "y", "field", "geometry"]
    assert polygons.code.tolist() == [12, 3, 200, 12, 3, 200]
    assert polygons.polygon.tolist() == vectors.identity(list(SHAPES.values()))
    assert polygons.x.tolist() == pytest.approx([s.centroid.x for s in SHAPES.values()])
    assert polygons.y.tolist() == pytest.approx([s.centroid.y for s in SHAPES.values()])
    assert set(polygons.field) == {""}


@pytest.mark.parametrize(("crs", "unit"), [("EPSG:4326", 1e-5), ("EPSG:2229", 0.3048)], ids=["degrees", "feet"])
def test_centroids_are_in_metres_whatever_the_file_is_in(crs, unit, tmp_path):
    # Two squares 1,000 of the file's metre-like units apart, near Los Angeles.
    x, y = (-118.2, 34.0) if crs == "EPSG:4326" else (6_500_000.0, 1_800_000.0)
    step = 1000 * unit if crs == "EPSG:4326" else 1000
    shapes = [shapely.box(x, y, x + step / 10, y + step / 10), shapely.box(x + step, y, x + 1.1 * step, y + step / 10)]
    path = tmp_path / "r.parquet"
    gpd.GeoDataFrame({"code": [3, 12]}, geometry=shapes, crs=crs).to_parquet(path)
    polygons = read(str(path))
    expected = (
        0.01 * 111_320 * np.cos(np.radians(30))
        if crs == "EPSG:4326"
        else 304.8 * np.cos(np.radians(30)) / np.cos(np.radians(34))
    )
    assert np.diff(polygons.x)[0] == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    "values",
    [
        [12, 3, 200],
        [12.0, 3.0, 200.0],
        ["12", "3", "200"],
        ["12.0", "3.00", "200."],
        ["wheat", "forest", "water"],
        [" wheat ", "3", "water"],
    ],
    ids=str,
)
@pytest.mark.parametrize("extension", ["gpkg", "shp", "parquet"])
def test_classes_by_code_or_by_name(values, extension, tmp_path):
    shapes = {name: SHAPES[name] for name in ("a", "b", "c")}
    polygons = read(save(tmp_path / f"r.{extension}", shapes, kind=values), "kind")
    assert polygons.code.tolist() == [12, 3, 200]
    assert polygons.code.dtype == np.int32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([12, 7, 3, 7], r"class 7 of field 'kind' is not in the nomenclature \(fid 2, 4\): add it there or remove"),
        (["wheat", "rye", "12.5", "3"], r"class 'rye', '12.5' of field 'kind' is not in the nomenclature \(fid 2, 3\)"),
        (["wheat", None, " ", "3"], r"2 features have no class in 'kind' \(fid 2, 3\): fill it in or remove them"),
        ([12, None, 3, 3], r"1 features have no class in 'kind' \(fid 2\)"),
    ],
    ids=["code", "name", "blank", "null"],
)
def test_a_class_that_is_not_in_the_nomenclature(values, message, tmp_path):
    shapes = {name: SHAPES[name] for name in ("a", "b", "c", "out")}
    with pytest.raises(InputError, match=message):
        read(save(tmp_path / "r.gpkg", shapes, kind=values), "kind")


def test_groups_are_text_and_must_be_filled_in(tmp_path):
    shapes = {name: SHAPES[name] for name in ("a", "b", "c")}
    path = save(tmp_path / "r.gpkg", shapes, code=[12, 3, 3], farm=[8, 9, 8])
    assert read(path, group="farm").field.tolist() == ["8", "9", "8"]
    path = save(tmp_path / "s.gpkg", shapes, code=[12, 3, 3], farm=["x", None, "  "])
    with pytest.raises(InputError, match=r"2 features have no 'farm' \(fid 2, 3\): `split.field` must be filled in"):
        read(path, group="farm")


@pytest.mark.parametrize("name", ["code", "polygon", "x", "field", "fid"])
def test_a_users_field_may_have_one_of_our_names(name, tmp_path):
    shapes = {key: SHAPES[key] for key in ("a", "b", "c")}
    path = save(tmp_path / "r.parquet", shapes, kind=["wheat", "water", "3"], **{name: ["g", "h", "g"]})
    polygons = read(path, "kind", group=name)
    assert polygons.field.tolist() == ["g", "h", "g"]
    assert polygons.code.tolist() == [12, 200, 3]
    path = save(tmp_path / "s.parquet", shapes, **{name: [12, 200, 3]})
    assert read(path, name, group=name).code.tolist() == [12, 200, 3]


def test_an_empty_file(tmp_path):
    gpd.GeoDataFrame({"code": []}, geometry=[], crs="EPSG:32631").to_parquet(tmp_path / "r.parquet")
    with pytest.raises(InputError, match=r"r\.parquet holds no polygon\."):
        read(str(tmp_path / "r.parquet"))


def test_a_bow_tie_is_sampled_once_mended(tmp_path, caplog):
    tie = shapely.Polygon([(735_100, 4_987_100), (735_200, 4_987_200), (735_200, 4_987_100), (735_100, 4_987_200)])
    polygons = read(save(tmp_path / "r.gpkg", {"a": SHAPES["c"], "tie": tie}))
    assert polygons.geometry[1].area == pytest.approx(5000)
    assert "1 invalid polygons made valid: fid 2" in caplog.text
    assert len(sampling.pixels(cut(polygons)["A"], A)) == pytest.approx(50, abs=10)


def test_overlapping_polygons_of_different_classes_are_refused_by_their_numbers(tmp_path):
    shapes = {"a": leaf(735_200, 4_987_200), "b": leaf(735_240, 4_987_200), "c": leaf(735_500, 4_987_200)}
    with pytest.raises(InputError, match=r"r\.gpkg: polygons of different classes overlap \(fid 1 and 2\): .* Cut or"):
        read(save(tmp_path / "r.gpkg", shapes))
    with pytest.raises(InputError, match=r"different classes overlap \(fid 1 and 2\)"):
        read(save(tmp_path / "s.gpkg", {"big": leaf(735_200, 4_987_200, 200), "inside": leaf(735_200, 4_987_200)}))
    with pytest.raises(InputError, match=r"different classes overlap \(fid 1 and 2\)"):
        read(save(tmp_path / "t.gpkg", {"one": SHAPES["a"], "same": SHAPES["a"]}))


def test_overlapping_polygons_of_one_class_are_counted_and_their_pixels_count_once(tmp_path, caplog):
    shapes = {"a": leaf(735_200, 4_987_200), "b": leaf(735_240, 4_987_200), "c": leaf(735_500, 4_987_200)}
    polygons = read(save(tmp_path / "r.gpkg", shapes, code=[3, 3, 12]))
    assert caplog.messages == [f"{tmp_path}/r.gpkg: 1 pairs of polygons of one class overlap; shared pixels count once"]
    pixels = sampling.pixels(cut(polygons)["A"], A)
    assert not pixels.duplicated(["row", "column"]).any()
    alone = [len(sampling.pixels(cut(polygons[i : i + 1])["A"], A)) for i in range(2)]
    first, second = sorted(polygons.polygon[:2])
    count = pixels.polygon.value_counts()
    assert count[first] == alone[polygons.polygon.tolist().index(first)]
    assert 0 < count[second] < alone[polygons.polygon.tolist().index(second)]


@pytest.mark.parametrize(("width", "refused"), [(0.9, False), (1.1, True)])
def test_slivers_up_to_a_hundredth_of_the_smaller_one_are_tolerated(width, refused, tmp_path, caplog):
    big, small = (
        shapely.box(735_000, 4_987_000, 735_500, 4_987_400),
        shapely.box(735_500 - width, 4_987_000, 735_600 - width, 4_987_100),
    )
    path = save(tmp_path / "r.gpkg", {"big": big, "small": small})
    if refused:
        with pytest.raises(InputError, match="overlap"):
            read(path)
    else:
        assert len(read(path)) == 2
    assert not caplog.messages


def test_a_repeated_polygon_is_left_out_and_counted(tmp_path, caplog):
    shapes = {"a": SHAPES["a"], "b": SHAPES["b"], "again": shapely.reverse(SHAPES["a"])}
    polygons = read(save(tmp_path / "r.gpkg", shapes, kind=["wheat", "3", "12"]), "kind")
    assert polygons.code.tolist() == [12, 3]
    assert caplog.messages == [f"{tmp_path}/r.gpkg: 1 repeated polygons left out: fid 3"]


def test_names_do_not_depend_on_the_order_of_the_features(tmp_path):
    names = {s: n for s, n in zip(SHAPES, read(save(tmp_path / "r.gpkg")).polygon, strict=True)}
    turned = dict(reversed(SHAPES.items()))
    assert read(save(tmp_path / "s.shp", turned)).polygon.tolist() == [names[s] for s in turned]


def test_polygons_are_cut_by_the_tile_that_owns_the_place(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg"))
    names = dict(zip(polygons.polygon, SHAPES, strict=True))
    of_tile = {tile: [names[p] for p in table.polygon] for tile, table in cut(polygons).items()}
    assert {tile: sorted(found) for tile, found in of_tile.items()} == {
        "A": ["a", "ab"],
        "B": ["ab", "b", "bc"],
        "C": ["bc", "c"],
    }


def test_pieces_keep_the_polygon_and_add_up_to_it(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg"))
    pieces = cut(polygons)
    assert all(table.crs == TILES[tile].crs for tile, table in pieces.items())
    together = in_zone_31(pieces)
    for row in polygons.itertuples():
        parts = together[together.polygon == row.polygon]
        if row.geometry == polygons.geometry.iloc[-1]:
            assert parts.empty
            continue
        # The border between zones is a line that was brought from one to the other: a few mm beside itself.
        assert parts.area.sum() == pytest.approx(row.geometry.area, rel=1e-4)
        assert set(parts.code) == {row.code}
        assert (parts.x == row.x).all() and (parts.y == row.y).all()
        for one, other in itertools.combinations(parts.geometry, 2):
            assert one.intersection(other).area < 1e-3


def test_in_an_overlap_the_first_tile_has_the_polygon(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg", {"in the overlap": leaf(np.mean(OVERLAP), 4_987_000)}))
    assert [len(p) for p in cut(polygons).values()] == [1, 0, 0]
    turned = {name: TILES[name] for name in "CBA"}
    assert {tile: len(p) for tile, p in cut(polygons, tiles=turned).items()} == {"C": 0, "B": 1, "A": 0}


def test_a_tile_within_earlier_ones_has_no_piece(tmp_path):
    inside = Grid(A.crs, A.left + 100, A.top - 100, 10, 50, 50)
    table = cut(read(save(tmp_path / "r.gpkg")), tiles={"A": A, "inside": inside})["inside"]
    assert table.empty and list(table.columns) == reference.COLUMNS and table.crs == A.crs


def test_a_polygon_over_a_regions_border_is_cut_there(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg", {"a": SHAPES["a"], "b": SHAPES["b"]}))
    table = cut(polygons, halves(735_210))["A"]
    assert table.polygon.tolist() == [polygons.polygon[0]] * 2
    assert table.region.tolist() == ["east", "west"]
    east, west = table.geometry
    assert east.bounds[0] == west.bounds[2] == 735_210
    assert east.area + west.area == pytest.approx(polygons.geometry[0].area)
    assert east.area == pytest.approx(polygons.geometry[0].intersection(halves(735_210).geometry[0]).area)


def test_what_lies_outside_all_regions_is_left_out_and_counted(tmp_path, caplog):
    polygons = read(save(tmp_path / "r.gpkg"))
    pieces = cut(polygons, halves(735_300).iloc[:1])
    assert pieces["A"].area.sum() == pytest.approx(polygons.geometry[1].intersection(A.footprint()).area)
    reference.check_coverage(pieces, ["east"], polygons, "r.gpkg")
    assert caplog.messages == ["r.gpkg: 2 of 6 polygons lie outside all tiles, or of what is mapped of them"]


@pytest.mark.parametrize("crs", ["EPSG:2154", "EPSG:4326", "EPSG:3035", "EPSG:32632"])
def test_a_reference_in_another_crs_gives_the_same_pixels(crs, tmp_path):
    here, there = (cut(read(save(tmp_path / f"{i}.parquet", crs=c))) for i, c in enumerate(["EPSG:32631", crs]))
    columns = ["code", "region", "row", "column"]
    for tile, grid in TILES.items():
        expected, found = (
            sampling.pixels(p[tile], grid)[columns].sort_values(["row", "column"], ignore_index=True)
            for p in (here, there)
        )
        assert len(expected) > 20
        pd.testing.assert_frame_equal(found, expected)


def test_each_pixel_of_a_polygon_is_in_one_tile(tmp_path):
    """No centre in an overlap is sampled twice, and none is lost."""
    polygons = read(save(tmp_path / "r.gpkg", {"ab": SHAPES["ab"], "c": SHAPES["c"]}))
    pieces = cut(polygons)
    places = [
        (A.left + 10 * t.column + 10 * shift, t.row)
        for tile, shift in (("A", 0), ("B", 70))
        for t in sampling.pixels(pieces[tile], TILES[tile]).itertuples()
    ]
    assert len(places) == len(set(places))
    both = Grid(A.crs, A.left, A.top, 10, 100, 170)
    x, y = np.meshgrid(*both.centres(both.whole))
    assert len(places) == shapely.contains_xy(SHAPES["ab"], x, y).sum()


def test_no_polygon_on_any_tile(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg", {"out": SHAPES["out"], "too": leaf(746_000, 4_987_000)}))
    with pytest.raises(InputError, match=r"none of the 2 polygons of r\.gpkg lies on a tile \(A, B, C\): is the CRS"):
        reference.check_coverage(cut(polygons), ["whole"], polygons, "r.gpkg")


def test_a_region_needs_two_classes(tmp_path):
    shapes = {name: SHAPES[name] for name in ("a", "ab", "b")}
    polygons = read(save(tmp_path / "r.gpkg", shapes))
    pieces = cut(polygons, halves(735_500))
    with pytest.raises(InputError, match=r"^region 'west' has only class 12 in r\.gpkg; a model needs at least two"):
        reference.check_coverage(pieces, ["east", "west"], polygons, "r.gpkg")
    with pytest.raises(InputError, match=r"^region 'north' has no reference polygon in r\.gpkg; "):
        reference.check_coverage(pieces, ["east", "north"], polygons, "r.gpkg")
    reference.check_coverage(pieces, ["east"], polygons, "r.gpkg")


def test_pieces_are_sorted_and_read_back(tmp_path):
    polygons = read(save(tmp_path / "r.gpkg"))
    shuffled = polygons.iloc[::-1].reset_index(drop=True)
    table, again = (cut(p, halves(736_000))["B"] for p in (polygons, shuffled))
    assert table[["polygon", "region"]].apply(tuple, axis=1).is_monotonic_increasing
    for i, one in enumerate((table, again)):
        reference.write(one, str(tmp_path / f"{i}.parquet"), 100)
    assert (tmp_path / "0.parquet").read_bytes() == (tmp_path / "1.parquet").read_bytes()
    pd.testing.assert_frame_equal(gpd.read_parquet(tmp_path / "0.parquet"), table)
