"""Random forest (Breiman 2001), trained by scikit-learn and kept as plain arrays."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree._tree import Tree

# scikit-learn is fastest on blocks that stay in the cache, and slower by half on large ones.
BATCH = 4096
FILE = "forest.npz"


class Forest:
    """Random forest: the mean of the class frequencies in the leaves of its trees."""

    def __init__(self, trees: int = 100, depth: int | None = 25, min_samples: int = 5, features: int | str = "sqrt"):
        self._options = dict(n_estimators=trees, max_depth=depth, min_samples_split=min_samples, max_features=features)
        self._trees: list[Tree] = []
        self.classes = np.empty(0, int)

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Grow the trees; each has a seed of its own, drawn beforehand, so threads change nothing."""
        forest = RandomForestClassifier(**self._options, random_state=seed, n_jobs=threads).fit(features, labels)
        self._trees = [tree.tree_ for tree in forest.estimators_]
        self.classes = forest.classes_
        return self

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Mean over the trees, added up in their order, as scikit-learn's `predict_proba` on one thread.

        That function itself is not for several threads: it swaps the process's warning filters at each tree.
        """
        features = np.ascontiguousarray(features, np.float32)
        total = np.zeros((len(features), len(self.classes)))
        for start in range(0, len(features), BATCH):
            batch = features[start : start + BATCH]
            for tree in self._trees:
                total[start : start + BATCH] += tree.predict(batch)
        return total / len(self._trees)

    def save(self, folder: Path) -> list[str]:
        """Write nodes and leaf frequencies of all trees, one after the other: no pickle, nothing to execute."""
        states = [tree.__getstate__() for tree in self._trees]
        nodes = np.concatenate([s["nodes"] for s in states])
        of_nodes: dict[str, Any] = {name: nodes[name] for name in nodes.dtype.names or ()}
        np.savez_compressed(
            folder / FILE,
            classes=self.classes,
            features=self._trees[0].n_features,
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
        forest._trees = [
            _tree(saved, end - count, end, i) for i, (end, count) in enumerate(zip(ends, saved["counts"], strict=True))
        ]
        return forest


def _tree(saved: dict[str, np.ndarray], start: int, stop: int, place: int) -> Tree:
    """One tree of a saved forest, whose nodes lie from `start` to `stop`."""
    tree = Tree(int(saved["features"]), np.array([len(saved["classes"])], np.intp), 1)
    nodes = np.empty(stop - start, tree.__getstate__()["nodes"].dtype)
    for name in nodes.dtype.names or ():
        nodes[name] = saved[name][start:stop]
    values = np.ascontiguousarray(saved["values"][start:stop])
    state = {"max_depth": int(saved["depths"][place]), "node_count": stop - start, "nodes": nodes, "values": values}
    tree.__setstate__(state)
    return tree
