"""The settings: their names, defaults, bounds and meaning, said once.

The JSON schema, `config/README.md` and the page of the documentation are written from this module
(``python -m parcelle.reference_pages``); a test fails where they lag behind.
"""

import datetime
import os
import re
import string
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from parcelle import refusals
from parcelle.errors import ParcelleError, SettingsError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _expanded(path: str) -> str:
    """Replace environment variables; one that is not set is refused rather than left in the path."""
    expanded = os.path.expandvars(os.path.expanduser(path))
    if missing := re.search(r"\$\{?(\w+)", expanded):
        raise ValueError(f"environment variable {missing[1]} is not set: export it, or write the path")
    return expanded


def _plain(path: str) -> str:
    """Refuse characters that the workflow gives a meaning; write a folder in one way only."""
    if re.search(r"[{}\x00-\x1f]", path):
        raise ValueError("no braces and no control characters may stand in it")
    return os.path.normpath(path)


File = Annotated[str, Field(min_length=1), AfterValidator(_expanded)]
Place = Annotated[File, AfterValidator(_plain)]


def _only_tile(path: str) -> str:
    """Refuse a placeholder other than the tile's, which nothing would fill in."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(path) if name is not None}
    except ValueError:
        names = {"?"}
    if names - {"tile"}:
        raise ValueError("only {tile} may stand in braces")
    return path


def _day(value: Any) -> Any:
    """Read a date written as text; a number would be taken for seconds since 1970."""
    if isinstance(value, str):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
        raise ValueError("allowed: a date such as 2018-03-31")
    return value


Day = Annotated[datetime.date, BeforeValidator(_day)]


class Group(BaseModel):
    """Settings that are read-only, refuse unknown names and guess no types: `true` is not the number 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


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


class Sensor(Group):
    """One satellite product and what is made of it."""

    format: str = Field(
        description="`sentinel2-theia-l2a`, `stac`, or a sensor of your own as `module:Class`.",
        examples=["sentinel2-theia-l2a"],
    )
    path: Annotated[File, AfterValidator(_only_tile)] = Field(
        description="Where the images are; `{tile}` stands for the tile's name. Product folders: their parent "
        "(`/{tile}` is added where it is not named). `stac`: the ItemCollection of a tile. `$VARIABLES` of the "
        "environment are replaced."
    )
    collection: str | None = Field(
        None, description="For `stac`, which needs it: the collection to take from the items."
    )
    reflectance: Literal["FRE", "SRE"] | None = Field(
        None, description="For formats of Theia: flat (FRE, the default) or surface reflectance (SRE)."
    )
    invalid: list[int] | None = Field(
        None,
        description="For formats with a classification as mask: its values that are not valid, instead of the "
        "format's own.",
    )
    orbit: Literal["ascending", "descending"] | None = Field(
        None, description="For Sentinel-1: the direction of flight. Each is a sensor of its own."
    )
    kind: Literal["continuous", "categorical"] | None = Field(
        None, description="For `rasters`: numbers (the default), or codes, which are never interpolated."
    )
    names: list[str] | None = Field(None, min_length=1, description="For `rasters`: names of the bands of the files.")
    assets: dict[str, Any] | None = Field(
        None, description="For `stac`: what the bands and masks of a collection are, where Parcelle does not know it."
    )
    bands: list[str] | None = Field(
        None,
        min_length=1,
        description="Bands to use, by the sensor's names; all of its spectral bands by default.",
    )
    resampling: Literal["bilinear", "cubic", "nearest"] = Field(
        "bilinear", description="How coarser bands, and images on other grids, are brought to the tile's grid."
    )
    mask_buffer: int = Field(
        0,
        ge=0,
        le=500,
        description="Pixels of the tile around what masks call invalid, along rows and columns, that are not valid "
        "either.",
    )
    step: int | None = Field(None, ge=1, le=366, description="Days between regular dates; those of `period` if empty.")
    indices: list[Literal["ndvi", "ndwi", "brightness"]] | None = Field(
        None,
        description="Indices to add to the bands; by default all three for an optical sensor that has their bands.",
    )
    additional: list[str] = Field(
        [],
        description="Features of your own, as expressions of band names, e.g. `(b8-b3)/(b8+b3)`. Operators "
        "`+ - * / **`; functions `abs sqrt log exp minimum maximum`. Reflectances are × 10,000. x / 0 is 0.",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        from parcelle import features, sensors

        try:
            features.check(self, sensors.of(self))
        except ParcelleError as error:
            raise ValueError(str(error)) from None
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


class Forest(Group):
    """Random forest, or extremely randomised trees."""

    name: Literal["forest", "extra-trees"] = Field(
        "forest",
        description="Which classifier: in a `forest` the best threshold of each feature tried is searched for, in "
        "`extra-trees` it is drawn: training is faster, the trees are more than twice as large.",
    )
    trees: int = Field(100, ge=1, le=10_000, description="Number of trees.")
    depth: int | None = Field(25, ge=1, le=1000, description="Largest depth of a tree; no limit if empty.")
    min_samples: int = Field(5, ge=2, le=1_000_000, description="Samples a node needs to be split.")
    features: Annotated[int, Field(ge=1)] | Literal["sqrt", "log2"] = Field(
        "sqrt", description="Features tried at a split."
    )


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
    period: Period = Field(description="Regular dates.")
    reference: Reference = Field(description="Reference polygons.")
    nomenclature: Place = Field(description="CSV of the classes: code, name, colour, parent.")
    regions: Regions | None = Field(None, description="Areas with a model each; one model for all tiles if empty.")
    seeds: int = Field(
        5, ge=1, le=1000, description="Number of learn/validation splits, and models that are validated."
    )
    split: Split = Field(Split(), description="Learn/validation split.")
    sampling: Sampling = Field(Sampling(), description="Choice of pixels; `all` is every valid pixel.")
    model: Forest = Field(Forest(), description="The classifier and its settings.")
    map: Map = Field(Map(), description="Maps.")
    mosaic: Mosaic = Field(Mosaic(), description="Mosaic.")
    on_bad_acquisition: Literal["fail", "skip"] = Field(
        "fail", description="What to do with an acquisition that is truncated, incomplete or on another grid."
    )
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
