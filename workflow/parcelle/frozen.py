"""Models that are taken as they are: whether they are there, and still mean what the nomenclature says."""

import functools
from pathlib import Path

from parcelle import files
from parcelle.errors import InputError
from parcelle.nomenclature import Nomenclature


@functools.cache
def check(path: str, nomenclature: Nomenclature) -> None:
    """Look at a frozen model before anything is mapped by it.

    Args:
        path: Its `model.json`.
        nomenclature: What the codes of the map are going to be called.

    Raises:
        InputError: It is not there, or its classes have changed places in the nomenclature since it was trained.

    """
    if not Path(path).is_file():
        raise InputError(
            f"{path} is not there, and `map.freeze` takes models as they are: train it first, with "
            "`map: {freeze: false}`, or put it there."
        )
    # A class that was renamed is no other class; models made before names were kept say none.
    learnt = {name: int(code) for code, name in files.read_json(path).get("names", {}).items()}
    for code, name in nomenclature.names_by_code():
        if learnt.get(name, code) != code:
            raise InputError(
                f"{path} learnt {name!r} as code {learnt[name]}, and the nomenclature gives it code {code} now: "
                f"frozen, it would be mapped under a wrong name. Give it code {learnt[name]} again, or train anew: "
                "`map: {freeze: false}` and snakemake --forcerun train."
            )
