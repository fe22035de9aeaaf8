"""Take stock of a tile."""

import datetime

from parcelle import inventory as stock
from parcelle import settings
from parcelle.log import logged


def inventory(
    tile: str, output: str, table: str, size: str, *, asked: dict, checked: settings.Settings, threads: int
) -> None:
    """Write the acquisitions of a tile, checked, as STAC and as a table, and what the memory of its jobs depends on."""
    first, last = (datetime.date.fromisoformat(asked[name]) for name in ("first", "last"))
    grid = stock.tile_grid(checked.sensors, tile, asked["grid"], (first, last), asked["resolution"])
    found = stock.take(
        checked.sensors, tile, grid, first, last, checked.on_bad_acquisition, asked["bands"],
        full=asked["check"] == "full", threads=threads,
    )  # fmt: skip
    found.write(output)
    stock.write_table(found, table)
    stock.write_size(found, asked["bands"], size)


if __name__ == "__main__":
    with logged(snakemake):
        inventory(
            snakemake.wildcards.tile,
            snakemake.output.acquisitions,
            snakemake.output.table,
            snakemake.output.tile_size,
            asked=snakemake.params.asked,
            checked=settings.read(snakemake.config),
            threads=snakemake.threads,
        )
