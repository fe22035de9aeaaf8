rule provenance:
    input:
        published=[*MAPS, *STYLES, *ASSESSED],
        models=trained,
        maps=collect("<results>/map/{tile}/SHA256SUMS", tile=TILES),
        acquisitions=collect("<results>/acquisitions/{tile}.json", tile=TILES),
        image_sums=collect(IMAGE_SUMS.values(), tile=TILES),
    output:
        crate="<results>/provenance/ro-crate-metadata.json",
        settings="<results>/provenance/settings.yaml",
        workflow="<results>/provenance/Snakefile",
        products="<results>/provenance/products.csv",
        jobs="<results>/provenance/jobs.csv",
        sums="<results>/provenance/SHA256SUMS",
    log:
        "<logs>/provenance.log",
    benchmark:
        "<benchmarks>/provenance.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=memory(provenance_need),
        runtime=minutes(provenance_need),
    params:
        publication=SETTINGS.publication.model_dump(),
    script:
        "../../scripts/provenance.py"
