"""Decision trees as plain arrays, and the loop that applies them: the class of scikit-learn, several times faster.

A pixel's way through a tree is a chain of loads that wait for each other. Sixteen pixels go side by side, so that
sixteen loads are under way; a node is eight bytes and the two children of a node are neighbours, so that a step is one
load, one comparison and one addition, without a branch; a leaf leads to itself, so that all sixteen may take as many
steps as the longest way needs. Features come plane by plane, as gap-filling leaves them: pixels side by side ask for
the same feature near the root. Leaves with the same probabilities share one row of a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numba
import numpy as np
from numba.extending import overload

from parcelle.errors import InputError
from parcelle.kernels import compiled_once, kernel

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

# Pixels that go side by side, and pixels whose features lie together in the processor's cache. A row of that block is
# an odd number of cache lines long, else the same pixel of all features would compete for a few places in the cache.
LANES, BLOCK, STRIDE = 16, 256, 288

# Pixels that are looked at together for what is no number.
CHECKED = 2**14

# A node is [place of the left child: 24 bits | where its feature starts in the block: 24 bits | threshold: 16 bits].
LARGEST_TREE, MOST_FEATURES = 2**24, 2**24 // STRIDE
_FEATURE, _LEFT, _MASK = np.uint64(16), np.uint64(40), np.uint64(2**24 - 1)


@dataclass(frozen=True)
class Trees:
    """Trees, one after the other; within each, a node comes before its children, which are neighbours.

    Attributes:
        starts: Place of each tree's root, and the number of nodes ``(tree + 1,)`` int64.
        left: Place of the left child, within the tree; of a leaf, its own ``(node,)`` uint32.
        feature: Feature that is compared ``(node,)`` uint16.
        threshold: A larger value goes right ``(node,)`` float32, rounded down: exact for every float32 value.
        row: Row of a leaf in `table` ``(node,)`` int32.
        table: Class frequencies ``(row, class)`` float64.
        features: Number of features.

    """

    starts: np.ndarray
    left: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    row: np.ndarray
    table: np.ndarray
    features: int

    @classmethod
    def of(cls, trees: "Sequence[Tree]") -> Self:
        """Lay out trees that scikit-learn has grown.

        Raises:
            InputError: There are more features, or a tree has more nodes, than a node can name.

        """
        _refuse_too_large(trees)
        laid = [_laid_out(tree) for tree in trees]
        values = [part.pop("value") for part in laid]
        place, table = _shared(np.concatenate(values), np.concatenate([part.pop("weight") for part in laid]))
        places = np.split(place, np.cumsum([len(rows) for rows in values])[:-1])
        row = np.concatenate([own[part.pop("row")] for own, part in zip(places, laid, strict=True)])
        arrays = {name: np.concatenate([part[name] for part in laid]) for name in laid[0]}
        starts = np.cumsum([0, *(tree.node_count for tree in trees)], dtype=np.int64)
        return cls(starts=starts, row=row, table=table, features=trees[0].n_features, **arrays)

    def to_arrays(self) -> dict[str, Any]:
        """Arrays to save."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """Read what `to_arrays` gave."""
        named: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__}
        return cls(**named | {"features": int(arrays["features"])})

    @cached_property
    def _nodes(self) -> np.ndarray:
        """Nodes as the loops read them ``(node,)`` uint64; a leaf's threshold is one that nothing exceeds."""
        limit = np.where(self._leaf, 32767, np.clip(np.floor(self.threshold), -32768, 32767)).astype(np.int16)
        start = self.feature.astype(np.uint64) * np.uint64(STRIDE)
        return self.left.astype(np.uint64) << _LEFT | start << _FEATURE | limit.view(np.uint16).astype(np.uint64)

    @cached_property
    def _limits(self) -> np.ndarray:
        """Thresholds of float features ``(node,)`` float32."""
        return np.where(self._leaf, np.float32(np.inf), self.threshold)

    @cached_property
    def _leaf(self) -> np.ndarray:
        own = np.concatenate([np.arange(n, dtype=np.uint32) for n in np.diff(self.starts)])
        return self.left == own

    @cached_property
    def _fits_int16(self) -> bool:
        """Whether every comparison with an int16 is exact; not if trees learnt from larger values."""
        inner = np.floor(self.threshold[~self._leaf])
        return not len(inner) or bool(inner.min() >= -32768 and inner.max() <= 32767)

    def sums(self, features: np.ndarray) -> np.ndarray:
        """Add the class frequencies of all trees, in their order.

        The sum of a pixel has the same bits as scikit-learn's on one thread, whatever pixels come with it.

        Args:
            features: ``(pixel, feature)``: int16 is compared as integers, anything else as float32. Fastest where
                pixels lie side by side in memory (the transpose of planes).

        Returns:
            ``(pixel, class)`` float64.

        Raises:
            InputError: A feature is NaN or infinite, or there are too few or too many.

        """
        if features.shape[1] != self.features:
            raise InputError(f"a model of {self.features} features is asked about {features.shape[1]}.")
        planes = self._planes(features.T)
        limits = np.zeros(1, np.int16) if planes.dtype == np.int16 else self._limits
        total = np.zeros((len(features), self.table.shape[1]))
        _ready(str(planes.dtype))
        _sum(self._nodes, limits, self.starts, self.row, self.table, planes, total)
        return total

    def _planes(self, planes: np.ndarray) -> np.ndarray:
        """Features as the loops take them: int16 or float32, pixels side by side."""
        if planes.dtype == np.int16 and self._fits_int16:
            return np.ascontiguousarray(planes)
        planes = np.ascontiguousarray(planes, np.float32)
        refuse_undefined(planes.T, "pixel")
        return planes


def refuse_undefined(features: np.ndarray, what: str) -> None:
    """Refuse features ``(pixel, feature)`` that are not finite numbers; `what` is the word for a pixel.

    Raises:
        InputError: Names the place of the first one.

    """
    for start in range(0, len(features), CHECKED):
        part = features[start : start + CHECKED]
        if not np.isfinite(part).all():
            pixel, feature = np.argwhere(~np.isfinite(part))[0]
            found = f"feature {feature + 1} of {what} {start + pixel + 1} is {part[pixel, feature]}"
            raise InputError(f"{found}, no finite number. Look at what it is made of, or leave it out.")


def _refuse_too_large(trees: "Sequence[Tree]") -> None:
    largest, features = max(tree.node_count for tree in trees), trees[0].n_features
    if largest > LARGEST_TREE or features > MOST_FEATURES:
        raise InputError(
            f"the forest has {features} features and a tree of {largest} nodes; at most {MOST_FEATURES} and "
            f"{LARGEST_TREE} can be applied. Set `model.depth`, or use fewer dates."
        )


def _laid_out(tree: "Tree") -> dict[str, np.ndarray]:
    """Nodes of a tree in the order of this module, its distinct frequencies, and the samples that reached each of them.

    Frequencies are shared within a tree first: those of all nodes of a forest take several times its own memory.
    """
    left, leaf = tree.children_left, tree.children_left < 0
    place = _order(left, tree.children_right, tree.weighted_n_node_samples)
    in_order = np.argsort(place)
    down = np.where(leaf, place, place[np.where(leaf, 0, left)])
    value, row = np.unique(np.where(leaf[:, None], tree.value[:, 0, :], 0), axis=0, return_inverse=True)
    weight = np.bincount(row.ravel(), weights=np.where(leaf, tree.weighted_n_node_samples, 0))
    nodes = {
        "left": down.astype(np.uint32),
        "feature": np.where(leaf, 0, tree.feature).astype(np.uint16),
        "threshold": np.where(leaf, 0, _rounded_down(tree.threshold)).astype(np.float32),
        "row": row.ravel(),
    }
    return {name: values[in_order] for name, values in nodes.items()} | {"value": value, "weight": weight}


def _rounded_down(thresholds: np.ndarray) -> np.ndarray:
    """Round float64 to float32, down: a float32 value exceeds the result if and only if it exceeds the threshold."""
    nearest = thresholds.astype(np.float32)
    return np.where(nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _shared(values: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each of some frequencies its row in a table without repetitions, the most visited rows first."""
    rows, inverse = np.unique(values, axis=0, return_inverse=True)
    first = np.argsort(-np.bincount(inverse.ravel(), weights=weight), kind="stable")
    rank = np.empty(len(first), np.int32)
    rank[first] = np.arange(len(first), dtype=np.int32)
    return rank[inverse.ravel()], np.ascontiguousarray(rows[first])


@kernel
def _order(left, right, weight):  # type: ignore[no-untyped-def]
    """Place of each node: children are neighbours, and the child that more samples reached is followed first."""
    place = np.zeros(len(left), np.int64)
    waiting = np.zeros(len(left), np.int64)
    free, count = 1, 1
    while count:
        count -= 1
        node = waiting[count]
        if left[node] >= 0:
            place[left[node]], place[right[node]] = free, free + 1
            free += 2
            heavy_left = weight[left[node]] >= weight[right[node]]
            waiting[count] = right[node] if heavy_left else left[node]
            waiting[count + 1] = left[node] if heavy_left else right[node]
            count += 2
    return place


def _exceeds(value, node, limits, place):  # type: ignore[no-untyped-def]
    """Whether a value is above the threshold of the node at `place`; the loops get the variant of their type."""
    raise NotImplementedError


@overload(_exceeds, inline="always")
def _exceeds_of(value, node, limits, place):  # type: ignore[no-untyped-def]
    if value == numba.int16:
        return lambda value, node, limits, place: value > np.int16(node)
    return lambda value, node, limits, place: value > limits[place]


@kernel
def _child(block, limits, node, place, lane):  # type: ignore[no-untyped-def]
    """Place of the child of a node that a pixel goes to."""
    value = block[((node >> _FEATURE) & _MASK) + np.uint64(lane)]
    return (node >> _LEFT) + np.uint64(_exceeds(value, node, limits, place))


@kernel
def _walk(tree, lim, x, rows, found):  # type: ignore[no-untyped-def]
    """Rows of the leaves that sixteen pixels reach; written out, since numba keeps scalars in registers, not arrays."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = a10 = a11 = a12 = a13 = a14 = a15 = np.uint64(0)
    n0 = n1 = n2 = n3 = n4 = n5 = n6 = n7 = n8 = n9 = n10 = n11 = n12 = n13 = n14 = n15 = tree[0]
    moved = np.uint64(1)
    while moved:
        a0, a1 = _child(x, lim, n0, a0, 0), _child(x, lim, n1, a1, 1)
        a2, a3 = _child(x, lim, n2, a2, 2), _child(x, lim, n3, a3, 3)
        a4, a5 = _child(x, lim, n4, a4, 4), _child(x, lim, n5, a5, 5)
        a6, a7 = _child(x, lim, n6, a6, 6), _child(x, lim, n7, a7, 7)
        a8, a9 = _child(x, lim, n8, a8, 8), _child(x, lim, n9, a9, 9)
        a10, a11 = _child(x, lim, n10, a10, 10), _child(x, lim, n11, a11, 11)
        a12, a13 = _child(x, lim, n12, a12, 12), _child(x, lim, n13, a13, 13)
        a14, a15 = _child(x, lim, n14, a14, 14), _child(x, lim, n15, a15, 15)
        m0, m1, m2, m3 = tree[a0], tree[a1], tree[a2], tree[a3]
        m4, m5, m6, m7 = tree[a4], tree[a5], tree[a6], tree[a7]
        m8, m9, m10, m11 = tree[a8], tree[a9], tree[a10], tree[a11]
        m12, m13, m14, m15 = tree[a12], tree[a13], tree[a14], tree[a15]
        moved = (m0 ^ n0) | (m1 ^ n1) | (m2 ^ n2) | (m3 ^ n3) | (m4 ^ n4) | (m5 ^ n5) | (m6 ^ n6) | (m7 ^ n7)
        moved |= (m8 ^ n8) | (m9 ^ n9) | (m10 ^ n10) | (m11 ^ n11) | (m12 ^ n12) | (m13 ^ n13) | (m14 ^ n14)
        moved |= m15 ^ n15
        n0, n1, n2, n3, n4, n5, n6, n7 = m0, m1, m2, m3, m4, m5, m6, m7
        n8, n9, n10, n11, n12, n13, n14, n15 = m8, m9, m10, m11, m12, m13, m14, m15
    found[0], found[1], found[2], found[3] = rows[a0], rows[a1], rows[a2], rows[a3]
    found[4], found[5], found[6], found[7] = rows[a4], rows[a5], rows[a6], rows[a7]
    found[8], found[9], found[10], found[11] = rows[a8], rows[a9], rows[a10], rows[a11]
    found[12], found[13], found[14], found[15] = rows[a12], rows[a13], rows[a14], rows[a15]


@kernel
def _sum(nodes, limits, starts, rows, table, planes, total):  # type: ignore[no-untyped-def]
    """Add up the rows of the leaves of all pixels, block by block; within a block, tree by tree."""
    trees, pixels = len(starts) - 1, planes.shape[1]
    block = np.zeros(planes.shape[0] * STRIDE, planes.dtype)
    found = np.empty((trees, BLOCK), np.int32)
    for start in range(0, pixels, BLOCK):
        count = min(BLOCK, pixels - start)
        for f in range(planes.shape[0]):
            plane = planes[f]
            part = block[f * STRIDE : (f + 1) * STRIDE]
            for i in range(count):
                part[i] = plane[start + i]
        for t in range(trees):
            first, last = starts[t], starts[t + 1]
            tree, lim, own = nodes[first:last], limits[min(first, len(limits)) :], rows[first:last]
            # The last group may be short: its other pixels are old ones, or 0, and nobody asks for them.
            for p in range(0, count, LANES):
                _walk(tree, lim, block[p:], own, found[t, p : p + LANES])
        _add(table, found, total[start : start + count])


@kernel
def _add(table, found, total):  # type: ignore[no-untyped-def]
    """Add up a table's rows: of each pixel, those of all trees in their order."""
    for p in range(len(total)):
        sums = total[p]
        for t in range(len(found)):
            row = table[found[t, p]]
            for c in range(len(row)):
                sums[c] += row[c]


@compiled_once
def _ready(dtype: str) -> None:
    """Compile for features of a type."""
    nothing = np.zeros(1, np.int16 if dtype == "int16" else np.float32)
    node = np.zeros(1, np.uint64)
    starts, rows, table = np.array([0, 1]), np.zeros(1, np.int32), np.zeros((1, 1))
    _sum(node, nothing, starts, rows, table, np.zeros((1, 2), dtype), np.zeros((2, 1)))
