"""Train the model of a region."""

import pandas as pd

from parcelle import files, samples, training
from parcelle.log import logged
from parcelle.models import limit_gpus
from parcelle.nomenclature import Nomenclature


def train(
    tables: list[str],
    split: str | None,
    output: str,
    validation: str,
    *,
    region: str,
    seed: str,
    model: dict,
    per_class: int | None,
    per_polygon_max: int | None,
    threads: int,
    nomenclature: str,
) -> None:
    """Write a model and its predictions on the validation samples."""
    sides = pd.read_parquet(files.verify(split)) if split else None
    learnt = samples.read(tables, region, per_polygon_max)
    trained, predictions = training.train(learnt, sides, region, seed, model, per_class, threads)
    with files.whole(validation) as draft:
        predictions.to_parquet(draft, index=False)
    training.save(training.named(trained, Nomenclature.read(nomenclature)), output)


if __name__ == "__main__":
    with logged(snakemake):
        limit_gpus(snakemake.resources.get("gpu", 0))
        train(
            snakemake.input.samples,
            snakemake.input.get("split") or None,
            snakemake.output.model,
            snakemake.output.validation,
            region=snakemake.wildcards.region,
            seed=snakemake.wildcards.seed,
            model=snakemake.params.model,
            per_class=snakemake.params.per_class,
            per_polygon_max=snakemake.params.per_polygon_max,
            threads=snakemake.threads,
            # No parameter of the rule: under another name, a class is learnt as before.
            nomenclature=snakemake.config["nomenclature"],
        )
