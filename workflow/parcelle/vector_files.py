"""Files with polygons: whether they are there, and which they are."""

from pathlib import Path

from parcelle import opening
from parcelle.errors import InputError


def there(path: str, setting: str) -> str:
    """Return a path that exists.

    Raises:
        InputError: It does not, or it is no file; names the setting.

    """
    if not Path(path).exists():
        raise InputError(f"{setting}: {path} is not there: correct the path, or put the file there.")
    try:
        refuse_special(path)
    except InputError as error:
        raise InputError(f"{setting}: {error}") from None
    return path


def refuse_special(path: str) -> None:
    """Refuse what is no file among those that a vector file is made of."""
    for part in parts(path):
        opening.refuse_special(part)


def parts(path: str) -> list[str]:
    """Files that a vector file is made of: a shapefile's siblings, a GeoPackage's journal, all of a folder."""
    if Path(path).is_dir():
        return [str(p) for p in Path(path).iterdir()]
    siblings = {".shp": (".dbf", ".shx", ".prj", ".cpg"), ".gpkg": (".gpkg-wal",)}
    return [path, *(str(Path(path).with_suffix(s)) for s in siblings.get(Path(path).suffix.lower(), ()))]
