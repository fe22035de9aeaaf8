"""Random forest (Breiman 2001), trained by scikit-learn and applied by Parcelle's own loop."""

from pathlib import Path
from typing import Self

import numpy as np

from parcelle.models.trees import Trees, refuse_undefined

FILE = "forest.npz"


class Forest:
    """Random forest: the mean of the class frequencies in the leaves of its trees."""

    grows = "RandomForestClassifier"  # of scikit-learn

    def __init__(self, trees: int = 100, depth: int | None = 25, min_samples: int = 5, features: int | str = "sqrt"):
        self._options = dict(n_estimators=trees, max_depth=depth, min_samples_split=min_samples, max_features=features)
        self._trees: Trees | None = None
        self.classes = np.empty(0, int)

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Grow the trees; each has a seed of its own, drawn beforehand, so threads change nothing.

        Raises:
            InputError: A feature is NaN or infinite, or the trees are too large to be applied.

        """
        # Here and no earlier: to map takes nothing of it, and it takes a second to load.
        from sklearn import ensemble

        refuse_undefined(features, "sample")
        forest = getattr(ensemble, self.grows)(**self._options, random_state=seed, n_jobs=threads).fit(features, labels)
        self._trees = Trees.of([tree.tree_ for tree in forest.estimators_])
        self.classes = forest.classes_
        return self

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Mean over the trees: the bits of scikit-learn's `predict_proba` on one thread."""
        trees = self._known()
        return trees.sums(features) / (len(trees.starts) - 1)

    def _known(self) -> Trees:
        if self._trees is None:
            raise RuntimeError("the forest is not trained")
        return self._trees

    def save(self, folder: Path) -> list[str]:
        """Write nodes and leaf frequencies of all trees: no pickle, nothing to execute."""
        np.savez_compressed(folder / FILE, classes=self.classes, **self._known().to_arrays())
        return [FILE]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(folder / FILE) as arrays:
            saved = dict(arrays)
        forest = cls(trees=len(saved["starts"]) - 1)
        forest.classes = saved["classes"]
        forest._trees = Trees.from_arrays(saved)
        return forest


class ExtraTrees(Forest):
    """Extremely randomised trees (Geurts et al. 2006): thresholds are drawn, not searched for."""

    grows = "ExtraTreesClassifier"
