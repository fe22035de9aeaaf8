"""Write what a run was made of and what came out, as an RO-Crate."""

import shutil
from pathlib import Path

import yaml

from parcelle import checksums, crate, crate_tables, files, foreign, provenance, settings, vector_files
from parcelle.log import logged
from parcelle.operations import jobs
from parcelle.planning import Plan


def written(paths: list[str], models: list[str], sums: list[str], results: Path) -> dict[str, str]:
    """SHA-256 of what came out, by path from `results`: as it was written, without reading it again."""
    found = {path: checksums.beside(path) for path in [*paths, *models]}
    for model in models:
        if model.endswith(".json"):
            weights = files.read_json(model)["files"]
            found |= {str(Path(model).with_name(name)): digest for name, digest in weights.items()}
    for path in sums:
        found |= {str(Path(path).with_name(name)): digest for name, digest in checksums.read(path).items()}
    return {str(Path(path).relative_to(results)): digest for path, digest in sorted(found.items())}


def given(checked: settings.Settings, made: list[str]) -> dict[str, str]:
    """SHA-256 of what went in and is small: polygons, nomenclature, functions, and what Parcelle `made` before."""
    places = [place.path for place in (checked.reference, checked.regions, checked.area) if place]
    parts = [part for path in places for part in vector_files.parts(path)]
    code = [name for name in (*(e.function for e in checked.external.values()), checked.model.name) if ":" in name]
    every = (*parts, checked.nomenclature, *(str(foreign.file_of(name)) for name in code))
    mine = [path for path in every if Path(path).is_file()]
    return {path: files.checksum(path) for path in mine} | {path: checksums.beside(path) for path in made}


def frozen(checked: settings.Settings) -> list[str]:
    """Models that mapped although the run did not train them."""
    if not checked.map.freeze:
        return []
    seeds = ["all"] if checked.map.model == "all" else checked.map.model
    regions = Plan.read(f"{checked.results}/plan.json").all_regions()
    return [f"{checked.results}/model/{region}/{seed}/model.json" for region in regions for seed in seeds]


def write_settings(checked: settings.Settings, output: str) -> None:
    """Write all settings, defaults included: a file that a run can be repeated with."""
    with files.whole(output) as draft:
        draft.write_text(yaml.safe_dump(checked.model_dump(mode="json"), sort_keys=False), encoding="utf-8")


def record(
    published: dict[str, str], acquisitions: list[str], image_sums: list[str], outputs: dict[str, str],
    *, checked: settings.Settings, clone: Path,
) -> None:  # fmt: skip
    """Write the crate and what lies beside it; `published` are the checksums of what came out."""
    records = [r for r in crate_tables.of_run(jobs.read(checked.results), checked) if r.rule != "provenance"]
    write_settings(checked, outputs["settings"])
    with files.whole(outputs["workflow"]) as draft:
        shutil.copyfile(clone / "Snakefile", draft)
    crate_tables.write_products(acquisitions, crate_tables.read_sums(image_sums), outputs["products"])
    crate_tables.write_jobs(records, outputs["jobs"])
    checksums.write(published, outputs["sums"])
    run = crate.Run(
        results=Path(checked.results),
        settings=checked,
        published=published,
        inputs=given(checked, [*acquisitions, *image_sums, *frozen(checked)]),
        own={Path(path).name: checksums.beside(path) for name, path in outputs.items() if name != "crate"},
        code=provenance.code(clone),
        versions=provenance.versions(),
        records=records,
    )
    crate.write(run, outputs["crate"])


if __name__ == "__main__":
    with logged(snakemake):
        found = settings.read(snakemake.config)
        record(
            written(snakemake.input.published, snakemake.input.models, snakemake.input.maps, Path(found.results)),
            snakemake.input.acquisitions,
            snakemake.input.image_sums,
            dict(snakemake.output.items()),
            checked=found,
            clone=Path(snakemake.scriptdir).parent,
        )
