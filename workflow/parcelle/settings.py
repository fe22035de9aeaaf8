"""The settings: their names, defaults, bounds and meaning, said once.

The JSON schema, `config/README.md` and the page of the documentation are written from this module
(``python -m parcelle.reference_pages``); a test fails where they lag behind.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from parcelle import refusals
from parcelle.errors import SettingsError
from parcelle.settings_models import Forest, Model, OwnModel
from parcelle.settings_sensors import Composite, External, Sensor
from parcelle.settings_values import Day, Group, Name, Place

# An identifier of SPDX, or an address.
LICENSE = r"[A-Za-z0-9][A-Za-z0-9.+-]*|https?://\S+"

__all__ = ["Composite", "External", "Forest", "Group", "OwnModel", "Sensor"]


class Period(Group):
    """The regular dates on which every series is interpolated."""

    start: Day = Field(description="First regular date.")
    end: Day = Field(description="No regular date lies after this one.")
    step: int = Field(10, ge=1, le=366, description="Days between regular dates.")
    padding: int = Field(
        0,
        ge=0,
        le=366,
        description="Days before `start` and after `end` whose acquisitions help at the ends.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end: found {self.end}; allowed: the start ({self.start}) or a later day")
        if self.start.year < 1970 or self.end.year > 2200:
            raise ValueError(f"found {self.start} to {self.end}; allowed: days from 1970 to 2200")
        return self


class Reference(Group):
    """Polygons whose class someone vouches for."""

    path: Place = Field(description="Any vector file: GeoPackage, shapefile, GeoParquet …, in any CRS.")
    field: str = Field(description="Field with the class: a code or a name of the nomenclature.")
    layer: str | None = Field(None, description="Layer, where the file has several.")


class Regions(Group):
    """Areas with a model each."""

    path: Place = Field(description="Any vector file, in any CRS.")
    field: str = Field(description="Field with the region's name.")
    layer: str | None = Field(None, description="Layer, where the file has several.")


class Area(Group):
    """Where maps are made, if not on whole tiles."""

    path: Place = Field(description="Any vector file with polygons, in any CRS. `area: FILE` is short for it.")
    layer: str | None = Field(None, description="Layer, where the file has several.")

    @model_validator(mode="before")
    @classmethod
    def _file(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class Split(Group):
    """How reference polygons are divided between learning and validation."""

    by: Literal["polygon", "field", "block"] = Field(
        "polygon",
        description="What goes to one side as a whole: a polygon, all polygons with one value of `field`, "
        "or all polygons of a square block.",
    )
    field: str | None = Field(None, description="For `by: field`: the field of the reference.")
    block: float | None = Field(None, ge=1, description="For `by: block`: side of the blocks, in metres.")
    ratio: float = Field(0.5, gt=0, lt=1, description="Share of the groups of a class that is learnt from.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name in ("field", "block"):
            value = getattr(self, name)
            if self.by == name and value is None:
                raise ValueError(f"{name}: this setting is required by `by: {name}`")
            if self.by != name and value is not None:
                raise ValueError(f"{name}: found {value!r} where `by` is {self.by!r}; set `by: {name}` or remove it")
        return self


class Sampling(Group):
    """Which pixels of the polygons are used; `all` (or nothing) means every valid pixel."""

    per_polygon_max: int | None = Field(None, ge=1, description="At most so many valid pixels of a polygon.")
    per_class: int | None = Field(
        None,
        ge=1,
        description="At most so many samples of a class to learn from, per model; validation is not cut.",
    )

    @model_validator(mode="before")
    @classmethod
    def _all(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "all":
            raise ValueError("allowed: `all`, or a group of settings (per_polygon_max, per_class)")
        return {} if value in (None, "all") else value


class Map(Group):
    """What is mapped, and by which models."""

    model: Literal["all"] | list[int] = Field(
        "all",
        description="`all`: one more model per region, trained on all polygons. Or a list of seeds, whose "
        "probabilities are averaged.",
    )
    products: list[Literal["class", "confidence", "validity", "probability"]] = Field(
        ["class", "confidence", "validity"], description="Rasters to write."
    )
    min_valid: int = Field(
        1, ge=1, description="A pixel with fewer valid dates in any sensor is no data, and no sample."
    )
    freeze: bool = Field(False, description="Map with the models that are there, without training them again.")
    features: list[str] = Field(
        [],
        description="Features that `snakemake … features` writes as rasters, by patterns of their names, such as "
        "`s2.ndvi.*`.",
    )

    @model_validator(mode="after")
    def _unique(self) -> Self:
        if "class" not in self.products or len(set(self.products)) < len(self.products):
            raise ValueError(f"products: found {self.products}; allowed: `class` and others, each once")
        if self.model != "all" and (not self.model or len(set(self.model)) < len(self.model)):
            raise ValueError(f"model: found {self.model}; allowed: `all`, or a list of different seeds")
        return self


class Mosaic(Group):
    """The grid of the country."""

    crs: str | None = Field(None, description="CRS, e.g. `EPSG:3035`; required where tiles have several.")
    resolution: float | None = Field(
        None, gt=0, description="Pixel size in units of the CRS; that of the tiles if empty."
    )
    origin: tuple[float, float] = Field((0, 0), strict=False, description="A point that a pixel corner falls on.")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.crs is not None:
            import pyproj

            try:
                crs = pyproj.CRS.from_user_input(self.crs)
            except pyproj.exceptions.CRSError:
                raise ValueError(f"crs: found {self.crs!r}; allowed: a CRS such as EPSG:3035") from None
            if crs.is_vertical or not (crs.is_projected or crs.is_geographic):
                raise ValueError(f"crs: found {self.crs!r}; allowed: a CRS of maps, such as EPSG:3035")
            if crs.is_geographic and self.resolution is None:
                raise ValueError(f"resolution: this setting is required, in degrees, by {self.crs}")
        return self


class Publication(Group):
    """What the provenance says of the map as a publication; no map depends on it."""

    title: str | None = Field(None, min_length=1, description="What the map is called; its tiles and year if empty.")
    license: str | None = Field(
        None,
        description="Identifier of SPDX, e.g. `CC-BY-4.0`, or address of a licence. If empty, the provenance says that "
        "none was stated.",
    )
    publisher: str | None = Field(None, min_length=1, description="Who publishes the map: an organisation.")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.license is not None and not re.fullmatch(LICENSE, self.license):
            raise ValueError(
                f"license: found {self.license!r}; allowed: an identifier of SPDX such as CC-BY-4.0, or the address of "
                "a licence"
            )
        return self


class Window(Group):
    """How a tile is walked; no result depends on it."""

    size: int = Field(
        1024,
        ge=16,
        description="Side of a window in pixels, about: windows are multiples of the files' blocks, and of full width "
        "where files are made of strips. Memory grows with its square.",
    )


class Settings(Group):
    """The whole of a settings file."""

    results: Place = Field("results", description="Folder of all outputs, logs and benchmarks.")
    tiles: list[Name] = Field(
        min_length=1, description="Tiles to map. Where tiles overlap, the first of this list comes first."
    )
    grid: Literal["header", "mgrs"] = Field(
        "header",
        description="Where a tile's grid comes from: the finest band of its sensors, or its MGRS name "
        "(Sentinel-2 tiles).",
    )
    resolution: Literal[10, 20, 30, 60] = Field(10, description="With `grid: mgrs`: pixel size in metres.")
    sensors: dict[Name, Sensor] = Field(
        min_length=1, description="Sensors by a short name, which starts the features' names."
    )
    external: dict[Name, External] = Field(
        {}, description="Functions of your own that make features, by a short name, which starts the features' names."
    )
    period: Period = Field(description="Regular dates.")
    reference: Reference = Field(description="Reference polygons.")
    nomenclature: Place = Field(description="CSV of the classes: code, name, colour, parent.")
    regions: Regions | None = Field(None, description="Areas with a model each; one model for all tiles if empty.")
    area: Area | None = Field(
        None,
        description="Where maps are made: outside of it nothing is read, learnt from or mapped. The tiles as a whole "
        "if empty.",
    )
    seeds: int = Field(
        5, ge=1, le=1000, description="Number of learn/validation splits, and models that are validated."
    )
    split: Split = Field(Split(), description="Learn/validation split.")
    sampling: Sampling = Field(Sampling(), description="Choice of pixels; `all` is every valid pixel.")
    model: Model = Field(Forest(), description="The classifier and its settings.")
    gpus: int = Field(
        1,
        ge=0,
        description="GPUs that a job asks for if its classifier can use one; 0: it works on the CPU. Forests use none.",
    )
    map: Map = Field(Map(), description="Maps.")
    mosaic: Mosaic = Field(Mosaic(), description="Mosaic.")
    on_bad_acquisition: Literal["fail", "skip"] = Field(
        "fail", description="What to do with an acquisition that is truncated, incomplete or on another grid."
    )
    check: Literal["headers", "full"] = Field(
        "headers",
        description="How the inventory looks at files: at headers and some blocks of masks, or at every block, which "
        "takes as long as reading all images.",
    )
    publication: Publication = Field(Publication(), description="Title, licence and publisher, for the provenance.")
    window: Window = Field(Window(), description="Windows.")
    cache: Literal["none", "scratch"] = Field(
        "none",
        description="Where images in JPEG 2000, which decode slowly, are kept decoded between sampling and mapping a "
        "tile. No result depends on it.",
    )
    scratch: Place | None = Field(
        None,
        description="Folder for `cache: scratch`, seen by all jobs. Copies take some 60 GB a tile and year, and are "
        "removed when the tile is mapped.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.resolution != 10 and self.grid != "mgrs":
            raise ValueError(f"resolution: found {self.resolution}; it goes with `grid: mgrs`")
        if self.cache == "scratch" and self.scratch is None:
            raise ValueError("scratch: this setting is required by `cache: scratch`; name a folder")
        if len(set(self.tiles)) < len(self.tiles):
            twice = next(t for i, t in enumerate(self.tiles) if t in self.tiles[:i])
            raise ValueError(f"tiles: found {twice!r} twice; list each tile once")
        if both := sorted(set(self.external) & set(self.sensors)):
            raise ValueError(f"external: found {both[0]!r}, which is a sensor's name too; choose another")
        if len({one.replace for one in self.external.values()}) > 1:
            name = next(name for name, one in self.external.items() if not one.replace)
            raise ValueError(f"external.{name}.replace: found False, but others replace; set it in all, or in none")
        if self.map.model != "all" and (wrong := [s for s in self.map.model if not 0 <= s < self.seeds]):
            raise ValueError(
                f"map.model: found seed {wrong[0]}; allowed: 0 to {self.seeds - 1} (`seeds` is {self.seeds})"
            )
        return self


def read(config: dict) -> Settings:
    """Check the content of a settings file.

    Raises:
        SettingsError: One line per wrong setting: its path in the YAML, what was found, what is allowed.

    """
    try:
        return Settings.model_validate(config)
    except ValidationError as error:
        lines = refusals.sentences(error, config, Settings)
        raise SettingsError("Wrong settings:\n  " + "\n  ".join(lines)) from None


class _Unrepeated(yaml.SafeLoader):
    """YAML in which a name may stand only once in its group."""


def _mapping(loader: _Unrepeated, node: yaml.MappingNode, deep: bool = False) -> dict:
    names = [key.value for key, _ in node.value]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"{loader.name}, line {node.start_mark.line + 1}: {twice!r} stands twice in one group.")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


_Unrepeated.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def refuse_repeated(path: str | os.PathLike) -> None:
    """Refuse a settings file in which a setting stands twice: YAML alone takes the last one without a word.

    Raises:
        SettingsError: Names the setting, or says where the file is no YAML.

    """
    try:
        with open(path, encoding="utf-8") as stream:
            yaml.load(stream, _Unrepeated)
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path} is no YAML that can be read: {error}") from None


def refuse_file(path: str | os.PathLike, setting: str) -> None:
    """Refuse a folder that cannot be made: where it should be, or a folder above it, something else is.

    Raises:
        SettingsError: Names the setting, and what is there.

    """
    there = next((place for place in (Path(path), *Path(path).parents) if os.path.lexists(place)), None)
    if there and not there.is_dir():
        raise SettingsError(f"{setting}: {there} is there, and is no folder: name another folder, or remove it.")
