"""Plan a run: the grids of its tiles, their regions, and the reference cut by both."""

from typing import Any

from parcelle import inventory, listing, planning, reference, settings
from parcelle.errors import InputError
from parcelle.log import logged
from parcelle.nomenclature import LandClass, Nomenclature
from parcelle.planning import Plan


def plan(
    source: reference.Source,
    regions: tuple[str | None, str | None, str | None],
    area: tuple[str, str | None] | None,
    output: str,
    references: list[str],
    areas: list[str],
    *,
    tiles: list[str],
    grid: str,
    classes: list,
    checked: settings.Settings,
) -> None:
    """Write the plan, and for each tile its part of the reference and of the regions."""
    days = listing.used(checked)
    grids = {tile: inventory.tile_grid(checked.sensors, tile, grid, days, checked.resolution) for tile in tiles}
    planning.check_crs(grids, checked.mosaic.crs)
    polygons = reference.read(source, Nomenclature(tuple(LandClass(code, name, "#000000") for code, name in classes)))
    every, own = planning.read_regions(*regions), planning.own_areas(grids)
    parts: dict[str, Any] = dict.fromkeys(tiles)
    if area:
        parts = planning.parts_of(*area, grids, polygons)
        own = {tile: planning.common(own[tile], part) for tile, part in parts.items()}
    of_tile = {tile: planning.regions_in(every, g, regions[0] is None, parts[tile]) for tile, g in grids.items()}
    if outside := [tile for tile, found in of_tile.items() if found.empty]:
        of_what = f"{regions[0]} within the area {area[0]}" if area else regions[0]
        raise InputError(
            f"tile {outside[0]} lies outside all regions of {of_what}: remove it from `tiles`, or draw a region."
        )
    if regions[0]:
        for tile, found in of_tile.items():
            planning.warn_of_gaps(tile, own[tile], found, regions[0])
    pieces = {tile: reference.pieces(polygons, g, own[tile], of_tile[tile]) for tile, g in grids.items()}
    made = Plan(
        {tile: list(found.name) for tile, found in of_tile.items()},
        {tile: sorted(found.region.unique()) for tile, found in pieces.items()},
        grids,
    )
    reference.check_coverage(pieces, made.all_regions(), polygons, source.path)
    for tile, pieces_file, areas_file in zip(tiles, references, areas, strict=True):
        reference.write(pieces[tile], pieces_file, grids[tile].pixel_area)
        planning.write_areas(of_tile[tile], own[tile], areas_file)
    made.write(output)


if __name__ == "__main__":
    with logged(snakemake):
        plan(
            reference.Source(
                snakemake.input.reference,
                snakemake.params.field,
                snakemake.params.layer,
                snakemake.params.group,
            ),
            (snakemake.input.get("regions") or None, snakemake.params.region, snakemake.params.region_layer),
            (snakemake.input.area, snakemake.params.area_layer) if snakemake.input.get("area") else None,
            snakemake.output.plan,
            snakemake.output.reference,
            snakemake.output.areas,
            tiles=snakemake.params.tiles,
            grid=snakemake.params.grid,
            classes=snakemake.params.classes,
            checked=settings.read(snakemake.config),
        )
