"""The forest: Parcelle's loop against scikit-learn, ONNX Runtime and treelite, with the very same trees.

All get the same pixels, as each likes them best: Parcelle planes of int16 (or float32), the others rows of float32.
"""

import functools
import hashlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import measure
import numpy as np
import scene
import sklearn
from measure import Figure, Figures
from sklearn.ensemble import RandomForestClassifier

from parcelle.models.forest import Forest
from parcelle.models.trees import Trees

CACHE = Path(__file__).parent / ".cache"
FEWER, MORE = 40_000, 150_000  # samples
SIDE = 256  # of the image; 65,536 pixels
SLICE, BATCH = 1024, 4096  # pixels a call, of Parcelle and of scikit-learn
FEW, FEW_REPEATS = 25_600, 3  # for the slow peers
BARS = {1: 2.0, 2: 2.5}  # against scikit-learn, by threads


@dataclass(frozen=True)
class Pixels:
    """Pixels as planes ``(feature, pixel)`` int16 and float32, and as rows ``(pixel, feature)`` float32."""

    planes: np.ndarray
    floats: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, planes: np.ndarray) -> "Pixels":
        """Lay out the same pixels in the three ways."""
        floats = planes.astype(np.float32)
        return cls(np.ascontiguousarray(planes), floats, np.ascontiguousarray(floats.T))

    def shuffled(self) -> "Pixels":
        """Give the same pixels in a random order."""
        return Pixels.of(self.planes[:, np.random.default_rng(3).permutation(self.planes.shape[1])])


@dataclass(frozen=True)
class Contest:
    """A model: scikit-learn's forest, and Parcelle's of the same trees; `stage` names the table."""

    stage: str
    forest: RandomForestClassifier
    model: Forest

    @classmethod
    def of(cls, samples: int) -> "Contest":
        """Train on so many samples."""
        forest = fitted(samples)
        return cls(f"forest, {samples:,} samples", forest, packed(forest))

    @property
    def nodes(self) -> float:
        """Nodes of a tree, on average."""
        return float(np.mean([tree.tree_.node_count for tree in self.forest.estimators_]))


@dataclass(frozen=True)
class Peer:
    """Another engine: what must be installed, what makes a task of it, and the bar."""

    needs: tuple[str, ...]
    make: Callable[[RandomForestClassifier, np.ndarray, int], Callable[[], np.ndarray]]
    bar: float


def fitted(samples: int) -> RandomForestClassifier:
    """scikit-learn's forest of the simulated country, from the cache if it was trained on the same samples before."""
    features, labels = scene.training_set(samples)
    path = CACHE / f"forest-{samples}-{digest(features, labels)}.joblib"
    if not path.exists():
        print(f"training on {samples:,} samples …", flush=True)
        forest = RandomForestClassifier(100, max_depth=25, min_samples_split=5, random_state=1, n_jobs=-1)
        CACHE.mkdir(exist_ok=True)
        joblib.dump(forest.fit(features, labels), path)
    return joblib.load(path)


def digest(*arrays: np.ndarray) -> str:
    """Short name of what a model learns from, and of the library that trains it."""
    content = hashlib.sha256(sklearn.__version__.encode())
    for array in arrays:
        content.update(np.ascontiguousarray(array))
    return content.hexdigest()[:12]


def packed(forest: RandomForestClassifier) -> Forest:
    """Parcelle's forest of the trees that scikit-learn has grown."""
    made = Forest(trees=len(forest.estimators_))
    made._trees = Trees.of([tree.tree_ for tree in forest.estimators_])
    made.classes = forest.classes_
    return made


def by_parcelle(model: Forest, planes: np.ndarray, threads: int) -> np.ndarray:
    """Probabilities ``(pixel, class)`` of planes, slice by slice."""
    slices = [planes[:, start : start + SLICE].T for start in range(0, planes.shape[1], SLICE)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(model.probabilities, slices)))


def by_sklearn(forest: RandomForestClassifier, rows: np.ndarray, threads: int) -> np.ndarray:
    """Probabilities ``(pixel, class)`` of rows, in batches; larger ones are slower."""
    forest.n_jobs = threads
    batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
    return np.concatenate([forest.predict_proba(batch) for batch in batches])


def compare(contest: Contest, order: str, pixels: Pixels, repeats: int, threads: int) -> Iterator[Figure]:
    """Measure speed against scikit-learn, on pixels in some order."""
    tasks: dict[str, Callable] = {
        "int16": lambda: by_parcelle(contest.model, pixels.planes, threads),
        "float32": lambda: by_parcelle(contest.model, pixels.floats, threads),
        "scikit-learn": lambda: by_sklearn(contest.forest, pixels.rows, threads),
    }
    seconds = measure.alternate(tasks, repeats)
    rates = {name: len(pixels.rows) / taken / 1000 for name, taken in seconds.items()}
    for kind in ("int16", "float32"):
        what = f"{kind} against scikit-learn, {order} pixels"
        pair = {f"Parcelle, {kind}": rates[kind], "scikit-learn": rates["scikit-learn"]}
        ratio = rates[kind] / rates["scikit-learn"]
        yield Figure(contest.stage, what, ratio, threads, at_least=BARS.get(threads), rates=pair, rate_unit="kpx/s")


def check(contest: Contest, order: str, pixels: Pixels) -> Iterator[Figure]:
    """Compare results with scikit-learn's."""
    truth = by_sklearn(contest.forest, pixels.rows, 1)
    for kind, planes in (("int16", pixels.planes), ("float32", pixels.floats)):
        labels, largest = differences(by_parcelle(contest.model, planes, 1), truth)
        where = f"{kind}, {order} pixels"
        yield Figure(contest.stage, f"labels that differ, {where}", labels, 1, unit="", at_most=0)
        yield Figure(contest.stage, f"largest ΔP, {where}", largest, 1, unit="", at_most=1e-6)


def differences(found: np.ndarray, truth: np.ndarray) -> tuple[int, float]:
    """Labels that differ, and the largest difference of a probability."""
    return int((found.argmax(axis=1) != truth.argmax(axis=1)).sum()), float(np.abs(found - truth).max())


def onnx_of(forest: RandomForestClassifier, rows: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """Apply the same forest by ONNX Runtime."""
    import onnxruntime
    from skl2onnx import to_onnx

    content = to_onnx(forest, rows[:1], options={"zipmap": False}).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["probabilities"], {"X": rows})[0]


def treelite_of(forest: RandomForestClassifier, rows: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """Apply the same forest by treelite's general engine."""
    import treelite

    model = treelite.sklearn.import_model(forest)
    return lambda: treelite.gtil.predict(model, rows, nthread=threads).reshape(len(rows), -1)


PEERS = {
    "ONNX Runtime": Peer(("onnxruntime", "skl2onnx"), onnx_of, 2.5),
    "treelite": Peer(("treelite",), treelite_of, 6.0),
}


def compare_peer(name: str, contest: Contest, pixels: Pixels, threads: int) -> Iterator[Figure]:
    """Measure the same forest against another engine."""
    peer = PEERS[name].make(contest.forest, pixels.rows, threads)
    own = functools.partial(by_parcelle, contest.model, pixels.planes, threads)
    seconds = measure.alternate({"Parcelle": own, name: peer}, FEW_REPEATS)
    rates = {engine: len(pixels.rows) / taken / 1000 for engine, taken in seconds.items()}
    stage, ratio, bar = f"forest, {name}", seconds[name] / seconds["Parcelle"], PEERS[name].bar
    yield Figure(stage, f"against {name}", ratio, threads, at_least=bar, rates=rates, rate_unit="kpx/s")
    labels, largest = differences(peer(), by_sklearn(contest.forest, pixels.rows, 1))
    yield Figure(stage, f"labels of {name} that are not scikit-learn's", labels, threads, unit="")
    yield Figure(stage, f"largest ΔP of {name} from scikit-learn's", largest, threads, unit="")


def against_sklearn(contest: Contest, figures: Figures, repeats: int, threads: Sequence[int]) -> None:
    """Measure one model on pixels of an image, in their order and shuffled."""
    # What a figure of speed is worth depends on the size of the trees.
    figures.add(Figure(contest.stage, "nodes of a tree", contest.nodes, 1, unit=""))
    image = Pixels.of(scene.image(SIDE))
    for order, pixels in (("coherent", image), ("shuffled", image.shuffled())):
        for count in threads:
            with measure.pinned(count):
                figures.add(*compare(contest, order, pixels, repeats, count))
        figures.add(*check(contest, order, pixels))


def against_peers(contest: Contest, figures: Figures, threads: Sequence[int]) -> None:
    """Measure one model against the other engines that are installed."""
    pixels = Pixels.of(scene.image(SIDE)[:, :FEW])
    for name, peer in PEERS.items():
        if missing := [library for library in peer.needs if importlib.util.find_spec(library) is None]:
            print(f"{name} is skipped: {missing[0]} is not installed; requirements/peers.txt names it.")
            continue
        for count in threads:
            with measure.pinned(count):
                figures.add(*compare_peer(name, contest, pixels, count))


def main() -> None:
    """Measure all models."""
    given = measure.arguments(__doc__)
    figures = Figures(given.output)
    for samples in (FEWER, MORE) if given.full else (FEWER,):
        contest = Contest.of(samples)
        against_sklearn(contest, figures, given.repeats, given.threads)
        if given.full and samples == FEWER:
            against_peers(contest, figures, given.threads)
    figures.write()


if __name__ == "__main__":
    main()
