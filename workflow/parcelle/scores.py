"""Scores of a confusion matrix, their bootstrap interval over groups, and their spread over seeds.

Undefined (0/0) is NaN here and an empty cell in the tables; a mean leaves it out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse
from scipy.special import stdtrit

from parcelle.errors import InputError

OVERALL = ("oa", "kappa")
PER_CLASS = ("precision", "recall", "f1")
REPLICATES = 1000
LEVEL = 0.95
RANDOM_STATE = 0
# Numbers in the largest array of a chunk of replicates; a handful of such arrays live at a time (40 MB each).
CHUNK = 5_000_000


def positions(values: np.ndarray, codes: Sequence[int], where: str = "the samples") -> np.ndarray:
    """Give the place of each value in `codes`.

    Args:
        values: Class codes, ``(n,)``.
        codes: Codes of the nomenclature, in its order.
        where: What the values are from, for the message.

    Raises:
        InputError: A value is not among the codes.

    """
    values, order = np.asarray(values, dtype=np.int64), np.argsort(codes)
    ordered = np.asarray(codes, dtype=np.int64)[order]
    place = np.searchsorted(ordered, values).clip(max=len(codes) - 1)
    if (strange := values[ordered[place] != values]).size:
        known = ", ".join(map(str, codes))
        raise InputError(f"{where}: class {strange[0]} is not in the nomenclature ({known}). Add it there.")
    return order[place]


def confusion(reference: np.ndarray, predicted: np.ndarray, codes: Sequence[int]) -> np.ndarray:
    """Count pairs of reference and predicted class.

    Args:
        reference: Class codes, ``(n,)``.
        predicted: Class codes, ``(n,)``.
        codes: Codes of the nomenclature, K of them.

    Returns:
        Counts, int64 ``(K, K)``: rows are the reference, columns the prediction, in the order of `codes`.

    Raises:
        InputError: A value is not among the codes.

    """
    size = len(codes)
    cells = positions(reference, codes, "reference") * size + positions(predicted, codes, "prediction")
    return np.bincount(cells, minlength=size * size).reshape(size, size).astype(np.int64)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; x / 0 is NaN, that is undefined."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def scores_of(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the scores of confusion matrices.

    OA is the share of agreement; kappa is Cohen's (1960), with the chance agreement of the matrix's margins;
    recall is 1 - omission (producer's accuracy), precision is 1 - commission (user's accuracy), and F1 is
    2 TP / (2 TP + FP + FN): a class that is there but never found has F1 0, although its precision is
    undefined. The counts are of samples: these are no estimates for the area of the map.

    Args:
        confusion: Counts ``(..., K, K)``, rows are the reference.

    Returns:
        `oa` and `kappa` as ``(...)``; `precision`, `recall` and `f1` as ``(..., K)``; NaN where undefined.

    """
    counts = np.asarray(confusion, dtype=float)
    rows, columns, right = counts.sum(-1), counts.sum(-2), np.einsum("...kk->...k", counts)
    total, agreed = rows.sum(-1), right.sum(-1)
    # Kappa times total², so that 0/0 is met exactly: (po - pe) / (1 - pe) hides it in a rounding error.
    chance = (rows * columns).sum(-1)
    return {
        "oa": ratio(agreed, total),
        "kappa": ratio(total * agreed - chance, total**2 - chance),
        "precision": ratio(right, columns),
        "recall": ratio(right, rows),
        "f1": ratio(2 * right, rows + columns),
    }


def labels(codes: Sequence[int]) -> list[tuple[str, str]]:
    """Name the scores in the order of `stacked`: (class, score); the class is empty for an overall score."""
    return [("", score) for score in OVERALL] + [(str(code), score) for code in codes for score in PER_CLASS]


def stacked(confusion: np.ndarray) -> np.ndarray:
    """Compute all scores of matrices ``(..., K, K)``: ``(..., 2 + 3 K)``, in the order of `labels`."""
    scores = scores_of(confusion)
    overall = np.stack([scores[name] for name in OVERALL], axis=-1)
    classes = np.stack([scores[name] for name in PER_CLASS], axis=-1)
    return np.concatenate([overall, classes.reshape(*overall.shape[:-1], -1)], axis=-1)


def mean_of_defined(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Average along an axis without the undefined; undefined where all are."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis), defined.sum(axis))


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the mean ± Student-t 95 % over seeds, with one degree of freedom less than the runs.

    It tells how much the random split matters. It is no interval of the accuracy: seeds share polygons, so it
    shrinks with their number. It may reach beyond 0 and 1.

    Args:
        values: Scores ``(seed, score)``, NaN where undefined.

    Returns:
        Its ends, ``(score,)`` each; NaN with fewer than two runs.

    """
    runs, mean = (~np.isnan(values)).sum(0), mean_of_defined(values)
    squares = np.nansum((values - mean) ** 2, axis=0)
    error = np.sqrt(ratio(squares, (runs - 1).clip(min=0)) / runs.clip(min=1))
    half = stdtrit((runs - 1).clip(min=1), (1 + LEVEL) / 2) * error
    return mean - half, mean + half


@dataclass(frozen=True)
class GroupCounts:
    """Confusion counts of each group (polygon, field or block) and seed.

    Attributes:
        cells: Counts ``(seed * K * K, group)``, sparse: a row is a cell of a seed's confusion matrix.
        strata: Stratum of each group, ``(group,)``, from 0; they are resampled among those of their stratum.
        seeds: Number of seeds.
        classes: Number of classes, K.

    """

    cells: scipy.sparse.csr_array
    strata: np.ndarray
    seeds: int
    classes: int

    @classmethod
    def of(
        cls,
        cell: np.ndarray,
        group: np.ndarray,
        count: np.ndarray,
        *,
        strata: np.ndarray,
        seeds: int,
        classes: int,
    ) -> Self:
        """Collect counts that are given as a list; those of one cell and group add up.

        Args:
            cell: (Seed * K + reference position) * K + predicted position, ``(n,)``.
            group: Position of the group, ``(n,)``.
            count: Number of samples, ``(n,)``.
            strata: Stratum of each group, ``(group,)``, from 0.
            seeds: Number of seeds.
            classes: Number of classes, K.

        """
        shape = (seeds * classes**2, len(strata))
        cells = scipy.sparse.coo_array((np.asarray(count, dtype=float), (cell, group)), shape=shape)
        return cls(cells.tocsr(), strata, seeds, classes)

    @property
    def confusions(self) -> np.ndarray:
        """Confusion matrix of each seed, int64 ``(seed, K, K)``."""
        return self.shaped(self.cells @ np.ones(self.cells.shape[1]))[0].astype(np.int64)

    @property
    def groups(self) -> np.ndarray:
        """Number of groups with a reference sample of each class in any seed, ``(K,)``."""
        coo = self.cells.tocoo()
        classes = coo.row // self.classes % self.classes
        pairs = np.unique(classes.astype(np.int64) * self.cells.shape[1] + coo.col)
        return np.bincount(pairs // max(self.cells.shape[1], 1), minlength=self.classes)

    def shaped(self, sums: np.ndarray) -> np.ndarray:
        """Turn weighted sums of the cells ``(seed * K * K[, n])`` into matrices ``(n, seed, K, K)``."""
        return sums.reshape(self.cells.shape[0], -1).T.reshape(-1, self.seeds, self.classes, self.classes)


def pooled(strata: np.ndarray) -> np.ndarray:
    """Move a group that is alone in its stratum to the largest one: drawn alone it would seem certain."""
    if not len(strata):
        return strata
    sizes = np.bincount(strata)
    return np.where(sizes[strata] < 2, sizes.argmax(), strata)


def weights(strata: np.ndarray, replicates: int, chunk: int) -> Iterator[np.ndarray]:
    """Draw groups with replacement, as many of each stratum as it has.

    Args:
        strata: Stratum of each group, ``(group,)``.
        replicates: Number of draws.
        chunk: Draws given at a time; it does not change them.

    Yields:
        How often each group was drawn, float ``(group, chunk or less)``.

    """
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    generators = [np.random.default_rng([RANDOM_STATE, i]) for i in range(len(members))]
    for start in range(0, replicates, chunk):
        number = min(chunk, replicates - start)
        drawn = np.empty((len(strata), number))
        for groups, generator in zip(members, generators, strict=True):
            draws = generator.integers(len(groups), size=(number, len(groups)))
            flat = (draws * number + np.arange(number)[:, None]).ravel()
            drawn[groups] = np.bincount(flat, minlength=len(groups) * number).reshape(-1, number)
        yield drawn


def bootstrap(counts: GroupCounts, replicates: int = REPLICATES) -> np.ndarray:
    """Compute the scores, averaged over seeds, of resampled groups.

    One draw of groups serves all seeds: a group that several seeds validate on is one piece of evidence, so
    that more seeds on the same groups do not shrink the interval.

    Returns:
        Scores ``(replicate, 2 + 3 K)``, NaN where no seed defines them.

    """
    chunk = max(1, CHUNK // max(counts.cells.shape))
    means = [
        mean_of_defined(stacked(counts.shaped(counts.cells @ drawn)), axis=1)
        for drawn in weights(pooled(counts.strata), replicates, chunk)
    ]
    return np.concatenate(means)


def interval(counts: GroupCounts) -> tuple[np.ndarray, np.ndarray]:
    """Give the 95 % interval of each score, averaged over seeds, by a bootstrap over groups.

    The interval is between percentiles (Efron and Tibshirani 1993, ch. 13). Replicates in which a score is
    undefined are left out. A class with reference samples in fewer than two groups has no interval: one group
    says nothing about how groups differ.

    Returns:
        Its ends, ``(2 + 3 K,)`` each, in the order of `labels`; NaN where there is none.

    """
    groups = np.concatenate([[len(counts.strata)] * len(OVERALL), np.repeat(counts.groups, len(PER_CLASS))])
    ends = np.full((2, len(groups)), np.nan)
    if len(counts.strata) > 1:
        replicates = bootstrap(counts)
        for score in np.flatnonzero(groups > 1):
            defined = replicates[~np.isnan(replicates[:, score]), score]
            if defined.size:
                ends[:, score] = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ends[0], ends[1]
