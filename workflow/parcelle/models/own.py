"""A classifier of the user's own, of which nothing is taken on trust: a wrong map does not show that it is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from parcelle import files
from parcelle.errors import InputError
from parcelle.foreign import kind, told

if TYPE_CHECKING:
    from parcelle.models import Classifier

# What probabilities may be off by, below 0 and above 1 (less than what shows in a product), and in their sum; and what
# those of the same samples may differ by.
ROUNDING, TOLERANCE = 1e-4, 1e-3

# Samples that a classifier is tried on.
TRIED = 1000

# Files in the folder of a model that are none of its weights.
_TAKEN = ("model.json", "validation.parquet")


class Own:
    """Asks a classifier of the user's own, and looks at what it gives.

    Attributes:
        classes: Codes of the classes it knows, ascending ``(class,)``.

    """

    def __init__(self, place: str, classifier: "Classifier", classes: Sequence[int] = ()):
        """Hold the classifier of the class at `place`, as ``module:Class`` or ``folder/file.py:Class``."""
        self._place, self._classifier = place, classifier
        self.classes = np.array(classes, int)
        self._tried: tuple[np.ndarray, np.ndarray] | None = None

    def fit(self, features: np.ndarray, labels: np.ndarray, *, seed: int, threads: int) -> Self:
        """Let it learn, as `Classifier.fit`, and try it on some of the samples.

        Raises:
            InputError: It fails, changes the features, or does not know which classes it has learnt; or what it gives
                for samples are no probabilities, or depend on more than the sample.

        """
        rows = np.linspace(0, len(features) - 1, min(len(features), TRIED)).astype(int)
        before = features[rows]
        with told(f"{self._place}.fit fails", InputError):
            self._classifier.fit(features, labels, seed=seed, threads=threads)
        self._refuse_changed(before, features[rows], "fit")
        self.classes = _classes(self._place, self._classifier, labels)
        self._tried = before, self._try(before)
        return self

    def _try(self, features: np.ndarray) -> np.ndarray:
        """Probabilities of some samples: the same when half of them are asked about, laid out as while mapping."""
        asked = features.copy()
        found = self.probabilities(asked).copy()  # it may give the same array at each call
        self._refuse_changed(features, asked, "probabilities")
        if (worst := _difference(found[::2], self.probabilities(np.asfortranarray(features[::2])))) > TOLERANCE:
            raise InputError(
                f"{self._place}.probabilities gives for the same samples what differs by {worst:.3g} when fewer of "
                "them are asked about, in Fortran order: what a pixel gets must follow from its own features alone."
            )
        return found

    def _refuse_changed(self, before: np.ndarray, after: np.ndarray, method: str) -> None:
        if not np.array_equal(before, after, equal_nan=True):
            raise InputError(f"{self._place}.{method} changes the features it is given: let it work on a copy of them.")

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Probability of each class ``(pixel, class)`` float64, as `Classifier.probabilities`.

        Raises:
            InputError: It fails, or what it gives are no probabilities.

        """
        with told(f"{self._place}.probabilities fails", InputError):
            made = self._classifier.probabilities(features)
        what = f"{self._place}.probabilities gives"
        _refuse_other(made, (len(features), len(self.classes)), what)
        _refuse_improbable(made, what)
        return made.astype(float, copy=False)

    def save(self, folder: Path) -> list[str]:
        """Write the weights in the place of those that were there, read them back, and give the names of the files.

        Raises:
            InputError: It fails, names no file or one that it has not written, or what is read back is another model.

        """
        with files.workspace(folder / _TAKEN[0]) as draft:
            with told(f"{self._place}.save fails", InputError):
                names = self._classifier.save(draft)
            _refuse_names(names, draft, f"{self._place}.save")
            _remove_weights(folder)
            for name in names:
                (draft / name).replace(folder / name)
                files.put(files.beside(folder / name), files.checksum(folder / name))
        self._refuse_other_model(folder)
        return list(names)

    def _refuse_other_model(self, folder: Path) -> None:
        """Refuse weights that, read back, give other probabilities than what was trained."""
        if self._tried is None:
            raise RuntimeError("the classifier is not trained")
        features, expected = self._tried
        again = load(self._place, type(self._classifier), folder, self.classes.tolist())
        if (worst := _difference(again.probabilities(features.copy()), expected)) > TOLERANCE:
            raise InputError(
                f"{self._place}.load gives another model than was saved: probabilities of the samples differ by up to "
                f"{worst:.3g}. Let `save` write, and `load` read, all that `probabilities` needs."
            )


def load(place: str, found: "type[Classifier]", folder: Path, classes: Sequence[int]) -> Own:
    """Read a classifier of the class at `place`, which has learnt some classes.

    Raises:
        InputError: It fails, gives no classifier, or one of other classes.

    """
    with told(f"{place}.load fails", InputError):
        classifier = found.load(folder)
        known = np.asarray(getattr(classifier, "classes", None))
    if not callable(getattr(classifier, "probabilities", None)):
        raise InputError(f"{place}.load gives {kind(classifier)}, where a trained {found.__name__} is expected.")
    if not np.array_equal(known, list(classes)):
        raise InputError(f"{place}.load gives a model of the classes {_short(known)}, where it learnt {list(classes)}.")
    return Own(place, classifier, classes)


def _classes(place: str, classifier: "Classifier", labels: np.ndarray) -> np.ndarray:
    """Classes that a classifier says it has learnt."""
    with told(f"{place}.classes cannot be read after `fit`", InputError):
        known = np.asarray(classifier.classes)
    whole = known.ndim == 1 and known.size and known.dtype.kind in "iu"
    if whole and np.isin(known, labels).all() and (known[1:] > known[:-1]).all():
        return known.astype(int)
    raise InputError(
        f"{place}.classes is {_short(known)} after `fit`, where codes of its labels are expected, as whole numbers, "
        "ascending, each once: self.classes = np.unique(labels)."
    )


def _short(values: np.ndarray) -> str:
    text = str(values.tolist())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _refuse_other(made: Any, shape: tuple[int, int], what: str) -> None:
    """Refuse what is no array of numbers of this shape."""
    if not isinstance(made, np.ndarray) or isinstance(made, np.ma.MaskedArray) or made.dtype.kind not in "biuf":
        raise InputError(f"{what} {kind(made)}, where an array of numbers is expected.")
    if made.shape != shape:
        raise InputError(f"{what} an array of shape {made.shape}, where (pixel, class) is {shape}.")


def _refuse_improbable(made: np.ndarray, what: str) -> None:
    """Refuse numbers ``(pixel, class)`` that are no probabilities; this is done while mapping, so few passes."""
    if not made.size:
        return
    low, high = made.min(), made.max()
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # NaN is neither
        wrong = high if low >= -ROUNDING else low
        raise InputError(f"{what} {wrong:g}, where probabilities are expected, from 0 to 1.")
    sums = made.sum(axis=1, dtype=float)
    if (off := np.abs(sums - 1)).max() > TOLERANCE:
        found = sums[off.argmax()]
        raise InputError(f"{what} probabilities of a pixel that add up to {found:g}: divide each row by its sum.")


def _refuse_names(names: Any, folder: Path, method: str) -> None:
    """Refuse what are no names of files that were written into a folder."""
    several = isinstance(names, list | tuple)
    if other := [value for value in (names if several else [names]) if not (several and isinstance(value, str))]:
        found = f"{kind(other[0])} in its list" if several else kind(names)
        raise InputError(f"{method} gives {found}, where a list of the names of its files is expected, as text.")
    if not names:
        raise InputError(f"{method} named no file: let it give the names of the files that it wrote.")
    for name in names:
        if not name or Path(name).name != name or name in _TAKEN or name.endswith(".sha256"):
            raise InputError(f"{method} names a file {name!r}: write it right into the folder, under another name.")
        if not (folder / name).is_file():
            raise InputError(f"{method} names a file {name!r}, but has written none of that name into its folder.")


def _remove_weights(folder: Path) -> None:
    """Remove the weights of an earlier model: those that a checksum lies beside. A file of somebody else has none."""
    for digest in folder.glob("*.sha256"):
        if (name := digest.name.removesuffix(".sha256")) not in _TAKEN:
            (folder / name).unlink(missing_ok=True)
            digest.unlink(missing_ok=True)


def _difference(some: np.ndarray, others: np.ndarray) -> float:
    return float(np.abs(some - others).max(initial=0))
