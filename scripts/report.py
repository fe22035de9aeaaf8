"""Write the report: maps, scores, acquisitions, settings and versions on one page."""

from parcelle import settings
from parcelle.errors import ParcelleError
from parcelle.log import logged
from parcelle.nomenclature import Nomenclature
from parcelle.operations import efficiency
from parcelle.report import page

TABLES = ("scores", "summary", "confusion", "classes", "areas")


def report(
    tables: dict[str, str],
    mosaics: list[str],
    clear_shares: list[str],
    acquisitions: list[str],
    output: str,
    *,
    classes: list[dict],
    checked: settings.Settings,
) -> None:
    """Write the page; `tables` are those of the assessment."""
    nomenclature = Nomenclature.from_list(classes)
    try:
        # What is still to come cannot be counted.
        cost: efficiency.Efficiency | str = efficiency.of_results(checked, but=("report", "provenance"))
    except ParcelleError as error:
        cost = str(error)
    page.write(tables, mosaics, clear_shares, acquisitions, output, classes=nomenclature, settings=checked, cost=cost)


if __name__ == "__main__":
    with logged(snakemake):
        report(
            {name: snakemake.input[name] for name in TABLES},
            snakemake.input.mosaics,
            snakemake.input.clear_shares,
            snakemake.input.acquisitions,
            snakemake.output.report,
            classes=snakemake.params.classes,
            checked=settings.read(snakemake.config),
        )
