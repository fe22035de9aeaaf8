"""Checksums as `sha256sum` has them, of files and of what lies in archives."""

import hashlib
import subprocess
import tarfile
import zipfile

import pytest

from parcelle import checksums, files
from parcelle.errors import InputError, StaleError

CONTENT = b"some pixels" * 300_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def archives(tmp_path):
    """One file by itself, in a zip archive and in a tar archive; the paths by which GDAL reads each."""
    (tmp_path / "b4.tif").write_bytes(CONTENT)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(tmp_path / "b4.tif", "P.SAFE/IMG/b4.tif")
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        packed.add(tmp_path / "b4.tif", "b4.tif")
        packed.add(tmp_path, "folder", recursive=False)
    return [f"{tmp_path}/b4.tif", f"/vsizip/{tmp_path}/a.zip/P.SAFE/IMG/b4.tif", f"/vsitar/{tmp_path}/a.tar/b4.tif"]


def test_a_file_has_one_checksum_wherever_it_lies(archives):
    assert [checksums.of(path) for path in archives] == [DIGEST] * 3


@pytest.mark.parametrize("path", ["https://example.org/b4.tif", "/vsicurl/https://example.org/b4.tif", "s3://a/b.tif"])
def test_addresses_elsewhere_have_none(path):
    assert checksums.of(path) is None


@pytest.mark.parametrize("archive", ["/vsizip/{}/a.zip", "/vsitar/{}/a.tar"])
@pytest.mark.parametrize("name", ["gone.tif", "folder"])
def test_a_member_that_is_not_there_is_named(archives, tmp_path, archive, name):
    with pytest.raises(InputError, match=f"^{name} cannot be read from {tmp_path}/a"):
        checksums.of(f"{archive.format(tmp_path)}/{name}")


def test_sha256sum_checks_what_is_written(tmp_path, archives):
    checksums.write({"b4.tif": DIGEST}, tmp_path / "SHA256SUMS")
    done = subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "b4.tif: OK\n"
    assert checksums.read(tmp_path / "SHA256SUMS") == {"b4.tif": DIGEST}


def test_checksums_beside_files_are_collected_without_reading_them(tmp_path):
    for name in ("class.tif", "counts.csv"):
        with files.whole(tmp_path / name) as draft:
            draft.write_text(name)
    (tmp_path / "class.tif").write_text("changed since")
    checksums.write_beside([tmp_path / "class.tif", tmp_path / "counts.csv"], tmp_path / "SHA256SUMS")
    expected = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("class.tif", "counts.csv")}
    assert checksums.read(tmp_path / "SHA256SUMS") == expected


def test_a_file_without_its_checksum_is_refused(tmp_path):
    (tmp_path / "class.tif").write_text("no checksum")
    with pytest.raises(StaleError, match="has no checksum beside it"):
        checksums.beside(tmp_path / "class.tif")
