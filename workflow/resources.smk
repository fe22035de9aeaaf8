"""What jobs ask for, as functions of the files that they read and of the attempt: for the rules' `resources`."""


def memory(need):
    """Make the function that gives `mem_mb` of a job from what it needs."""

    @told
    def asked(wildcards, input, threads, attempt):
        return attempt * resources.asked_mb(need(wildcards, input, threads))

    return asked


def minutes(need):
    """Make the function that gives `runtime` of a job from what it needs."""

    @told
    def asked(wildcards, input, threads, attempt):
        return attempt * resources.asked_minutes(
            need(wildcards, input, threads), threads
        )

    return asked


def disk(need):
    """Make the function that gives `disk_mb` of a job from what it needs."""

    @told
    def asked(wildcards, input, threads):
        return resources.asked_disk_mb(need(wildcards, input, threads))

    return asked


def several(paths):
    """List paths; until the plan is made, its own stands where those are that follow from it."""
    return [paths] if isinstance(paths, str) else paths


def plan_need(wildcards, input, threads):
    """What `plan` needs."""
    return resources.plan(SETTINGS)


def inventory_need(wildcards, input, threads):
    """What an `inventory` job needs."""
    return resources.inventory(wildcards.tile, len(input.products), SETTINGS)


def sample_need(wildcards, input, threads):
    """What a `sample` job needs."""
    return resources.sample(
        input.tile_size, input.reference, SOURCES, SETTINGS, threads
    )


def split_need(wildcards, input, threads):
    """What a `split` job needs."""
    return resources.split(several(input.reference))


def train_need(wildcards, input, threads):
    """What a `train` job needs."""
    return resources.train(
        several(input.samples),
        wildcards.region,
        wildcards.seed,
        SETTINGS,
        CLASSES.codes,
        threads,
    )


def classify_need(wildcards, input, threads):
    """What a `classify` job needs."""
    models = several(input.models) or resources.frozen_models(
        wildcards.tile, input.areas, SETTINGS
    )
    return resources.classify(
        input.tile_size, models, SOURCES, SETTINGS, CLASSES.codes, threads
    )


def feature_map_need(wildcards, input, threads):
    """What a `feature_map` job needs."""
    return resources.feature_map(input.tile_size, SOURCES, FEATURES, SETTINGS, threads)


def mosaic_need(wildcards, input, threads):
    """What a `mosaic` job needs."""
    return resources.mosaic(
        input.maps, wildcards.product, SETTINGS, CLASSES.codes, threads
    )


def assess_need(wildcards, input, threads):
    """What `assess` needs."""
    return resources.assess(several(input.validations), CLASSES.codes, len(TILES))


def report_need(wildcards, input, threads):
    """What `report` needs."""
    return resources.report(input.acquisitions, input.mosaics, SETTINGS)


def provenance_need(wildcards, input, threads):
    """What `provenance` needs."""
    return resources.provenance(input.acquisitions, len(input))
