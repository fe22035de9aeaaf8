"""Take stock of a tile."""

import datetime

from parcelle import inventory as stock
from parcelle import settings
from parcelle.log import logged


def inventory(tile: str, outputs: dict[str, str], *, asked: dict, checked: settings.Settings, threads: int) -> None:
    """Write the acquisitions of a tile, checked, as STAC and as a table, and what the memory of its jobs depends on.

    With `check: full`, which reads every file, their checksums too.
    """
    first, last = (datetime.date.fromisoformat(asked[name]) for name in ("first", "last"))
    grid = stock.tile_grid(checked.sensors, tile, asked["grid"], (first, last), asked["resolution"])
    found = stock.take(
        checked.sensors, tile, grid, first, last, checked.on_bad_acquisition, asked["bands"],
        full=asked["check"] == "full", threads=threads,
    )  # fmt: skip
    found.write(outputs["acquisitions"])
    stock.write_table(found, outputs["table"])
    if asked["check"] == "full":
        stock.write_sums(found, outputs["sums"])
    stock.write_size(found, asked["bands"], outputs["tile_size"])


if __name__ == "__main__":
    with logged(snakemake):
        inventory(
            snakemake.wildcards.tile,
            dict(snakemake.output.items()),
            asked=snakemake.params.asked,
            checked=settings.read(snakemake.config),
            threads=snakemake.threads,
        )
