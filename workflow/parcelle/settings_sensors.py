"""The settings of sensors, and of features of the user's own."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from parcelle.errors import ParcelleError
from parcelle.sensors.collections import OwnCollection
from parcelle.settings_values import File, Group, function_place, odd, only_tile


class Composite(Group):
    """What is made of the valid observations of a calendar month or dekad."""

    by: Literal["month", "dekad"] = Field(
        "month", description="Dekads are days 1 to 10, 11 to 20, and 21 to the end of a month."
    )
    method: Literal["median", "medoid", "mean"] = Field(
        "median",
        description="Per band the median or the mean; or the `medoid`, the date that is nearest to the others in all "
        "bands.",
    )


class Sensor(Group):
    """One satellite product and what is made of it."""

    format: str = Field(
        description="One of the page `Sensors` of the documentation, such as `sentinel2-theia-l2a`, `stac` or "
        "`rasters`; or a sensor of your own as `module:Class`.",
        examples=["sentinel2-theia-l2a"],
    )
    path: Annotated[File, AfterValidator(only_tile)] = Field(
        description="Where the images are; `{tile}` stands for the tile's name. Product folders: their parent "
        "(`/{tile}` is added where it is not named, but for `landsat-c2-l2`). `stac`: the "
        "ItemCollection of a tile, or a catalogue, here or behind http(s). `rasters`: files, where `{date}` may stand "
        "for their day. `$VARIABLES` of the environment are replaced."
    )
    collection: str | None = Field(
        None,
        description="For `stac`: the collection to take from the items, or the format that wrote the inventory that is "
        "read again. Needed, unless `assets` describes all items.",
    )
    reflectance: Literal["FRE", "SRE"] | None = Field(
        None, description="For formats of Theia: flat (FRE, the default) or surface reflectance (SRE)."
    )
    invalid: list[int] | None = Field(
        None,
        description="For formats with a classification as mask: its values that are not valid, instead of the "
        "format's own. For `landsat-c2-l2`: bits of `QA_PIXEL`.",
    )
    orbit: Literal["ascending", "descending"] | None = Field(
        None, description="For Sentinel-1: the direction of flight. Each is a sensor of its own."
    )
    kind: Literal["continuous", "categorical"] | None = Field(
        None, description="For `rasters`: numbers (the default), or codes, which are never interpolated."
    )
    names: list[str] | None = Field(None, min_length=1, description="For `rasters`: names of the bands of the files.")
    assets: OwnCollection | None = Field(
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
    speckle: Literal["none", "lee", "quegan"] = Field(
        "none",
        description="For radar: filter of speckle. `lee` (Lee 1980) looks at each image by itself, `quegan` (Quegan & "
        "Yu 2001) at all images of the series.",
    )
    speckle_window: Annotated[int, Field(ge=3, le=31), AfterValidator(odd)] | None = Field(
        None, description="With `speckle`: side in pixels of the tile of the square that it looks at, odd; 7 if empty."
    )
    step: int | None = Field(None, ge=1, le=366, description="Days between regular dates; those of `period` if empty.")
    gapfill: Literal["linear", "none", "whittaker", "savgol"] = Field(
        "linear",
        description="What stands at a regular date: a value `linear` in time between the nearest valid observations; "
        "such a series, smoothed by `whittaker` or `savgol`; or with `none` the nearest valid observation at most half "
        "a step away, and 0 where there is none.",
    )
    smoothing: float | None = Field(
        None, gt=0, le=1_000_000, description="For `gapfill: whittaker`: λ, 1 if empty; more is smoother."
    )
    smoothing_window: int | None = Field(
        None, ge=3, le=51, description="For `gapfill: savgol`: dates in a window, an odd number; 5 if empty."
    )
    smoothing_order: int | None = Field(
        None,
        ge=1,
        le=6,
        description="For `gapfill: savgol`: order of the polynomials, 2 if empty; less than the window.",
    )
    composite: Composite | None = Field(
        None,
        description="One observation of each month or dekad instead of each date; the regular dates are their middles.",
    )
    indices: list[str] | None = Field(
        None,
        description="Indices to add to the bands: `ndvi`, `ndwi`, `brightness`, or any other of the page `Indices` of "
        "the documentation; for VV and VH in dB `ratio` and `sum`, of the powers. By default the first three, for an "
        "optical sensor that has their bands.",
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


class External(Group):
    """A function of your own that makes features of the series of all sensors."""

    function: Annotated[File, AfterValidator(function_place)] = Field(
        description="The function, as `module:function` or `folder/file.py:function`.",
        examples=["textures.py:texture"],
    )
    margin: int = Field(0, ge=0, le=256, description="Pixels of the tile around a pixel that the function looks at.")
    arguments: dict[str, Any] = Field({}, description="Given to the function by name.")
    replace: bool = Field(
        False, description="Its features take the place of those of the sensors, instead of being added to them."
    )
