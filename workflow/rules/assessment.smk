rule assess:
    input:
        validations=validations,
        models=descriptions,
        counts=collect("<results>/map/{tile}/counts.csv", tile=TILES),
    output:
        scores="<results>/assessment/scores.csv",
        summary="<results>/assessment/summary.csv",
        confusion="<results>/assessment/confusion.csv",
        classes="<results>/assessment/classes.csv",
        areas="<results>/assessment/areas.csv",
    log:
        "<logs>/assess.log",
    benchmark:
        "<benchmarks>/assess.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=memory(assess_need),
        runtime=minutes(assess_need),
    params:
        codes=CLASSES.codes,
    script:
        "../../scripts/assess.py"


rule report:
    input:
        scores="<results>/assessment/scores.csv",
        summary="<results>/assessment/summary.csv",
        confusion="<results>/assessment/confusion.csv",
        classes="<results>/assessment/classes.csv",
        areas="<results>/assessment/areas.csv",
        mosaics=MAPS,
        clear_shares=collect("<results>/map/{tile}/clear.csv", tile=TILES),
        acquisitions=collect("<results>/acquisitions/{tile}.json", tile=TILES),
    output:
        report="<results>/report/index.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=memory(report_need),
        runtime=minutes(report_need),
    params:
        classes=CLASSES.to_list(),
    script:
        "../../scripts/report.py"
