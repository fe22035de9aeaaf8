"""The files that a user gives, for the rules' `input`, and what tells that they changed: no rule is here."""

@told
def reference_file(wildcards):
    """Name the reference, which must be there: Snakemake takes a plan for made although a file of it is missing."""
    return vector_files.there(SETTINGS.reference.path, "reference.path")


@told
def regions_file(wildcards):
    """Name the regions, if there are any."""
    given = SETTINGS.regions
    return vector_files.there(given.path, "regions.path") if given else []


@told
def area_file(wildcards):
    """Name the area of interest, if there is one."""
    given = SETTINGS.area
    return vector_files.there(given.path, "area.path") if given else []


@told
def products_of(wildcards):
    """List one file per product of a tile."""
    return listing.products(SETTINGS.sensors, wildcards.tile, listing.used(SETTINGS))


@told
def fingerprint_of(wildcards):
    """Digest names, sizes and times of a tile's images.

    It does not take the rule's `input`: Snakemake compares no parameter that follows from that. Where acquisitions were
    left out that are refused by now, it is another one.
    """
    watched = listing.watched(SETTINGS.sensors, wildcards.tile, listing.used(SETTINGS))
    table = f"{SETTINGS.results}/acquisitions/{wildcards.tile}.csv"
    if SETTINGS.on_bad_acquisition == "fail" and listing.left_out(table, watched):
        return f"{files.state(watched)} again"
    return files.state(watched)


@told
def fingerprint_of_vectors(wildcards):
    """Digest sizes and times of polygons: a shapefile is several files, of which one is input."""
    given = (SETTINGS.reference, SETTINGS.regions, SETTINGS.area)
    paths = [place.path for place in given if place]
    return files.state(part for path in paths for part in vector_files.parts(path))


def asked_of_inventories(wildcards):
    """Say what inventories depend on beside the images: the same for all tiles."""
    return asked_of_all()


@functools.cache
def asked_of_all():
    """Say it once, however many tiles there are."""
    return listing.asked(SETTINGS)
