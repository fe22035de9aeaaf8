rule sample:
    input:
        acquisitions="<results>/acquisitions/{tile}.json",
        tile_size="<results>/acquisitions/{tile}.size.json",
        reference="<results>/reference/{tile}.parquet",
    output:
        samples="<results>/samples/{tile}.parquet",
    log:
        "<logs>/sample/{tile}.log",
    benchmark:
        "<benchmarks>/sample/{tile}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(sample_need),
        runtime=minutes(sample_need),
    params:
        **by_name(
            min_valid=config["map"]["min_valid"],
            per_polygon_max=config["sampling"]["per_polygon_max"],
        ),
        sources=features.to_dicts(SOURCES),
    script:
        "../../scripts/sample.py"


rule split:
    input:
        reference=references_of,
    output:
        split="<results>/split/{region}/{seed}.parquet",
    log:
        "<logs>/split/{region}/{seed}.log",
    benchmark:
        "<benchmarks>/split/{region}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=memory(split_need),
        runtime=minutes(split_need),
    params:
        by=config["split"]["by"],
        block=config["split"]["block"],
        ratio=config["split"]["ratio"],
    script:
        "../../scripts/split.py"
