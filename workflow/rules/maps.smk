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
    log:
        "<logs>/classify/{tile}.log",
    benchmark:
        "<benchmarks>/classify/{tile}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=classify_memory,
        runtime=classify_minutes,
    params:
        recipes=[recipe.to_dict() for recipe in RECIPES],
        codes=CLASSES.codes,
        products=PRODUCTS,
        seeds=MAP_SEEDS,
        min_valid=config["map"]["min_valid"],
        digest=provenance.digest(SETTINGS),
    script:
        "../../scripts/classify.py"
