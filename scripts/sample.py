"""Read the features of the pixels of a tile that lie in reference polygons."""

import geopandas as gpd

from parcelle import acquisitions, features, files, planning, samples, sampling, scratch
from parcelle.log import logged


def sample(
    inventory: str,
    reference: str,
    plan: str,
    output: str,
    *,
    sources: list[dict],
    options: sampling.Options,
    cache: str | None = None,
) -> None:
    """Write the samples of a tile."""
    found = acquisitions.read(inventory)
    planning.check_grid(plan, found.tile, found.grid)
    pieces = gpd.read_parquet(files.verify(reference))
    found = scratch.decoded(found, cache, options.threads)
    table = sampling.sample(found, pieces, features.from_dicts(sources), options)
    samples.write(table, output)


if __name__ == "__main__":
    with logged(snakemake):
        sample(
            snakemake.input.acquisitions,
            snakemake.input.reference,
            f"{snakemake.config['results']}/plan.json",
            snakemake.output.samples,
            sources=snakemake.params.sources,
            options=sampling.Options(
                min_valid=snakemake.params.min_valid,
                per_polygon_max=snakemake.params.per_polygon_max,
                window=snakemake.config["window"]["size"],
                threads=snakemake.threads,
            ),
            cache=snakemake.config["scratch"] if snakemake.config["cache"] == "scratch" else None,
        )
