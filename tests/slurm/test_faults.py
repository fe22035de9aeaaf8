"""What clusters do to a run: it ends with the map of an undisturbed run, byte for byte, or says what to mend."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from slurm import faults, runs
from slurm.cluster import wait

# How ten runs are killed: before which rule they start, after how many seconds, and whether their jobs are cancelled.
CHANCE = random.Random(6)
STARTS = ["sample", "train", "classify", "classify"]
KILLED = [(CHANCE.choice(STARTS), round(CHANCE.uniform(2, 45)), CHANCE.choice([True, False])) for _ in range(10)]

# An outage of the controller.
OUTAGE = 30


def test_a_node_is_lost_while_its_job_runs(own_cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=600)
    run = runs.start_on_slurm(folder, own_cluster)
    faults.wait_for_trouble(folder)
    lost = own_cluster.wait_for_job(folder, "classify").nodes
    own_cluster.kill_node(lost)
    # SLURM starts the job again two minutes after it noticed.
    faults.end(run, folder, seconds=600)
    made = [job for job in own_cluster.sacct(folder) if job.rule == "classify"]
    assert [job.state for job in made] == ["NODE_FAIL", "COMPLETED"]
    assert made[0].nodes == lost != made[1].nodes
    faults.assert_as_undisturbed(folder, prone)


def test_somebody_cancels_a_running_job(cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=600)
    run = runs.start_on_slurm(folder, cluster)
    faults.wait_for_trouble(folder)
    cluster.cancel(cluster.wait_for_job(folder, "classify").id)
    faults.end(run, folder)
    assert faults.states(cluster, folder, "classify") == ["CANCELLED", "COMPLETED"]
    faults.assert_as_undisturbed(folder, prone)


@pytest.mark.chosen
def test_out_of_memory_on_the_first_attempt(cluster, prone, tmp_path):
    """The job needs more than it asks for at first; the second time it asks for twice as much."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", mb=1100, seconds=3, always=True)
    runs.must(runs.on_slurm(folder, cluster, "--set-resources", "classify:mem_mb=attempt*1000"))
    first, second = [job for job in cluster.sacct(folder) if job.rule == "classify"]
    assert (first.mem_mb, second.mem_mb, second.state) == (1000, 2000, "COMPLETED")
    # The kernel ends the script; the process of Snakemake around it sees that it failed, and fails.
    assert "OUT_OF_MEMORY" in cluster.command("sacct", "-n", "-P", "-o", "State", "-j", first.id).split()
    faults.assert_as_undisturbed(folder, prone)


def test_time_limit_on_the_first_attempt(cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=600)
    runs.must(runs.on_slurm(folder, cluster, "--set-resources", "classify:runtime=attempt"))
    made = [(job.state, job.minutes) for job in cluster.sacct(folder) if job.rule == "classify"]
    assert made == [("TIMEOUT", 1), ("COMPLETED", 2)]
    faults.assert_as_undisturbed(folder, prone)


def test_a_partition_is_drained_and_resumed(own_cluster, prone, tmp_path):
    """What runs ends; what follows waits in the queue, and no attempt is lost."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=3)
    run = runs.start_on_slurm(folder, own_cluster)
    faults.wait_for_trouble(folder)
    own_cluster.drain("cpu")
    own_cluster.wait_for_job(folder, "mosaic", "PENDING")
    time.sleep(5)
    assert faults.states(own_cluster, folder, "classify") == ["COMPLETED"]
    own_cluster.resume("cpu")
    faults.end(run, folder)
    assert {job.state for job in own_cluster.sacct(folder)} == {"COMPLETED"}
    faults.assert_as_undisturbed(folder, prone)


def test_the_controller_stops_while_a_job_runs(own_cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=3)
    run = runs.start_on_slurm(folder, own_cluster)
    faults.wait_for_trouble(folder)
    own_cluster.stop_controller()
    time.sleep(OUTAGE)
    own_cluster.start_controller()
    faults.end(run, folder)
    assert {job.state for job in own_cluster.sacct(folder)} == {"COMPLETED"}
    faults.assert_as_undisturbed(folder, prone)


def test_the_controller_is_stopped_while_jobs_are_submitted(own_cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    own_cluster.stop_controller()
    run = runs.start_on_slurm(folder, own_cluster)
    time.sleep(OUTAGE)
    own_cluster.start_controller()
    faults.end(run, folder)
    assert {job.state for job in own_cluster.sacct(folder)} == {"COMPLETED"}
    faults.assert_as_undisturbed(folder, prone)


def test_accounting_is_down(own_cluster, prone, tmp_path):
    """How jobs ended is known once accounting is back: until then none is given up."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=3)
    run = runs.start_on_slurm(folder, own_cluster)
    faults.wait_for_trouble(folder)
    own_cluster.stop_accounting()
    time.sleep(OUTAGE)
    assert run.poll() is None
    own_cluster.start_accounting()
    faults.end(run, folder)
    assert {job.state for job in own_cluster.sacct(folder)} == {"COMPLETED"}
    faults.assert_as_undisturbed(folder, prone)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 64 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"A file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_the_disk_is_full(cluster, prone, small_disk, tmp_path):
    """Jobs fail, which is said; once there is room, the command of the run is all it takes."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    shutil.copytree(folder / "results", small_disk / "results")
    shutil.rmtree(folder / "results")
    (folder / "results").symlink_to(small_disk / "results")
    filler = small_disk / "filler"
    with filler.open("wb") as stream:
        stream.write(b"x" * (shutil.disk_usage(small_disk).free - 8192))
    failed = runs.on_slurm(folder, cluster)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stdout + failed.stderr
    faults.assert_nothing_half_written(folder, prone)
    filler.unlink()
    runs.must(runs.on_slurm(folder, cluster))
    faults.assert_as_undisturbed(folder, prone)


@pytest.mark.chosen
def test_the_main_process_is_killed_and_the_run_resumed(cluster, prone, tmp_path):
    """Its job goes on, and what it makes is taken over: it does not run again."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=15)
    run = runs.start_on_slurm(folder, cluster)
    faults.wait_for_trouble(folder)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    locked = runs.on_slurm(folder, cluster)
    assert locked.returncode == 1 and "Directory cannot be locked" in locked.stdout + locked.stderr
    said = runs.must(faults.resume(folder, cluster))
    assert "Jobs of the run that are not over: 1 in SLURM" in said
    assert "and taken over: results/map/31TGM/class.tif" in said
    assert faults.states(cluster, folder, "classify") == ["COMPLETED"]
    faults.assert_as_undisturbed(folder, prone)


def test_what_a_job_made_with_other_settings_is_not_taken_over(cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=5)
    run = runs.start_on_slurm(folder, cluster)
    faults.wait_for_trouble(folder)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait(lambda: not cluster.queue(folder), 60, "the job does not end")
    faults.edit_settings(folder, window={"size": 32})
    said = runs.must(faults.resume(folder, cluster))
    assert "and made again: results/map/31TGM/class.tif" in said
    assert faults.states(cluster, folder, "classify") == ["COMPLETED", "COMPLETED"]
    faults.assert_as_undisturbed(folder, prone)


def test_jobs_of_a_killed_run_are_cancelled(cluster, prone, tmp_path):
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=600)
    run = runs.start_on_slurm(folder, cluster)
    faults.wait_for_trouble(folder)
    refused = faults.resume(folder, cluster)
    assert refused.returncode == 1
    assert f"Snakemake still runs in {folder}, as process {run.pid}" in refused.stderr
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    runs.must(faults.resume(folder, cluster, "--cancel"))
    assert faults.states(cluster, folder, "classify") == ["CANCELLED", "COMPLETED"]
    faults.assert_as_undisturbed(folder, prone)


@pytest.mark.parametrize(("rule", "seconds", "cancel"), KILLED)
def test_the_main_process_is_killed_at_some_moment(cluster, prone, tmp_path, rule, seconds, cancel):
    folder = faults.before(rule, prone, tmp_path / "clone")
    run = runs.start_on_slurm(folder, cluster)
    time.sleep(seconds)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    faults.assert_nothing_half_written(folder, prone)
    runs.must(faults.resume(folder, cluster, *["--cancel"] * cancel))
    faults.assert_as_undisturbed(folder, prone)


def test_two_runs_in_one_folder(cluster, prone, tmp_path):
    """The second is refused, the first unharmed."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    faults.make_trouble(folder, "classify", seconds=15)
    first = runs.start_on_slurm(folder, cluster)
    faults.wait_for_trouble(folder)
    second = runs.on_slurm(folder, cluster)
    assert second.returncode == 1
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert first.poll() is None
    faults.end(first, folder)
    assert len({job.run for job in cluster.sacct(folder)}) == 1
    faults.assert_as_undisturbed(folder, prone)


def test_an_output_is_cut_behind_the_workflow_s_back(cluster, prone, tmp_path):
    """Its reader refuses it, once, and says the command that mends it; the command does."""
    folder = faults.before("mosaic", prone, tmp_path / "clone")
    path = folder / "results/map/31TGM/class.tif"
    times = path.stat()
    path.write_bytes(path.read_bytes()[:-50])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    said = runs.on_slurm(folder, cluster)
    assert said.returncode == 1
    assert "results/map/31TGM/class.tif was changed or cut after it was written" in said.stderr.splitlines()[-1]
    assert len([job for job in cluster.sacct(folder) if (job.rule, job.wildcards) == ("mosaic", "class")]) == 1
    runs.must(faults.mend(said.stderr, folder, cluster))
    runs.must(runs.on_slurm(folder, cluster))
    faults.assert_as_undisturbed(folder, prone)


def test_file_times_in_the_future(cluster, prone, tmp_path):
    """As from a clock that is wrong: said with the command that mends it, on what jobs made and on what users give."""
    folder = faults.before("classify", prone, tmp_path / "clone")
    for path in ("results/areas/31TGM.parquet", "country/reference.gpkg"):
        subprocess.run(["touch", "-d", "2035-01-01", path], cwd=folder, check=True)
        said = runs.on_slurm(folder, cluster)
        assert said.returncode == 1
        last = said.stderr.splitlines()[-1]
        assert f"{path} has a time in the future (2035-01-01 00:00)" in last
        subprocess.run(last.split("type: ")[1], shell=True, cwd=folder, check=True)
    runs.must(runs.on_slurm(folder, cluster))
    assert sorted(faults.states(cluster, folder, "classify")) == ["COMPLETED", "FAILED"]
    faults.assert_as_undisturbed(folder, prone)


@pytest.mark.chosen
def test_an_error_in_the_data_is_not_tried_again_and_is_said_last(cluster, prone, tmp_path):
    folder = prone.copy(tmp_path / "clone")
    image = sorted(folder.glob("country/sentinel2/31TGM/*/*_FRE_B4.tif"))[2]
    content, times = image.read_bytes(), image.stat()
    image.write_bytes(content[:-200])
    said = runs.on_slurm(folder, cluster)
    assert said.returncode == 1
    head, last = said.stderr.rstrip().split("Refused, and not tried again. ")[-1].split("\n", 1)
    assert head == "Mend what is said here, then type the command of the run again:"
    assert last.startswith("inventory 31TGM: tile 31TGM: 1 bad acquisition(s)")
    assert f"{image.relative_to(folder)} is truncated" in last
    assert last.endswith("Repair or remove them, or set `on_bad_acquisition: skip` to go on without them.")
    assert faults.states(cluster, folder, "inventory") == ["FAILED"]
    image.write_bytes(content)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    # The inventory is made again; it is the same, so nothing else is.
    runs.must(runs.on_slurm(folder, cluster, "--until", "inventory"))
    runs.must(runs.on_slurm(folder, cluster))
    assert {job.rule for job in cluster.sacct(folder)} == {"inventory"}
    faults.assert_as_undisturbed(folder, prone)
