"""Add up the validation of all models and the pixels of all tiles."""

from parcelle import assessment
from parcelle.log import logged


def assess(
    validations: list[str], models: list[str], counts: list[str], outputs: dict[str, str], *, codes: list[int]
) -> None:
    """Write scores, their summary, confusion, classes and areas."""
    assessment.assess(validations, models, counts, codes, outputs)


if __name__ == "__main__":
    with logged(snakemake):
        assess(
            snakemake.input.validations,
            snakemake.input.models,
            snakemake.input.counts,
            dict(snakemake.output.items()),
            codes=snakemake.params.codes,
        )
