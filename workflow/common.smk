"""The checked settings, the names that wildcards take, and what the rules ask for: no rule is here."""

import functools

from parcelle import (
    features,
    files,
    frozen,
    late,
    listing,
    models,
    provenance,
    settings,
    vector_files,
)
from parcelle.errors import ParcelleError, SettingsError
from parcelle.nomenclature import Nomenclature
from parcelle.reach import Reach
from snakemake.exceptions import IncompleteCheckpointException, WorkflowError

# A job on a cluster reads the rules twice more: what only some of them need is imported by those.
feature_map = late.module("parcelle.feature_map")
resources = late.module("parcelle.resources")


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
    if found.scratch:
        settings.refuse_file(found.scratch, "scratch")
    return found


SETTINGS = checked(config)
CLASSES = told(Nomenclature.read)(SETTINGS.nomenclature)
SOURCES = told(features.sources)(SETTINGS)
FEATURES = (
    told(feature_map.chosen)(SOURCES, SETTINGS.map.features)
    if SETTINGS.map.features
    else []
)
MODEL = told(models.described)(SETTINGS.model.model_dump(mode="json"))
GPUS = SETTINGS.gpus if told(models.uses_gpu)(SETTINGS.model.name) else 0

config.clear()
config.update(SETTINGS.model_dump(mode="json"))

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
def unplanned():
    """Ask for the plan before it is made, once: each time Snakemake writes out the names of all its files."""
    try:
        checkpoints.plan.get()
    except IncompleteCheckpointException as waiting:
        return waiting.rule, waiting.targetfile


@functools.cache
@told
def the_plan():
    """Read the plan; the jobs that follow from it are known once it is made.

    Until then this raises, which is not cached; afterwards the file does not change within a run.
    """
    if not checkpoints.created_output:
        raise IncompleteCheckpointException(*unplanned())
    return Reach.read(checkpoints.plan.get().output.plan)


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


@told
def models_of(wildcards):
    """List the models that map a tile; frozen ones are taken as they are."""
    regions = the_plan().regions[wildcards.tile]
    models = collect(
        f"{SETTINGS.results}/model/{{region}}/{{seed}}/model.json",
        region=regions,
        seed=MAP_SEEDS,
    )
    if SETTINGS.map.freeze:
        for model in models:
            frozen.check(model, CLASSES)
    return models


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


def sources_of_features(wildcards):
    """Say what the features maps come from."""
    return features.to_dicts(feature_map.needed(SOURCES, FEATURES))
