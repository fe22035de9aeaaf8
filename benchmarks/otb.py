"""Orfeo ToolBox, if it is installed (``apt-get install otb-bin``): its random forest of the same samples and settings.

Its programs run as processes of their own; threads are set by ``OMP_NUM_THREADS``, as its users do.
"""

import os
import shutil
import subprocess
from pathlib import Path

import geopandas as gpd
import numpy as np
import scene
import shapely
from forest import CACHE, digest

TRAIN, CLASSIFY = "otbcli_TrainVectorClassifier", "otbcli_ImageClassifier"
FOREST = {"nbtrees": 100, "max": 25, "min": 5, "var": 21, "acc": 0}


def installed() -> bool:
    """Whether both programs are found."""
    return all(shutil.which(program) for program in (TRAIN, CLASSIFY))


def trained(samples: int) -> Path:
    """Model of the simulated country, from the cache if it was trained on the same samples before."""
    features, labels = scene.training_set(samples)
    model = CACHE / f"otb-{samples}-{digest(features, labels)}.txt"
    if not model.exists():
        print(f"OTB trains on {samples:,} samples …", flush=True)
        CACHE.mkdir(exist_ok=True)
        _train(features, labels, model)
    return model


def _train(features: np.ndarray, labels: np.ndarray, model: Path) -> None:
    table, draft = model.with_suffix(".gpkg"), model.with_suffix(".draft")
    names = [f"f{i}" for i in range(features.shape[1])]
    # The program dies on a table without geometry.
    points = shapely.points(np.arange(len(labels)), 0)
    columns = dict(zip(names, features.T.astype(np.int32), strict=True)) | {"code": labels.astype(np.int32)}
    gpd.GeoDataFrame(columns, geometry=points, crs="EPSG:32631").to_file(table)
    words = ["-io.vd", table, "-io.out", draft, "-feat", *names, "-cfield", "code", "-classifier", "rf"]
    for name, value in FOREST.items():
        words += [f"-classifier.rf.{name}", value]
    _run(TRAIN, *words, threads=os.cpu_count() or 1)
    table.unlink()
    draft.rename(model)


def classify(raster: Path, model: Path, folder: Path, threads: int) -> None:
    """Write class and confidence of a prepared raster."""
    outputs = ["-out", folder / "otb-class.tif", "uint8", "-confmap", folder / "otb-confidence.tif", "float"]
    _run(CLASSIFY, "-in", raster, "-model", model, *outputs, threads=threads)


def _run(program: str, *words: object, threads: int) -> None:
    """Run a program; rasterio's own paths of PROJ and GDAL are not for it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")}
    kept |= {"OMP_NUM_THREADS": str(threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)}
    done = subprocess.run([program, *map(str, words)], env=kept, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{program} failed with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
