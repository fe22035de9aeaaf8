rule classify:
    input:
        acquisitions="<results>/acquisitions/{tile}.json",
        tile_size="<results>/acquisitions/{tile}.size.json",
        areas="<results>/areas/{tile}.parquet",
        models=models_of,
    output:
        **{name: f"<results>/map/{{tile}}/{name}.tif" for name in PRODUCTS},
        counts="<results>/map/{tile}/counts.csv",
        clear_shares="<results>/map/{tile}/clear.csv",
        sums="<results>/map/{tile}/SHA256SUMS",
    log:
        "<logs>/classify/{tile}.log",
    benchmark:
        "<benchmarks>/classify/{tile}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(classify_need),
        runtime=minutes(classify_need),
        disk_mb=disk(classify_need),
        gpu=GPUS,
    params:
        sources=features.to_dicts(SOURCES),
        codes=CLASSES.codes,
        products=PRODUCTS,
        seeds=MAP_SEEDS,
        min_valid=config["map"]["min_valid"],
        digest=provenance.digest(SETTINGS),
    script:
        "../../scripts/classify.py"


rule feature_map:
    input:
        acquisitions="<results>/acquisitions/{tile}.json",
        tile_size="<results>/acquisitions/{tile}.size.json",
        areas="<results>/areas/{tile}.parquet" if config["area"] else [],
    output:
        features="<results>/features/{tile}.tif",
    log:
        "<logs>/feature_map/{tile}.log",
    benchmark:
        "<benchmarks>/feature_map/{tile}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(feature_map_need),
        runtime=minutes(feature_map_need),
        disk_mb=disk(feature_map_need),
    params:
        sources=sources_of_features,
        names=FEATURES,
        min_valid=config["map"]["min_valid"],
    script:
        "../../scripts/feature_map.py"


rule features:
    input:
        feature_maps,
