rule mosaic:
    input:
        maps=collect("<results>/map/{tile}/{{product}}.tif", tile=TILES),
    output:
        mosaic="<results>/mosaic/{product}.tif",
        names="<results>/mosaic/{product}.tif.aux.xml",
        style="<results>/mosaic/{product}.qml",
    log:
        "<logs>/mosaic/{product}.log",
    benchmark:
        "<benchmarks>/mosaic/{product}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(mosaic_need),
        runtime=minutes(mosaic_need),
        disk_mb=disk(mosaic_need),
    params:
        mosaic=config["mosaic"],
        classes=classes_of,
        digest=provenance.digest(SETTINGS),
    script:
        "../../scripts/mosaic.py"
