"""What a run publishes, and what it was made of, for the record of its provenance: no rules."""

from parcelle import styling

# With `check: full` every image is read as a whole, and its checksum costs little more.
IMAGE_SUMS = (
    {"sums": "<results>/acquisitions/{tile}.SHA256SUMS"}
    if SETTINGS.check == "full"
    else {}
)

# Names and colours beside the mosaics.
STYLES = [str(path) for mosaic in MAPS for path in styling.sidecars(mosaic)]

# With frozen models nothing is trained, so there is nothing to assess.
ASSESSED = (
    []
    if SETTINGS.map.freeze
    else [
        *collect(
            "<results>/assessment/{table}.csv",
            table=["scores", "summary", "confusion", "classes", "areas"],
        ),
        "<results>/report/index.html",
    ]
)

# What `all` asks for, too: Snakemake makes what is missing between other files only where somebody asks for it.
PUBLISHED = [
    *collect(IMAGE_SUMS.values(), tile=TILES),
    *STYLES,
    *ASSESSED,
    "<results>/provenance/ro-crate-metadata.json",
]


def trained(wildcards):
    """List the models of all regions and seeds with what they were validated on; frozen ones are taken as they are."""
    if SETTINGS.map.freeze:
        return []
    return collect(
        "<results>/model/{region}/{seed}/{file}",
        region=the_plan().all_regions(),
        seed=dict.fromkeys([*SEEDS, *MAP_SEEDS]),
        file=["model.json", "validation.parquet"],
    )
