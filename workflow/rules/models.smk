rule train:
    input:
        samples=samples_of,
        split=split_of,
    output:
        model="<results>/model/{region}/{seed}/model.json",
        validation="<results>/model/{region}/{seed}/validation.parquet",
    log:
        "<logs>/train/{region}/{seed}.log",
    benchmark:
        "<benchmarks>/train/{region}/{seed}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: 2
    resources:
        mem_mb=memory(train_need),
        runtime=minutes(train_need),
        gpu=GPUS,
    params:
        **by_name(
            per_class=config["sampling"]["per_class"],
            per_polygon_max=config["sampling"]["per_polygon_max"],
        ),
        model=MODEL,
    script:
        "../../scripts/train.py"
