"""Parcelle: land-cover maps of a country from a year of satellite images."""

from snakemake.utils import min_version

min_version("9.19")


# The example's settings hold only where no others are given: Snakemake would merge the two.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


include: "workflow/common.smk"
include: "workflow/given.smk"
include: "workflow/published.smk"
include: "workflow/resources.smk"
include: "workflow/retries.smk"
include: "workflow/hooks.smk"
include: "workflow/states.smk"


pathvars:
    results=config["results"],
    logs=f"{config['results']}/logs",
    benchmarks=f"{config['results']}/benchmarks",


include: "workflow/rules/inputs.smk"
include: "workflow/rules/samples.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/products.smk"
include: "workflow/rules/assessment.smk"
include: "workflow/rules/provenance.smk"


# Frozen models are files that no run makes.
if not SETTINGS.map.freeze:

    include: "workflow/rules/models.smk"


rule all:
    default_target: True
    input:
        TARGETS,
        learnt,
        PUBLISHED,
