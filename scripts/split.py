"""Divide the reference polygons of a region between learning and validation."""

from parcelle import splitting
from parcelle.log import logged


def split(references: list[str], output: str, *, region: str, seed: int, options: splitting.Options) -> None:
    """Write the side of each polygon of a region."""
    splitting.write(splitting.split(splitting.polygons(references, region), options, region, seed), output)


if __name__ == "__main__":
    with logged(snakemake):
        split(
            snakemake.input.reference,
            snakemake.output.split,
            region=snakemake.wildcards.region,
            seed=int(snakemake.wildcards.seed),
            options=splitting.Options(snakemake.params.by, snakemake.params.block, snakemake.params.ratio),
        )
