"""What a run says of itself, and whether it is true: the crate, `verify`, and the notice of another version."""

import json
import os
import re
import shutil
import subprocess
import sys

import country
import yaml

from parcelle import checksums, crate, files, settings

CRATE = "results/provenance/ro-crate-metadata.json"
# What is published: all of it, but for the checksums beside it and the lists of them.
PUBLISHED = ("assessment/*", "map/*/*", "model/*/*/*", "mosaic/*", "report/*")


def on_disk(folder):
    """SHA-256 of each published file, by its path from the results."""
    results = folder / "results"
    found = (path for pattern in PUBLISHED for path in results.glob(pattern))
    kept = [p for p in found if p.suffix != ".sha256" and p.name != "SHA256SUMS"]
    return {str(path.relative_to(results)): files.checksum(path) for path in kept}


def listed(folder):
    """What the crate lists as published, by path from the results."""
    found = crate.read(folder / CRATE).published
    return {str(path.relative_to(folder / "results")): digest for path, digest in found.items()}


def verify(folder, *words):
    """Run the command; give its exit status and the lines it prints."""
    command = [sys.executable, "-m", "parcelle.operations.verify", "--directory", folder]
    command += ["--configfile", folder / "settings.yaml", *words]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def flip(path):
    """Change one bit in the middle of a file, and nothing of its size or time."""
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_crate_lists_what_is_on_disk(mapped):
    assert listed(mapped) == on_disk(mapped)
    assert len(listed(mapped)) == 5 + 3 * (3 + 2) + 6 * 3 + 3 * 3 + 1


def test_sha256sum_checks_what_was_published(mapped):
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "provenance/SHA256SUMS"], cwd=mapped / "results", capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.count(": OK") == len(on_disk(mapped)), done.stdout + done.stderr


def test_the_settings_beside_it_are_those_of_the_run(mapped):
    written = yaml.safe_load((mapped / "results/provenance/settings.yaml").read_text())
    assert settings.read(written) == settings.read(country.SETTINGS)
    assert written["map"]["min_valid"] == 1, "defaults stand in it"


def test_jobs_and_their_sum(mapped):
    rows = (mapped / "results/provenance/jobs.csv").read_text().splitlines()[1:]
    assert len(rows) == len(set(rows)) == 1 + 3 * 3 + 4 + 6 + 3 + 2
    graph = {entity["@id"]: entity for entity in json.loads((mapped / CRATE).read_text())["@graph"]}
    assert graph["#jobs"]["value"] == len(rows)
    assert graph["#run"]["startTime"] < graph["#run"]["endTime"] <= graph["./"]["datePublished"]


def test_the_products_that_were_read(mapped):
    rows = [row.split(",") for row in (mapped / "results/provenance/products.csv").read_text().splitlines()[1:]]
    names = {path.name for path in (mapped / "country/sentinel2").glob("*/*")}
    assert {row[2] for row in rows} == names and len(rows) == len(names) == 24
    assert {row[5] for row in rows} == {"13"} and {row[7] for row in rows} == {""}


def test_an_undisturbed_run_is_verified(mapped):
    count = len(on_disk(mapped)) + 5 + 3 + 3  # and what lies beside the crate; polygons and classes; inventories
    said = f"{count} file(s) read and compared by SHA-256, 24 product(s) compared by names, sizes and times"
    assert verify(mapped) == (0, [f"{said}: no difference(s)."])


def test_what_differs_is_named(again):
    mosaic = "results/mosaic/validity.tif"
    flip(again / mosaic)
    image = next((again / "country/sentinel2/31TGL").glob("*/*_FRE_B4.tif"))
    os.utime(image)
    (again / "results/model/north/0/forest.npz").unlink()
    status, lines = verify(again)
    assert status == 1 and lines[-1].endswith(": 3 difference(s).") and len(lines) == 4
    assert [line.split()[0] for line in lines[:3]] == [
        "results/model/north/0/forest.npz",
        mosaic,
        str(image.parent.relative_to(again)),
    ]
    assert lines[0].endswith("is missing. Make it again: snakemake --forcerun results/model/north/0/model.json")
    assert lines[1].endswith(f"its checksum differs. Make it again: snakemake --forcerun {mosaic}")
    assert "(tile 31TGL, s2, 2018-" in lines[2] and "a file of it was replaced" in lines[2]
    assert verify(again, "--published")[1][-1].endswith(": 2 difference(s).")


def test_a_changed_crate_is_refused(again):
    flip(again / CRATE)
    command = [sys.executable, "-m", "parcelle.operations.verify", "--configfile", "settings.yaml"]
    done = subprocess.run(command, cwd=again, capture_output=True, text=True)
    assert done.returncode == 1 and f"Make it again: snakemake --forcerun {CRATE}" in done.stderr


def test_the_same_country_elsewhere_has_the_same_checksums(mapped, tmp_path):
    other = country.write(tmp_path / "other")
    country.run(other, cores=1)
    here, there = listed(mapped), listed(other)
    assert here.keys() == there.keys()
    # The report tells how long the jobs took.
    assert {name for name in here if here[name] != there[name]} <= {"report/index.html"}


def test_a_sidecar_that_was_removed_is_made_again(again):
    for name, job in [("class.qml", "mosaic/class"), ("validity.tif.aux.xml", "mosaic/validity")]:
        (again / "results/mosaic" / name).unlink()
        assert country.run(again) == [job, "provenance", "report"]
        files.verify(again / "results/mosaic" / name)


def test_a_full_check_adds_the_checksums_of_images_and_reruns_no_map(again):
    country.configure(again, check="full")
    assert country.run(again, "--until", "inventory") == [f"inventory/{t}" for t in sorted(country.SETTINGS["tiles"])]
    assert country.run(again) == ["provenance"]
    sums = checksums.read(again / "results/acquisitions/31TGL.SHA256SUMS")
    paths = [p.relative_to(again) for p in (again / "country/sentinel2/31TGL").glob("**/*.tif")]
    used = {str(p): files.checksum(again / p) for p in paths if str(p) in sums}
    assert used == sums and len(sums) == 8 * 13
    image = again / min(sums)
    times = image.stat()
    flip(image)
    assert image.stat().st_mtime_ns == times.st_mtime_ns
    status, lines = verify(again)
    assert status == 1 and len(lines) == 2 and lines[0].startswith(f"{min(sums)} is not the file it was")


def test_another_version_is_said_and_reruns_nothing(again):
    path = again / CRATE
    path.write_text(re.sub(r'("name": "numba",\s+"softwareVersion": )"[^"]+"', r'\1"0.0.1"', path.read_text()))
    done = country.snakemake(again)
    assert done.returncode == 0 and country.jobs(done.stdout + done.stderr) == []
    assert "Results in results were made with numba 0.0.1 (now " in done.stderr
    assert "Nothing runs again for that" in done.stderr and "--forceall" in done.stderr


def test_a_published_map_is_verified_without_its_images(again):
    shutil.rmtree(again / "country/sentinel2")
    assert verify(again, "--published")[0] == 0
