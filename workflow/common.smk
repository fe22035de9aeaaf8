"""The checked settings, the names that wildcards take, and what the rules ask for: no rule is here."""

import functools

from parcelle import (
    feature_map,
    features,
    files,
    inventory,
    models,
    provenance,
    resources,
    settings,
    vectors,
)
from parcelle.errors import ParcelleError, SettingsError
from parcelle.nomenclature import Nomenclature
from parcelle.planning import Plan
from snakemake.exceptions import WorkflowError


def told(function):
    """Let a function of the rules fail with its sentence alone, without the place in the code."""

    @functools.wraps(function)
    def wrapped(*words, **named):
        try:
            return function(*words, **named)
        except ParcelleError as error:
            raise WorkflowError(str(error)) from None

    return wrapped


@told
def checked(content):
    """Check the settings, and the files that they are written in."""
    for path in workflow.config_settings.configfiles:
        settings.refuse_repeated(path)
    found = settings.read(content)
    settings.refuse_file(found.results, "results")
    return found


SETTINGS = checked(config)
CLASSES = told(Nomenclature.read)(SETTINGS.nomenclature)
SOURCES = told(features.sources)(SETTINGS)
FEATURES = told(feature_map.chosen)(SOURCES, SETTINGS.map.features)
MODEL = told(models.described)(SETTINGS.model.model_dump(mode="json"))
GPUS = SETTINGS.gpus if told(models.uses_gpu)(SETTINGS.model.name) else 0

config.clear()
config.update(SETTINGS.model_dump(mode="json"))

INVENTORY = inventory.asked(SETTINGS)
TILES = SETTINGS.tiles
SEEDS = range(SETTINGS.seeds)
PRODUCTS = SETTINGS.map.products
MAP_SEEDS = ["all"] if SETTINGS.map.model == "all" else SETTINGS.map.model

MAPS = collect("<results>/mosaic/{product}.tif", product=PRODUCTS)

# What a run makes, steps between included: Snakemake forgets that a job had to run again because a setting changed,
# once the job failed and its old output is gone, unless somebody asks for that output.
TARGETS = [
    *collect("<results>/acquisitions/{tile}.json", tile=TILES),
    *collect("<results>/areas/{tile}.parquet", tile=TILES),
    *collect("<results>/reference/{tile}.parquet", tile=TILES),
    *collect("<results>/map/{tile}/counts.csv", tile=TILES),
    *collect("<results>/map/{tile}/{product}.tif", tile=TILES, product=PRODUCTS),
    *MAPS,
    # With frozen models nothing is trained, so there is nothing to assess.
    *([] if SETTINGS.map.freeze else ["<results>/report/index.html"]),
]


def by_name(**values):
    """Give a rule its settings one by one, and once more as one value with their names.

    Snakemake compares the values of `params` as a set: by itself it does not see that a setting takes a value which
    another setting has or had, such as two that swap theirs.
    """
    return values | {"by_name": values}


wildcard_constraints:
    tile=r"[\w-]+",
    region=r"[\w-]+",
    seed=r"all|\d+",
    product="class|confidence|validity|probability",


@functools.cache
@told
def the_plan():
    """Read the plan; the jobs that follow from it are known once it is made.

    Until then this raises, which is not cached; afterwards the file does not change within a run.
    """
    return Plan.read(checkpoints.plan.get().output.plan)


def learnt(wildcards):
    """List what is learnt on the way: known once the plan is made. With frozen models, nothing is."""
    if SETTINGS.map.freeze:
        return []
    regions = the_plan().all_regions()
    return [
        *collect("<results>/samples/{tile}.parquet", tile=the_plan().sampled_tiles()),
        *collect("<results>/split/{region}/{seed}.parquet", region=regions, seed=SEEDS),
        *collect(
            "<results>/model/{region}/{seed}/model.json",
            region=regions,
            seed=[*SEEDS, *MAP_SEEDS],
        ),
    ]


@told
def reference_file(wildcards):
    """Name the reference, which must be there: Snakemake takes a plan for made although a file of it is missing."""
    return vectors.there(SETTINGS.reference.path, "reference.path")


@told
def regions_file(wildcards):
    """Name the regions, if there are any."""
    given = SETTINGS.regions
    return vectors.there(given.path, "regions.path") if given else []


@told
def area_file(wildcards):
    """Name the area of interest, if there is one."""
    given = SETTINGS.area
    return vectors.there(given.path, "area.path") if given else []


@told
def products_of(wildcards):
    """List one file per product of a tile."""
    return inventory.products(
        SETTINGS.sensors, wildcards.tile, inventory.used(SETTINGS)
    )


@told
def fingerprint_of(wildcards):
    """Digest names, sizes and times of a tile's images.

    It does not take the rule's `input`: Snakemake compares no parameter that follows from that.
    """
    return files.state(
        inventory.watched(SETTINGS.sensors, wildcards.tile, inventory.used(SETTINGS))
    )


@told
def fingerprint_of_vectors(wildcards):
    """Digest sizes and times of polygons: a shapefile is several files, of which one is input."""
    given = (SETTINGS.reference, SETTINGS.regions, SETTINGS.area)
    paths = [place.path for place in given if place]
    return files.state(part for path in paths for part in vectors.parts(path))


def references_of(wildcards):
    """List the reference of the tiles that a region has polygons in."""
    return collect(
        "<results>/reference/{tile}.parquet", tile=the_plan().tiles_of(wildcards.region)
    )


def samples_of(wildcards):
    """List the samples of the tiles that a region has polygons in."""
    return collect(
        "<results>/samples/{tile}.parquet", tile=the_plan().tiles_of(wildcards.region)
    )


def split_of(wildcards):
    """Name the split of a seed; the model of the published map learns from everything."""
    return [] if wildcards.seed == "all" else "<results>/split/{region}/{seed}.parquet"


def models_of(wildcards):
    """List the models that map a tile; frozen ones are taken as they are."""
    if SETTINGS.map.freeze:
        return []
    regions = the_plan().regions[wildcards.tile]
    return collect(
        "<results>/model/{region}/{seed}/model.json", region=regions, seed=MAP_SEEDS
    )


def validations(wildcards):
    """List the predictions on validation samples of all regions and seeds."""
    regions = the_plan().all_regions()
    return collect(
        "<results>/model/{region}/{seed}/validation.parquet", region=regions, seed=SEEDS
    )


def descriptions(wildcards):
    """List the descriptions of the models of all regions and seeds."""
    regions = the_plan().all_regions()
    return collect(
        "<results>/model/{region}/{seed}/model.json", region=regions, seed=SEEDS
    )


def classes_of(wildcards):
    """Give names and colours to the product that shows them."""
    return CLASSES.to_list() if wildcards.product in ("class", "probability") else []


@told
def feature_maps(wildcards):
    """List the features maps, which are made only where somebody asks for them."""
    if not FEATURES:
        raise SettingsError(feature_map.EMPTY)
    return collect("<results>/features/{tile}.tif", tile=TILES)
