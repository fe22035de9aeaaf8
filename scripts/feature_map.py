"""Write features of a tile as a raster."""

from parcelle import acquisitions, features, provenance, scratch
from parcelle.areas import Areas
from parcelle.feature_map import write
from parcelle.log import logged


def feature_map(
    inventory: str,
    output: str,
    *,
    sources: list[dict],
    names: list[str],
    min_valid: int,
    window: int,
    threads: int,
    tags: dict[str, str],
    areas: str | None = None,
    node_scratch: str | None = None,
) -> None:
    """Write the features of some names, in the areas if there are any."""
    found, made = acquisitions.read(inventory), features.from_dicts(sources)
    within = Areas.read(areas) if areas else None
    write(
        found, made, names, output, min_valid,
        window=window, threads=threads, tags=tags, areas=within, scratch=scratch.of_node(node_scratch),
    )  # fmt: skip


if __name__ == "__main__":
    with logged(snakemake):
        params = snakemake.params
        feature_map(
            snakemake.input.acquisitions,
            snakemake.output.features,
            sources=params.sources,
            names=params.names,
            min_valid=params.min_valid,
            window=snakemake.config["window"]["size"],
            threads=snakemake.threads,
            areas=snakemake.input.areas or None,
            node_scratch=snakemake.resources.get("node_scratch"),
            tags=provenance.tags(provenance.digest_of([params.sources, params.names, params.min_valid])),
        )
