checkpoint plan:
    input:
        reference=reference_file,
        regions=regions_file,
        area=area_file,
    output:
        plan="<results>/plan.json",
        reference=collect("<results>/reference/{tile}.parquet", tile=TILES),
        areas=collect("<results>/areas/{tile}.parquet", tile=TILES),
    log:
        "<logs>/plan.log",
    benchmark:
        "<benchmarks>/plan.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=memory(plan_need),
        runtime=minutes(plan_need),
    params:
        **by_name(
            tiles=TILES,
            grid=config["grid"],
            resolution=config["resolution"],
            field=config["reference"]["field"],
            layer=config["reference"]["layer"],
            region=(config["regions"] or {"field": None})["field"],
            region_layer=(config["regions"] or {"layer": None})["layer"],
            area_layer=(config["area"] or {"layer": None})["layer"],
            group=config["split"]["field"],
            classes=CLASSES.names_by_code(),
        ),
        fingerprint=fingerprint_of_vectors,
    script:
        "../../scripts/plan.py"


rule inventory:
    input:
        products=products_of,
    output:
        **IMAGE_SUMS,
        acquisitions="<results>/acquisitions/{tile}.json",
        tile_size="<results>/acquisitions/{tile}.size.json",
        table="<results>/acquisitions/{tile}.csv",
    log:
        "<logs>/inventory/{tile}.log",
    benchmark:
        "<benchmarks>/inventory/{tile}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(inventory_need),
        runtime=minutes(inventory_need),
    params:
        fingerprint=fingerprint_of,
        asked=asked_of_inventories,
    script:
        "../../scripts/inventory.py"
