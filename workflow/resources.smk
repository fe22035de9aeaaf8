"""What jobs need, as functions of the tile's size and of the attempt: for the rules' `resources`."""

@told
def sample_memory(wildcards, input, threads, attempt):
    """MiB of a `sample` job."""
    return attempt * resources.sample_mb(input.tile_size, SOURCES, SETTINGS, threads)


@told
def sample_minutes(wildcards, input, threads, attempt):
    """Minutes of a `sample` job."""
    return attempt * resources.sample_minutes(input.tile_size, threads)


@told
def train_memory(wildcards, input, threads, attempt):
    """MiB of a `train` job."""
    return attempt * resources.train_mb(input.samples, SETTINGS, CLASSES.codes, threads)


@told
def classify_memory(wildcards, input, threads, attempt):
    """MiB of a `classify` job."""
    return attempt * resources.classify_mb(
        input.tile_size, SOURCES, SETTINGS, CLASSES.codes, threads
    )


@told
def feature_map_memory(wildcards, input, threads, attempt):
    """MiB of a `feature_map` job."""
    return attempt * resources.feature_map_mb(
        input.tile_size, SOURCES, FEATURES, SETTINGS, threads
    )


@told
def classify_minutes(wildcards, input, threads, attempt):
    """Minutes of a `classify` job."""
    return attempt * resources.classify_minutes(input.tile_size, threads)
