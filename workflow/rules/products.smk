rule mosaic:
    input:
        maps=collect("<results>/map/{tile}/{{product}}.tif", tile=TILES),
    output:
        mosaic="<results>/mosaic/{product}.tif",
    log:
        "<logs>/mosaic/{product}.log",
    benchmark:
        "<benchmarks>/mosaic/{product}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=3000,
        runtime=240,
    params:
        mosaic=config["mosaic"],
        classes=classes_of,
        digest=provenance.digest(SETTINGS),
    script:
        "../../scripts/mosaic.py"
