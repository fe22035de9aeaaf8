"""The page: everything it shows, put into the template."""

import base64
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from parcelle import files, provenance
from parcelle.errors import InputError
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.operations.efficiency import Efficiency
from parcelle.report import content, figures, formats, maps
from parcelle.report.sources import Assessment, Tile, read_assessment, read_tiles
from parcelle.scores import REPLICATES
from parcelle.settings import Settings

TEMPLATE = "template.html.j2"
# Longer side of a picture: as many pixels as a good screen shows, and no more.
LARGE, SMALL = 1600, 900
# Seeds whose scores are written out one by one.
SEEDS = 20
# Mosaics of numbers, and the upper end of their colour ramp; None for the largest number there is.
_RAMPS = {"confidence": 100, "validity": None}


def write(
    tables: Mapping[str, str | Path],
    mosaics: Sequence[str | Path],
    clear_shares: Sequence[str | Path],
    acquisitions: Sequence[str | Path],
    output: str | Path,
    *,
    classes: Nomenclature,
    settings: Settings,
    cost: Efficiency | str = content.NO_RECORDS,
) -> None:
    """Write the report: one HTML file that opens without network.

    The same inputs give the same bytes, but for what jobs took: the page holds no time of its own.

    Args:
        tables: Tables of the assessment: `scores`, `summary`, `confusion`, `classes`, `areas`.
        mosaics: ``mosaic/{product}.tif`` of all products; `class` must be among them.
        clear_shares: ``map/{tile}/clear.csv`` of every tile.
        acquisitions: ``acquisitions/{tile}.json`` of every tile.
        output: Path of the page.
        classes: The nomenclature.
        settings: The settings of the run.
        cost: What its jobs took; or why that is not known.

    Raises:
        StaleError: A file is not the one that was written.
        InputError: A class is not in the nomenclature, or the mosaic of classes is missing.

    """
    found = read_assessment(tables, classes.codes)
    tiles = read_tiles(clear_shares, acquisitions, content.dated(settings))
    shown = (
        _facts(settings, tiles)
        | _pictures({Path(path).stem: path for path in mosaics}, classes)
        | _accuracy(found, classes.classes, settings)
        | _areas(found)
        | _acquired(tiles, settings)
        | _cost(cost)
    )
    page = _template().render(shown)
    with files.whole(output) as draft:
        draft.write_text(page, encoding="utf-8")


def _facts(settings: Settings, tiles: Sequence[Tile]) -> dict[str, Any]:
    newest = max((day for tile in tiles for s in tile.sensors for day in s.dates), default=None)
    return {
        "title": _title(Path(settings.results)),
        "settings": settings,
        "newest": newest,
        "yaml": _yaml(settings),
        "versions": provenance.versions(),
        "settings_digest": provenance.digest(settings),
    }


def _title(results: Path) -> str:
    """What is mapped, by the name of the folder of the results, or of the one around it."""
    name = results.name if results.name != "results" else results.parent.name
    return f"Land cover: {name}" if name else "Land cover"


def _yaml(settings: Settings) -> str:
    """Write all settings, defaults included, but for `window`, which no result depends on."""
    plain = settings.model_dump(mode="json", exclude={"window"})
    # Most settings of a sensor are for some formats alone: what is empty would hide what is not.
    plain["sensors"] = {
        name: {setting: value for setting, value in sensor.items() if value is not None}
        for name, sensor in plain["sensors"].items()
    }
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _pictures(mosaics: Mapping[str, str | Path], classes: Nomenclature) -> dict[str, Any]:
    if "class" not in mosaics:
        given = formats.named([*mosaics]) or "no mosaic"
        raise InputError(f"the report needs mosaic/class.tif, and was given {given}: add it to its inputs.")
    class_map = maps.class_map(mosaics["class"], classes.codes, [c.rgb for c in classes.classes], LARGE)
    drawn = {name: high for name, high in _RAMPS.items() if name in mosaics}
    ramps = {name: maps.ramp_map(mosaics[name], SMALL, high) for name, high in drawn.items()}
    return {
        "class_map": class_map,
        "confidence": ramps.get("confidence"),
        "validity": ramps.get("validity"),
        "viridis": maps.gradient(),
        "map_version": class_map.tags.get("PARCELLE_VERSION", "unknown"),
        "map_digest": class_map.tags.get("PARCELLE_SETTINGS", "unknown"),
    }


def _accuracy(found: Assessment, classes: Sequence[LandClass], settings: Settings) -> dict[str, Any]:
    rows = content.class_rows(found, classes)
    # A class that is nowhere in the reference nor among the predictions would be an empty row and column.
    seen = [i for i in range(len(classes)) if found.confusion[i].any() or found.confusion[:, i].any()]
    pooled, names = found.confusion[seen][:, seen], [classes[i].name for i in seen]
    return {
        "oa": found.value("oa"),
        "kappa": found.value("kappa"),
        "samples": float(found.classes.query("region == 'all'")["validation"].sum()),
        "replicates": REPLICATES,
        "rows": rows,
        "largest": max((row.share or 0 for row in rows), default=0),
        "alternative": content.alternative(rows),
        "regions": content.region_rows(found, [c.code for c in classes]),
        "of_seeds": found.of_seeds.reset_index().to_dict("records")[:SEEDS],
        "more_seeds": len(found.of_seeds) - SEEDS,
        "notes": content.notes(found, classes, settings),
        "confusion": figures.confusion(pooled, names) if seen else None,
        "left_out": [c.name for i, c in enumerate(classes) if i not in seen],
        "split_words": content.split_words(settings.split),
        "split_groups": content.split_groups(settings.split),
        "split_sentence": content.split_sentence(settings.split),
        "map_sentence": content.map_sentence(settings.map),
    }


def _areas(found: Assessment) -> dict[str, Any]:
    return {"mapped_regions": content.mapped_regions(found), "unmapped": content.unmapped(found)}


def _acquired(tiles: Sequence[Tile], settings: Settings) -> dict[str, Any]:
    padding = datetime.timedelta(days=settings.period.padding)
    first, last = settings.period.start - padding, settings.period.end + padding
    rows, names = content.rows_of(tiles), content.dated(settings)
    return {
        "tiles": tiles,
        "sensors": names,
        "overviews": [(name, figures.calendars(rows, name, first, last)) for name in names if rows],
        "overviews_sentence": content.rows_sentence(tiles),
        "calendars": [(tile, figures.calendar(tile, first, last)) for tile in content.calendars_of(tiles)],
        "calendars_sentence": content.calendars_sentence(tiles),
        "left_out_colour": figures.LEFT_OUT,
        "clear_ramp": maps.gradient(figures.CLEAR_RAMP, figures.CLEAR_START),
        "problems": [(tile.name, problem) for tile in tiles for problem in tile.problems],
    }


def _cost(found: Efficiency | str) -> dict[str, Any]:
    """Rows of what jobs took, if any is known; else a sentence alone."""
    if isinstance(found, str) or not found.rows:
        return {"cost_rows": [], "worst": [], "cost_sentence": found if isinstance(found, str) else content.NO_RECORDS}
    return {"cost_rows": found.rows, "worst": found.worst, "cost_sentence": content.cost_sentence(found.others)}


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = (formats.score, formats.count, formats.percent, formats.named, formats.times)
    for write_as in (*written, formats.hours, formats.mebibytes, formats.seconds):
        environment.filters[write_as.__name__] = write_as
    environment.filters["data"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode()
    return environment.get_template(TEMPLATE)
