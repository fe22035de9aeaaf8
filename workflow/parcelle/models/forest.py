"""Random forest (Breiman 2001), trained by scikit-learn and kept as plain arrays."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

# scikit-learn is fastest on blocks that stay in the cache, and slower by half on large ones.
BATCH = 4096
FILE = "forest.npz"


class Forest:
    """Random forest: the mean of the class frequencies in the leaves of its trees."""

    def __init__(self, trees: int = 100, depth: int | None = 25, min_samples: int = 5, features: int | str = "sqrt"):
        self._forest = RandomForestClassifier(
            n_estimators=trees, max_depth=depth, min_samples_split=min_samples, max_features=features
        )
        self.classes = np.empty(0, int)

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Grow the trees; each has a seed of its own, drawn beforehand, so threads change nothing."""
        self._forest.set_params(random_state=seed, n_jobs=threads).fit(features, labels)
        self.classes = self._forest.classes_
        return self

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Mean over the trees, added up in their order."""
        self._forest.n_jobs = 1
        batches = (features[i : i + BATCH] for i in range(0, len(features), BATCH))
        none = np.empty((0, len(self.classes)))
        return np.concatenate([none, *(self._forest.predict_proba(b) for b in batches)])

    def save(self, folder: Path) -> list[str]:
        """Write nodes and leaf frequencies of all trees, one after the other: no pickle, nothing to execute."""
        states = [tree.tree_.__getstate__() for tree in self._forest.estimators_]
        nodes = np.concatenate([s["nodes"] for s in states])
        of_nodes: dict[str, Any] = {name: nodes[name] for name in nodes.dtype.names or ()}
        np.savez_compressed(
            folder / FILE,
            classes=self.classes,
            features=self._forest.n_features_in_,
            counts=[s["node_count"] for s in states],
            depths=[s["max_depth"] for s in states],
            values=np.concatenate([s["values"] for s in states]),
            **of_nodes,
        )
        return [FILE]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Build the forest again from its arrays."""
        with np.load(folder / FILE) as arrays:
            saved = dict(arrays)
        forest = cls(trees=len(saved["counts"]))
        forest.classes = saved["classes"]
        ends = np.cumsum(saved["counts"])
        trees = [
            _tree(saved, end - count, end, i) for i, (end, count) in enumerate(zip(ends, saved["counts"], strict=True))
        ]
        inner = forest._forest
        inner.estimators_ = trees
        inner.classes_, inner.n_classes_ = forest.classes, len(forest.classes)
        inner.n_features_in_, inner.n_outputs_ = int(saved["features"]), 1
        return forest


def _tree(saved: dict[str, np.ndarray], start: int, stop: int, place: int) -> DecisionTreeClassifier:
    """One tree of a saved forest, whose nodes lie from `start` to `stop`."""
    features, classes = int(saved["features"]), saved["classes"]
    tree = Tree(features, np.array([len(classes)], np.intp), 1)
    nodes = np.empty(stop - start, tree.__getstate__()["nodes"].dtype)
    for name in nodes.dtype.names or ():
        nodes[name] = saved[name][start:stop]
    values = np.ascontiguousarray(saved["values"][start:stop])
    tree.__setstate__(
        {
            "max_depth": int(saved["depths"][place]),
            "node_count": stop - start,
            "nodes": nodes,
            "values": values,
        }
    )
    estimator = DecisionTreeClassifier()
    estimator.tree_, estimator.n_features_in_, estimator.n_outputs_ = tree, features, 1
    estimator.classes_, estimator.n_classes_ = np.arange(len(classes)), len(classes)
    return estimator
