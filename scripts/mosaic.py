"""Put the maps of all tiles together, with names and colours."""

from parcelle import mosaic as country
from parcelle import provenance, scratch, styling
from parcelle.log import logged
from parcelle.nomenclature import Nomenclature


def mosaic(
    maps: list[str],
    output: str,
    *,
    product: str,
    grid: dict,
    classes: list[dict],
    threads: int,
    tags: dict[str, str],
    node_scratch: str | None = None,
) -> None:
    """Write the mosaic of a product, and its style for QGIS beside it."""
    known = Nomenclature.from_list(classes).classes if classes else None
    country.write(
        maps,
        output,
        product=product,
        crs=grid["crs"],
        resolution=grid["resolution"],
        origin=tuple(grid["origin"]),
        classes=known,
        threads=threads,
        tags=tags,
        scratch=scratch.of_node(node_scratch),
    )
    styling.write(output, product=product, classes=known)


if __name__ == "__main__":
    with logged(snakemake):
        mosaic(
            snakemake.input.maps,
            snakemake.output.mosaic,
            product=snakemake.wildcards.product,
            grid=snakemake.params.mosaic,
            classes=snakemake.params.classes,
            threads=snakemake.threads,
            tags=provenance.tags(snakemake.params.digest),
            node_scratch=snakemake.resources.get("node_scratch"),
        )
