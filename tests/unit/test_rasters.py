import numpy as np
import pytest
import rasterio

from parcelle import files, rasters
from parcelle.grid import Grid
from parcelle.windows import windows

GRID = Grid("EPSG:32631", 500_000, 5_000_000, 10, 530, 1100)
TAGS = {"PARCELLE_VERSION": "1.2.3", "PARCELLE_SETTINGS": "0123456789abcdef"}


def pixels(dtype="uint8", bands=1, seed=0):
    """Patches of several values, with a whole block of nodata."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 200, (bands, 54, 111)).astype(dtype)
    result = patches.repeat(10, axis=1).repeat(10, axis=2)[:, : GRID.height, : GRID.width].copy()
    result[:, :512, 512:1024] = 0
    return result


def write(path, content, size=512, order=None, threads=1, tags=TAGS, names=None):
    dtype, count = content.dtype.name, len(content)
    with rasters.writer(path, GRID, dtype, count, tags, threads) as raster:
        for window in (order or list)(windows(GRID.height, GRID.width, size)):
            rows, columns = window.toslices()
            raster.write(window, content[0, rows, columns] if count == 1 else content[:, rows, columns])
        if names:
            raster.describe(names)
    return path.read_bytes()


def shuffled(every):
    every = list(every)
    return [every[i] for i in np.random.default_rng(3).permutation(len(every))]


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 1), ("uint16", 1), ("uint16", 3)])
def test_the_bytes_follow_from_the_pixels_alone(dtype, bands, tmp_path):
    content = pixels(dtype, bands)
    expected = write(tmp_path / "a.tif", content)
    for i, (size, order, threads) in enumerate(
        [(100, None, 1), (100, shuffled, 3), (333, shuffled, 1), (4096, None, 2)]
    ):
        assert write(tmp_path / f"{i}.tif", content, size, order, threads) == expected
    other = content.copy()
    other[-1, -1, -1] += 1
    assert write(tmp_path / "other.tif", other) != expected
    with rasterio.open(tmp_path / "0.tif") as image:
        assert np.array_equal(image.read(), content)


def test_drafts_lie_in_scratch_which_may_be_another_file_system(tmp_path, elsewhere):
    content = pixels()
    with rasters.writer(tmp_path / "a.tif", GRID, "uint8", 1, TAGS, scratch=str(elsewhere)) as raster:
        raster.write(GRID.whole, content)
        assert list(tmp_path.iterdir()) == []
        assert [p.name for p in elsewhere.glob("*/*")] == ["draft.tif"]
    assert (tmp_path / "a.tif").read_bytes() == write(tmp_path / "b.tif", content)
    assert list(elsewhere.iterdir()) == []


def test_what_is_written_twice_is_what_came_last(tmp_path):
    content = pixels()
    with rasters.writer(tmp_path / "a.tif", GRID, "uint8", 1, TAGS) as raster:
        for seed in (1, 0):
            raster.write(GRID.whole, pixels(seed=seed))
    assert (tmp_path / "a.tif").read_bytes() == write(tmp_path / "b.tif", content)


def test_windows_that_are_not_written_are_nodata(tmp_path):
    """The same bytes as if the zeros had been written."""
    content = pixels()
    content[:, 512:] = 0
    with rasters.writer(tmp_path / "a.tif", GRID, "uint8", 1, TAGS) as raster:
        top = next(windows(GRID.height, GRID.width, 512))
        raster.write(top, content[:, :512, :512])
        raster.write(type(top)(1024, 0, 76, 512), content[:, :512, 1024:])
    assert (tmp_path / "a.tif").read_bytes() == write(tmp_path / "b.tif", content)


def test_a_raster_says_what_it_is(tmp_path):
    write(tmp_path / "a.tif", pixels("uint16", 2), names=["wheat", "forest"])
    with rasterio.open(tmp_path / "a.tif") as image:
        assert (image.driver, image.dtypes, image.nodatavals) == ("GTiff", ("uint16",) * 2, (0, 0))
        assert Grid.of(image) == GRID
        assert {k: image.tags()[k] for k in TAGS} == TAGS
        assert (image.compression.name, image.interleaving.name) == ("deflate", "band")
        assert image.block_shapes == [(512, 512)] * 2
        assert image.descriptions == ("wheat", "forest")
    assert files.verify(tmp_path / "a.tif") == tmp_path / "a.tif"


def test_compressed_files_are_small(tmp_path):
    assert len(write(tmp_path / "a.tif", pixels("uint16"))) < GRID.height * GRID.width * 2 / 20


def test_nothing_is_left_after_an_error(tmp_path):
    with (
        pytest.raises(RuntimeError, match="no more"),
        rasters.writer(tmp_path / "a.tif", GRID, "uint8", 1, TAGS) as raster,
    ):
        raster.write(GRID.whole, pixels())
        raise RuntimeError("no more")
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_copy_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(rasterio.shutil, "copy", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a.tif", pixels())
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_raster_that_was_there(tmp_path):
    before = write(tmp_path / "a.tif", pixels())
    with pytest.raises(RuntimeError), rasters.writer(tmp_path / "a.tif", GRID, "uint8", 1, TAGS):
        raise RuntimeError
    assert (tmp_path / "a.tif").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "a.tif.sha256"]


def test_a_name_with_dots_keeps_its_neighbours(tmp_path):
    for name in ("a.2018.tif", "a.2019.tif"):
        write(tmp_path / name, pixels())
    assert sorted(p.name for p in tmp_path.glob("*.tif")) == ["a.2018.tif", "a.2019.tif"]
