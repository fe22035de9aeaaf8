import logging

import geopandas as gpd
import hypothesis.strategies as st
import numpy as np
import pytest
import shapely
from hypothesis import given, settings

from parcelle import vector_files, vectors
from parcelle.errors import InputError

CRS = "EPSG:32631"
FIELD = shapely.Polygon([(0, 0), (100.25, 3), (90, 70.123456789), (10, 60)], [[(20, 20), (40, 20), (40, 40)]])
TWO_PARTS = shapely.MultiPolygon([shapely.box(200, 0, 230, 30), shapely.box(300, 0, 330, 30)])
BOW_TIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
FORMATS = ["gpkg", "shp", "parquet", "geojson"]


def frame(*shapes, crs=CRS, **columns):
    columns = columns or {"code": range(1, len(shapes) + 1)}
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def save(path, table, **options):
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_file(path, engine="pyogrio", **options)
    return str(path)


def numbered(*shapes):
    return frame(*shapes).assign(fid=range(len(shapes)))


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_gives_the_same_table(extension, tmp_path):
    crs = "EPSG:4326" if extension == "geojson" else CRS
    table = frame(FIELD, TWO_PARTS, crs=crs, code=[7, 9], owner=["Ada", "Bo"])
    read = vectors.read(save(tmp_path / f"a.{extension}", table), ["code"])
    assert list(read.columns) == ["fid", "code", "geometry"]
    assert (read.code.tolist(), read.crs) == ([7, 9], table.crs)
    assert shapely.equals(read.geometry.to_numpy(), table.geometry.to_numpy()).all()
    # Features are counted from 1 in a GeoPackage, from 0 elsewhere: what QGIS shows as $id.
    assert read.fid.tolist() == ([1, 2] if extension == "gpkg" else [0, 1])


@pytest.mark.parametrize("extension", FORMATS)
def test_names_of_polygons_do_not_depend_on_the_format(extension, tmp_path):
    crs = "EPSG:4326" if extension == "geojson" else CRS
    table = frame(FIELD, TWO_PARTS, shapely.normalize(FIELD.buffer(3)), crs=crs)
    read = vectors.read(save(tmp_path / f"a.{extension}", table), ["code"])
    names = vectors.identity(table.geometry)
    assert vectors.identity(read.geometry) == names
    assert len(set(names)) == 3 and all(len(name) == 16 for name in names)


def test_a_field_twice_or_named_fid(tmp_path):
    table = frame(FIELD, TWO_PARTS, code=[1, 2], fid=[40, 41])
    read = vectors.read(save(tmp_path / "a.parquet", table), ["code", "code", "fid"])
    assert list(read.columns) == ["code", "fid", "geometry"] and read.fid.tolist() == [40, 41]


def test_a_geometry_column_of_another_name(tmp_path):
    table = frame(FIELD, TWO_PARTS).rename_geometry("outline")
    path = save(tmp_path / "a.parquet", table)
    assert vectors.read(path, ["code"]).geometry.name == "geometry"
    with pytest.raises(InputError, match="has no field 'outline'; its fields are code"):
        vectors.read(path, ["outline"])


@pytest.mark.parametrize("extension", ["gpkg", "parquet"])
def test_a_missing_field_is_told_with_those_there_are(extension, tmp_path):
    path = save(tmp_path / f"a.{extension}", frame(FIELD, code=[1], owner=["Ada"]))
    with pytest.raises(InputError, match=r"a\.\w+ has no field 'class'; its fields are code, owner\.$"):
        vectors.read(path, ["code", "class"])


@pytest.mark.parametrize("extension", ["shp", "parquet"])
def test_a_file_without_crs_is_refused(extension, tmp_path):
    path = save(tmp_path / f"a.{extension}", frame(FIELD, crs=None))
    with pytest.raises(InputError, match=r"has no CRS\. Write one into it"):
        vectors.read(path, ["code"])


@pytest.mark.parametrize("name", ["none.gpkg", "none.parquet", "none.shp"])
def test_a_missing_file(name, tmp_path):
    with pytest.raises(InputError, match=rf"{name} cannot be read as polygons: "):
        vectors.read(str(tmp_path / name), ["code"])


@pytest.mark.parametrize("name", ["a.gpkg", "a.parquet"])
def test_a_file_that_is_something_else(name, tmp_path):
    (tmp_path / name).write_text("code,name\n1,wheat\n")
    with pytest.raises(InputError, match=rf"{name} cannot be read as polygons: "):
        vectors.read(str(tmp_path / name), ["code"])


def test_tables_without_geometry(tmp_path):
    frame(FIELD).drop(columns="geometry").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet cannot be read as polygons: .*geo"):
        vectors.read(str(tmp_path / "a.parquet"), ["code"])
    (tmp_path / "a.csv").write_text("code,name\n1,wheat\n")
    with pytest.raises(InputError, match=r"a.csv has no geometry"):
        vectors.read(str(tmp_path / "a.csv"), ["code"])


def test_layers_are_named_where_there_are_several(tmp_path):
    path = save(tmp_path / "a.gpkg", frame(FIELD, code=[1]), layer="fields")
    assert vectors.read(path, ["code"]).code.tolist() == [1]
    save(tmp_path / "a.gpkg", frame(FIELD, TWO_PARTS, code=[5, 6]), layer="forests", mode="a")
    assert vectors.read(path, ["code"], "forests").code.tolist() == [5, 6]
    with pytest.raises(InputError, match="has the layers fields, forests: say which with `layer`"):
        vectors.read(path, ["code"])
    with pytest.raises(InputError, match=r"a\.gpkg cannot be read as polygons: .*lakes"):
        vectors.read(path, ["code"], "lakes")


def test_a_layer_of_geoparquet_is_refused_rather_than_ignored(tmp_path):
    path = save(tmp_path / "a.parquet", frame(FIELD))
    with pytest.raises(InputError, match="has no layers: remove `layer`"):
        vectors.read(path, ["code"], "fields")


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (shapely.Point(1, 1), "are not polygons"),
        (shapely.LineString([(0, 0), (1, 1)]), "are not polygons"),
        (shapely.GeometryCollection([shapely.box(0, 0, 1, 1), shapely.Point(5, 5)]), "are not polygons"),
        (None, "are empty"),
        (shapely.Polygon(), "are empty"),
        (shapely.Polygon([(0, 0), (5, 5), (0, 0)]), "have no area once made valid"),
    ],
    ids=["point", "line", "collection", "null", "empty", "flat"],
)
def test_what_is_no_polygon_is_refused_by_its_number(shape, what):
    with pytest.raises(InputError, match=rf"^r\.gpkg: 2 features {what} \(fid 1, 3\): "):
        vectors.mend(numbered(FIELD, shape, TWO_PARTS, shape), "r.gpkg")


def test_at_most_ten_features_are_listed():
    with pytest.raises(InputError, match=r"12 features are empty \(fid 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more\)"):
        vectors.mend(numbered(*[shapely.Polygon()] * 12), "r.gpkg")


def test_a_bow_tie_is_mended_and_counted(caplog):
    table = numbered(FIELD, BOW_TIE, TWO_PARTS)
    mended = vectors.mend(table, "r.gpkg")
    assert mended.geometry.is_valid.all()
    assert mended.geometry[1].area == pytest.approx(50)
    assert mended.geometry[1].equals(
        shapely.union(shapely.Polygon([(0, 0), (5, 5), (0, 10)]), shapely.Polygon([(10, 0), (10, 10), (5, 5)]))
    )
    assert mended.geometry[[0, 2]].tolist() == table.geometry[[0, 2]].tolist()
    assert table.geometry[1] is not mended.geometry[1] and not table.geometry[1].is_valid
    assert caplog.messages == ["r.gpkg: 1 invalid polygons made valid: fid 1"]


def test_valid_polygons_pass_untouched(caplog):
    table = numbered(FIELD, TWO_PARTS)
    with caplog.at_level(logging.INFO):
        assert vectors.mend(table, "r.gpkg").equals(table)
    assert not caplog.messages


def turned(ring, steps):
    """The same closed ring, from another vertex."""
    return ring[:-1][steps:] + ring[:-1][:steps] + [ring[:-1][steps]]


@given(start=st.integers(0, 3), inner=st.integers(0, 2), clockwise=st.booleans())
def test_a_name_does_not_depend_on_how_rings_are_written(start, inner, clockwise):
    shell = turned(list(FIELD.exterior.coords), start)
    hole = turned(list(FIELD.interiors[0].coords), inner)
    again = shapely.Polygon(shell[::-1] if clockwise else shell, [hole if clockwise else hole[::-1]])
    assert vectors.identity([again]) == vectors.identity([FIELD])


def test_a_name_does_not_depend_on_the_parts_order_or_on_other_polygons():
    name = vectors.identity([TWO_PARTS])[0]
    swapped = shapely.MultiPolygon(list(TWO_PARTS.geoms)[::-1])
    assert vectors.identity([FIELD, swapped, BOW_TIE])[1] == name
    assert vectors.identity([shapely.MultiPolygon([FIELD])]) == vectors.identity([FIELD])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_name_bears_the_noise_of_another_program(seed):
    # A rectangle has two leftmost vertices: noise decides which is the smallest unless it is rounded off before.
    noise = np.random.default_rng(seed).uniform(-2e-9, 2e-9, (5, 2))
    noise[-1] = noise[0]
    square = np.array(shapely.box(0, -3, 500_000.5, 4.25).exterior.coords)
    assert vectors.identity([shapely.Polygon(square + noise)]) == vectors.identity([shapely.Polygon(square)])


def test_a_name_changes_with_a_vertex():
    moved = shapely.transform(FIELD, lambda xy: xy + np.where(xy == xy[1], 1e-6, 0))
    assert vectors.identity([moved]) != vectors.identity([FIELD])


def test_a_vector_file_is_all_its_parts(tmp_path):
    assert vector_files.parts("a/b.shp") == ["a/b.shp", "a/b.dbf", "a/b.shx", "a/b.prj", "a/b.cpg"]
    assert vector_files.parts("a/b.gpkg") == ["a/b.gpkg", "a/b.gpkg-wal"]
    assert vector_files.parts("a/b.parquet") == ["a/b.parquet"]
    (tmp_path / "x.gdb").mkdir()
    (tmp_path / "x.gdb/a.gdbtable").touch()
    assert vector_files.parts(str(tmp_path / "x.gdb")) == [str(tmp_path / "x.gdb/a.gdbtable")]
