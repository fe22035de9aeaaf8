"""Map a tile: every product in one pass over its images."""

from parcelle import acquisitions, checksums, features, mapping, planning, provenance, scratch, training
from parcelle.areas import Areas
from parcelle.log import logged
from parcelle.models import limit_gpus


def classify(
    inventory: str,
    areas: str,
    plan: str,
    models: str,
    outputs: dict[str, str],
    *,
    sources: list[dict],
    seeds: list,
    options: mapping.Options,
    window: int,
    threads: int,
    tags: dict[str, str],
    cache: str | None = None,
    node_scratch: str | None = None,
) -> None:
    """Write the products, the pixels of each class and the clear share of each date; `models` is the folder of all."""
    found, zones = acquisitions.read(inventory), Areas.read(areas)
    planning.check_grid(plan, found.tile, found.grid)
    made = features.from_dicts(sources)
    names = features.names(made)
    of_region = {
        region: [training.load(f"{models}/{region}/{seed}/model.json", names) for seed in seeds]
        for region in zones.regions
    }
    images = scratch.decoded(found, cache, threads)
    counts, clear = mapping.map_tile(
        images,
        zones,
        of_region,
        made,
        outputs,
        options,
        window=window,
        threads=threads,
        tags=tags,
        scratch=scratch.of_node(node_scratch),
    )
    mapping.write_counts(counts, found.grid.pixel_area, outputs["counts"])
    mapping.write_clear(found, clear, counts, outputs["clear_shares"])
    checksums.write_beside([path for name, path in outputs.items() if name != "sums"], outputs["sums"])
    scratch.forget(found, cache)


if __name__ == "__main__":
    with logged(snakemake):
        limit_gpus(snakemake.resources.get("gpu", 0))
        classify(
            snakemake.input.acquisitions,
            snakemake.input.areas,
            f"{snakemake.config['results']}/plan.json",
            f"{snakemake.config['results']}/model",
            dict(snakemake.output.items()),
            sources=snakemake.params.sources,
            seeds=snakemake.params.seeds,
            options=mapping.Options(
                tuple(snakemake.params.codes), tuple(snakemake.params.products), snakemake.params.min_valid
            ),
            window=snakemake.config["window"]["size"],
            threads=snakemake.threads,
            tags=provenance.tags(snakemake.params.digest),
            node_scratch=snakemake.resources.get("node_scratch"),
            cache=snakemake.config["scratch"] if snakemake.config["cache"] == "scratch" else None,
        )
