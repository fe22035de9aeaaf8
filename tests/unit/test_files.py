"""Files are whole or not there."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from parcelle import files
from parcelle.errors import StaleError


def write(path, text):
    with files.whole(path) as draft:
        draft.write_text(text)


def test_a_file_gets_its_name_and_its_checksum(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    write(path, "content")
    assert path.read_text() == "content"
    assert files.beside(path) == tmp_path / "new" / "folder" / "a.txt.sha256"
    assert files.beside(path).read_text() == hashlib.sha256(b"content").hexdigest()
    assert files.verify(path) == path
    assert files.verify(str(path)) == path
    assert {p.name for p in path.parent.iterdir()} == {"a.txt", "a.txt.sha256"}


def test_the_draft_lies_beside_under_another_name_with_the_same_suffix(tmp_path):
    with files.whole(tmp_path / "a.size.json") as draft:
        assert draft.parent == tmp_path
        assert draft.name.startswith(".a.size.")
        assert draft.suffix == ".json"
        assert not (tmp_path / "a.size.json").exists()
        draft.write_text("{}")


def test_nothing_is_left_when_the_block_raises(tmp_path):
    with pytest.raises(ZeroDivisionError), files.whole(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_stays_when_the_block_raises(tmp_path):
    write(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), files.whole(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise ZeroDivisionError
    assert files.verify(tmp_path / "a.txt").read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.whole(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_nothing_under_the_name(tmp_path):
    code = """
import os, sys
from parcelle import files
with files.whole(sys.argv[1]) as draft:
    draft.write_text("half")
    os.kill(os.getpid(), 9)
"""
    package = Path(files.__file__).parents[1]
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt"], env={"PYTHONPATH": str(package)})
    assert ended.returncode == -9
    assert not (tmp_path / "a.txt").exists()
    with pytest.raises(StaleError):
        files.verify(tmp_path / "a.txt")


def test_the_checksum_is_in_place_before_the_file(tmp_path, monkeypatch):
    named, replace = [], Path.replace

    def recorded(self, target):
        named.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", recorded)
    write(tmp_path / "a.txt", "content")
    assert named == ["a.txt.sha256", "a.txt"]


def test_an_overwrite_that_ends_between_checksum_and_file_is_seen(tmp_path, monkeypatch):
    write(tmp_path / "a.txt", "old")
    replace = Path.replace

    def full(self, target):
        if Path(target).name == "a.txt":
            raise OSError("disk full")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    with pytest.raises(StaleError, match="checksum differs"):
        files.verify(tmp_path / "a.txt")


def test_of_two_writers_at_once_the_last_to_end_wins_whole(tmp_path):
    with files.whole(tmp_path / "a.txt") as slow:
        slow.write_text("slow")
        write(tmp_path / "a.txt", "fast")
        assert files.verify(tmp_path / "a.txt").read_text() == "fast"
    assert files.verify(tmp_path / "a.txt").read_text() == "slow"
    assert {p.name for p in tmp_path.iterdir()} == {"a.txt", "a.txt.sha256"}


def test_many_writers_never_leave_a_mixture_that_is_taken_for_whole(tmp_path):
    texts = [str(i) * 10_000 for i in range(8)]
    for _ in range(20):
        writers = [threading.Thread(target=write, args=(tmp_path / "a.txt", text)) for text in texts]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert (tmp_path / "a.txt").read_text() in texts
        assert files.beside(tmp_path / "a.txt").read_text() in [hashlib.sha256(t.encode()).hexdigest() for t in texts]
        assert {p.name for p in tmp_path.iterdir()} == {"a.txt", "a.txt.sha256"}


def stale(path):
    """What is said of a stale file, without its path."""
    with pytest.raises(StaleError) as error:
        files.verify(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert text.endswith(f"Make it again: snakemake --forcerun {path}")
    return text


def test_a_missing_file_is_named_with_its_mend(tmp_path):
    assert "is missing." in stale(tmp_path / "a.txt")


def test_a_file_without_a_checksum_is_named_with_its_mend(tmp_path):
    (tmp_path / "a.txt").write_text("from elsewhere")
    assert "no checksum beside it (a.txt.sha256)" in stale(tmp_path / "a.txt")


@pytest.mark.parametrize("text", ["conten", "", "content ", "Content"])
def test_a_truncated_or_changed_file_is_named_with_its_mend(tmp_path, text):
    write(tmp_path / "a.txt", "content")
    (tmp_path / "a.txt").write_text(text)
    assert "was changed or cut" in stale(tmp_path / "a.txt")


def test_json_goes_there_and_back_in_the_same_bytes(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"é": "ü"}}
    files.write_json(tmp_path / "1.json", content)
    files.write_json(tmp_path / "2.json", content)
    assert files.read_json(tmp_path / "1.json") == content
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    assert (tmp_path / "1.json").read_bytes().endswith(b"}\n")


def test_json_with_a_number_that_it_does_not_have_is_refused(tmp_path):
    files.write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", float("nan"))
    assert files.read_json(tmp_path / "a.json") == 1


def test_changed_json_is_not_read(tmp_path):
    files.write_json(tmp_path / "a.json", [1, 2])
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(StaleError):
        files.read_json(tmp_path / "a.json")


def test_checksum_is_that_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.checksum(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_state_of_files_follows_sizes_times_and_presence(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    states = [files.state([a, b])]
    b.write_text("2")
    states.append(files.state([a, b]))
    os.utime(b, ns=(1, 1))
    states.append(files.state([a, b]))
    b.unlink()
    b.symlink_to("nowhere")
    assert files.state([b, a, a]) == states[0]
    assert len(set(states)) == 3


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_a_file_in_an_archive_the_archive_counts(tmp_path, kind):
    archive = tmp_path / f"a.{kind}"
    archive.write_bytes(b"one")
    path = f"/vsi{kind}/{archive}/folder/b.tif"
    before = files.state([path])
    assert before == files.state([path]) != files.state([f"/vsi{kind}/{tmp_path}/missing.{kind}/b.tif"])
    archive.write_bytes(b"other")
    assert files.state([path]) != before


def test_waits_for_a_time_that_another_clock_gave(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    os.utime(path, (time.time() + 1, time.time() + 1))
    files.await_past([path])
    assert path.stat().st_mtime <= time.time()


def test_refuses_a_time_far_in_the_future_and_says_what_to_type(tmp_path):
    path = tmp_path / "a.csv"
    path.touch()
    os.utime(path, (2_051_222_400, 2_051_222_400))
    with pytest.raises(StaleError, match=rf"^{path} has a time in the future \(2035-01-0.* then type: touch {path}$"):
        files.await_past([path])
