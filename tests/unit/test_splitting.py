import hashlib

import geopandas as gpd
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from unit import tiny

from parcelle import reference, splitting
from parcelle.splitting import LEARNING, VALIDATION, Options

RATIOS = st.floats(0.05, 0.95)
POLYGON = Options("polygon", None, 0.5)
BORDER = 1e-9


def table(codes, fields=None, xy=None, start=0):
    """Polygons of some classes; their names are those of their rows."""
    names = [f"p{i + start:04}" for i in range(len(codes))]
    fields = [""] * len(codes) if fields is None else [str(f) for f in fields]
    x, y = zip(*xy, strict=True) if xy else (np.zeros(len(codes)),) * 2
    return pd.DataFrame({"polygon": names, "code": codes, "x": x, "y": y, "field": fields})


def sides(polygons, options, seed=0, region="whole"):
    result = splitting.split(polygons, options, region, seed)
    assert list(result.columns) == ["polygon", "code", "group", "side"]
    assert sorted(result.polygon) == sorted(polygons.polygon)
    assert set(result.side) <= {LEARNING, VALIDATION}
    return dict(zip(result.polygon, result.side, strict=True))


def learnt(result, code):
    """Groups of a class, and how many of them learn."""
    groups = result[result.code == code].drop_duplicates("group")
    return len(groups), (groups.side == LEARNING).sum()


CODES = st.lists(st.integers(1, 4), min_size=1, max_size=60)
# Fields of one class each: the class is the field's number modulo 3.
ONE_CLASS_FIELDS = st.lists(st.integers(0, 20), min_size=1, max_size=60)
MIXED = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), min_size=1, max_size=60)


@given(CODES, RATIOS, st.integers(0, 50))
def test_each_class_approaches_the_ratio_by_less_than_a_polygon(codes, ratio, seed):
    result = splitting.split(table(codes), Options("polygon", None, ratio), "whole", seed)
    for code in set(codes):
        count, learning = learnt(result, code)
        if count == 1:
            assert learning == 1
        else:
            assert 1 <= learning < count
            nearest = min(range(1, count), key=lambda n: abs(n - ratio * count))
            assert abs(learning - ratio * count) <= abs(nearest - ratio * count) + BORDER


@given(ONE_CLASS_FIELDS, RATIOS, st.integers(0, 50))
def test_each_class_approaches_the_ratio_by_less_than_a_field(fields, ratio, seed):
    result = splitting.split(table([f % 3 for f in fields], fields), Options("field", None, ratio), "whole", seed)
    assert result.groupby("group").side.nunique().max() == 1
    for code in {f % 3 for f in fields}:
        count, learning = learnt(result, code)
        assert learning == 1 if count == 1 else 1 <= learning < count
        assert count == 1 or abs(learning - ratio * count) <= 1


@given(MIXED, RATIOS, st.integers(0, 50))
def test_a_field_of_several_classes_goes_to_one_side(rows, ratio, seed):
    codes, fields = zip(*rows, strict=True)
    result = splitting.split(table(codes, fields), Options("field", None, ratio), "whole", seed)
    assert result.group.tolist() == [str(f) for f in fields]
    assert result.groupby("group").side.nunique().max() == 1
    # The class with fewest fields is decided first, hence as if it were alone.
    counts = {code: len({f for c, f in rows if c == code}) for code in set(codes)}
    rarest = min(counts, key=lambda c: (counts[c], c))
    count, learning = learnt(result, rarest)
    assert learning == 1 if count == 1 else 1 <= learning < count and abs(learning - ratio * count) <= 1


@given(MIXED, st.sampled_from(["polygon", "field", "block"]), st.randoms(use_true_random=False))
def test_the_order_of_the_polygons_changes_nothing(rows, by, random):
    codes, fields = zip(*rows, strict=True)
    options = Options(by, 100.0 if by == "block" else None, 0.5)
    polygons = table(codes, fields, [(70 * f, 90 * c) for c, f in rows])
    order = random.sample(range(len(rows)), len(rows))
    assert sides(polygons.iloc[order], options) == sides(polygons, options)


@given(CODES, st.integers(1, 5), RATIOS, st.integers(0, 50))
@settings(max_examples=200)
def test_a_new_polygon_moves_at_most_one_other(codes, new, ratio, seed):
    options = Options("polygon", None, ratio)
    before = sides(table(codes), options, seed)
    polygons = pd.concat([table(codes), table([new], start=5000)])
    after = sides(polygons, options, seed)
    moved = polygons[polygons.polygon.map(lambda name: name in before and before[name] != after[name])]
    assert len(moved) <= 1 and set(moved.code) <= {new}


@given(MIXED, st.integers(0, 12), st.integers(0, 20))
def test_a_new_polygon_of_a_known_field_and_class_moves_nothing(rows, place, seed):
    codes, fields = zip(*rows, strict=True)
    code, field = rows[place % len(rows)]
    options = Options("field", None, 0.5)
    before = sides(table(codes, fields), options, seed)
    after = sides(pd.concat([table(codes, fields), table([code], [field], start=5000)]), options, seed)
    assert after.pop("p5000") == before[f"p{place % len(rows):04}"]
    assert after == before


def test_seeds_and_regions_differ_and_a_seed_stays():
    polygons = table([1] * 50 + [2] * 50)
    found = [sides(polygons, POLYGON, seed, region) for seed, region in [(0, "a"), (1, "a"), (2, "a"), (0, "b")]]
    for i, one in enumerate(found):
        assert sum(side == LEARNING for side in one.values()) == 50
        for other in found[:i]:
            same = sum(one[name] == other[name] for name in one)
            assert 30 <= same <= 70
    assert sides(polygons, POLYGON, 0, "a") == found[0]


def test_over_many_seeds_every_polygon_is_validated_as_often():
    """50 ± 4 standard deviations of 100 throws of a coin."""
    counts = pd.Series(0, [f"p{i:04}" for i in range(20)])
    for seed in range(100):
        counts += pd.Series(sides(table([1] * 20), POLYGON, seed)) == VALIDATION
    assert counts.between(30, 70).all()


def test_the_first_by_the_hash_of_seed_region_class_and_group_learn():
    """A change of the hash, or of what goes into it, would reshuffle every user's split."""
    found = sides(table([1] * 6 + [2] * 3), Options("polygon", None, 0.5), seed=3, region="alps")
    expected = {}
    for code, names, learning in [(1, list(found)[:6], 3), (2, list(found)[6:], 2)]:
        texts = {name: f"3\0alps\0{code}\0{name}".encode() for name in names}
        order = sorted(names, key=lambda n: hashlib.blake2b(texts[n], digest_size=8).digest())
        expected |= {name: LEARNING if i < learning else VALIDATION for i, name in enumerate(order)}
    assert found == expected
    assert "".join(side[0] for side in found.values()) == "vllvvllvl"


def test_a_class_of_one_group_only_learns_and_is_told(caplog):
    result = splitting.split(table([1, 1, 1, 7, 7], [1, 2, 3, 4, 4]), Options("field", None, 0.5), "whole", 0)
    assert set(result.side[result.code == 7]) == {LEARNING}
    assert caplog.messages == ["class 7 is on the learning side only: its groups cannot be divided"]


def test_a_class_whose_groups_are_those_of_rarer_ones_is_told(caplog):
    # Class 3 stands in two fields, but each is all that another class has to learn from.
    result = splitting.split(table([1, 2, 3, 3], ["a", "b", "a", "b"]), Options("field", None, 0.5), "whole", 0)
    assert set(result.side) == {LEARNING}
    assert caplog.messages == [
        f"class {code} is on the learning side only: its groups cannot be divided" for code in (1, 2, 3)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_the_rarest_class_is_decided_first_whatever_its_code(seed):
    # Class 9 stands in two of the ten fields of class 1: one of them learns, one validates.
    polygons = table([1] * 10 + [9] * 2, [*range(10), 3, 4])
    result = splitting.split(polygons, Options("field", None, 0.5), "whole", seed)
    assert sorted(result.side[result.code == 9]) == [LEARNING, VALIDATION]
    assert (result.side[result.code == 1] == LEARNING).sum() == 5


def test_a_class_beside_a_rarer_one_still_has_both_sides():
    # The field of class 1 holds class 2 as well, which has two others.
    result = splitting.split(table([1, 2, 2, 2], [1, 1, 2, 3]), Options("field", None, 0.5), "whole", 0)
    assert set(result.side[result.code == 1]) == {LEARNING}
    assert (result.side[result.code == 2] == LEARNING).sum() == 2


def test_blocks_are_squares_of_the_ground():
    xy = [(0, 0), (79.9, 79.9), (80, 0), (0, 80), (-0.1, 0), (1000, -1000.5)]
    found = splitting.groups(table([1] * 6, xy=xy), Options("block", 80.0, 0.5))
    assert found.tolist() == ["0_0", "0_0", "1_0", "0_1", "-1_0", "12_-13"]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e7)), min_size=2, max_size=40), st.integers(0, 9))
def test_polygons_of_a_block_stay_together(xy, seed):
    polygons = table([1 + i % 2 for i in range(len(xy))], xy=xy)
    found = sides(polygons, Options("block", 1e5, 0.5), seed)
    of_block = {}
    for row in polygons.itertuples():
        of_block.setdefault((row.x // 1e5, row.y // 1e5), set()).add(found[row.polygon])
    assert all(len(s) == 1 for s in of_block.values())


def test_groups_by_polygon_and_by_field():
    polygons = table([1, 2], ["farm", "farm"])
    assert splitting.groups(polygons, POLYGON).tolist() == ["p0000", "p0001"]
    assert splitting.groups(polygons, Options("field", None, 0.5)).tolist() == ["farm", "farm"]


def tiles_with(tmp_path, **pieces):
    """Reference files of two tiles."""
    paths = []
    for tile, table_of_tile in pieces.items():
        paths.append(str(tmp_path / f"{tile}.parquet"))
        reference.write(table_of_tile, paths[-1], 100)
    return paths


def test_pieces_of_one_polygon_are_one(tmp_path):
    every = tiny.squares(tiny.patches(), region=lambda x, y: "west" if x < 500_300 else "east")
    west = every[every.region == "west"].reset_index(drop=True)
    paths = tiles_with(tmp_path, T1=every, T2=west.iloc[::-1], T3=every.iloc[:0])
    for order in (paths, paths[::-1]):
        found = splitting.polygons(order, "west")
        assert list(found.columns) == ["polygon", "code", "x", "y", "field"]
        pd.testing.assert_frame_equal(found, pd.DataFrame(west[list(found.columns)]), check_dtype=False)


def test_a_split_is_read_back(tmp_path):
    polygons = splitting.polygons(tiles_with(tmp_path, T1=tiny.squares(tiny.patches())), "whole")
    result = splitting.split(polygons, POLYGON, "whole", 4)
    for name in ("a", "b"):
        splitting.write(result, str(tmp_path / f"split/{name}.parquet"))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "split/a.parquet"), result, check_dtype=False)
    assert (tmp_path / "split/a.parquet").read_bytes() == (tmp_path / "split/b.parquet").read_bytes()


@pytest.mark.parametrize("ratio", [0.5, 0.67])
def test_the_whole_of_a_reference_is_divided_by_its_ratio(ratio):
    polygons = pd.DataFrame(tiny.squares(tiny.patches()).drop(columns=["geometry", "region"]))
    result = splitting.split(polygons, Options("polygon", None, ratio), "whole", 0)
    counts = result.groupby("code").side.value_counts().unstack()
    share = counts[LEARNING] / counts.sum(axis=1)
    assert isinstance(polygons, pd.DataFrame) and not isinstance(polygons, gpd.GeoDataFrame)
    assert (abs(share - ratio) <= 0.5 / counts.sum(axis=1) + 1e-9).all()
