"""Open images: few handles, many threads, right values."""

import resource
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, constant, noise, save

from parcelle import images
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.images import Images

GRID = Grid("EPSG:32631", 0, 0, 10, 64, 48)


@pytest.fixture
def opened(monkeypatch):
    """All images that are opened, in order, and the most that were open at a time."""
    every, most, lock, real = [], [0], threading.Lock(), rasterio.open

    def note(path, *arguments, **options):
        image = real(path, *arguments, **options)
        with lock:
            every.append(image)
            most[0] = max(most[0], sum(not i.closed for i in every))
        return image

    monkeypatch.setattr(rasterio, "open", note)
    return every, most


@pytest.fixture
def ten(tmp_path):
    """Ten images, and their pixels by path."""
    pixels = [noise(GRID, seed=i) for i in range(10)]
    return {save(tmp_path / f"{i}.tif", values, GRID): values for i, values in enumerate(pixels)}


def read_often(found, pixels, count, threads):
    """Read windows here and there on several threads; how many were wrong."""

    def wrong(i):
        random = np.random.default_rng(i)
        path = list(pixels)[random.integers(len(pixels))]
        row, column = random.integers(0, GRID.height - 8), random.integers(0, GRID.width - 8)
        window = Window(column, row, 8, 8)
        assert found.header(path).grid == GRID
        return not np.array_equal(found.read(path, [1], window), pixels[path][(slice(None), *window.toslices())])

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(wrong, range(count)))


def test_a_header_says_what_an_image_is_made_of(tmp_path):
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 32}
    layouts = {
        "strips": ({"blockysize": 8}, (8, 48), 1),
        "tiles": (tiles, (32, 16), 1),
        "one": ({**tiles, "interleave": "pixel"}, (32, 16), 3),
        "each": ({**tiles, "interleave": "band"}, (32, 16), 1),
    }
    with Images() as found:
        for name, (profile, block, bands) in layouts.items():
            path = save(tmp_path / f"{name}.tif", noise(GRID, 1 if name in ("strips", "tiles") else 3), GRID, **profile)
            assert found.header(path) == images.Header(GRID, block, bands)


def test_a_file_is_opened_once_however_many_threads_read_it(ten, opened):
    with Images() as found:
        assert read_often(found, ten, 200, threads=4) == 0
        assert sorted(i.name for i in opened[0] if not i.closed) == sorted(ten)
    assert all(i.closed for i in opened[0])
    assert len(opened[0]) == len(ten)


def test_few_files_are_open_at_a_time(ten, opened):
    threads = 4
    with Images(most=3) as found:
        assert read_often(found, ten, 400, threads) == 0
        assert opened[1][0] <= 3 + threads  # each thread may hold one, and open another
        read_often(found, ten, 20, threads=1)
        assert sum(not i.closed for i in opened[0]) == 3
    assert all(i.closed for i in opened[0])


def test_files_used_last_stay_open(ten, opened):
    a, b, c, d = list(ten)[:4]
    with Images(most=3) as found:
        for path in (a, b, c, a, d, a, c):
            found.header(path)
        assert [i.name for i in opened[0]] == [a, b, c, d]
        assert [i.name for i in opened[0] if i.closed] == [b]


def test_a_band_goes_straight_to_its_place(tmp_path):
    pixels = noise(bands=2)
    path = save(tmp_path / "a.tif", pixels)
    held = np.full((3, TILE.height + 2, TILE.width + 3), -7, np.int16)
    place = held[1:2, 1 : 1 + TILE.height, 2 : 2 + TILE.width]
    with Images() as found:
        raw = found.read(path, [2], TILE.whole, place)
    assert np.shares_memory(raw, held)
    assert np.array_equal(raw, pixels[1:])
    assert np.array_equal(place, pixels[1:])
    assert (held == -7).sum() == held.size - TILE.height * TILE.width


@pytest.mark.parametrize(("bands", "dtype"), [([1], "uint16"), ([1], "float32"), ([2, 1], "int16")])
def test_other_bands_leave_the_place_alone(tmp_path, bands, dtype):
    pixels = noise(bands=2, dtype="int16")
    path = save(tmp_path / "a.tif", pixels)
    place = np.full((1, TILE.height, TILE.width), 3, dtype)
    with Images() as found:
        raw = found.read(path, bands, TILE.whole, place)
    assert raw.dtype == np.int16
    assert np.array_equal(raw, pixels[[b - 1 for b in bands]])
    assert (place == 3).all()


@pytest.mark.parametrize(
    ("profile", "bands", "window", "blocks", "size"),
    [
        ({"blockysize": 8}, [1], Window(0, 0, 48, 64), 8, 8 * 48),
        ({"blockysize": 8}, [1], Window(5, 7, 1, 2), 2, 8 * 48),
        ({"tiled": True, "blockxsize": 16, "blockysize": 16}, [1], Window(0, 0, 48, 64), 12, 256),
        ({"tiled": True, "blockxsize": 16, "blockysize": 16}, [1], Window(16, 32, 16, 16), 1, 256),
        ({"tiled": True, "blockxsize": 16, "blockysize": 16}, [1], Window(15, 31, 18, 18), 9, 256),
        ({"blockysize": 8, "interleave": "band"}, [1, 3], Window(0, 8, 48, 16), 4, 8 * 48),
        ({"blockysize": 8, "interleave": "pixel"}, [1, 3], Window(0, 8, 48, 16), 2, 3 * 8 * 48),
    ],
)
def test_blocks_are_counted_with_their_bytes(tmp_path, profile, bands, window, blocks, size):
    path = save(tmp_path / "a.tif", noise(GRID, max(bands), dtype="int16"), GRID, **profile)
    with Images() as found:
        found.read(path, bands, window)
        found.read(path, bands, window)
        assert (found.blocks, found.decoded) == (2 * blocks, 2 * blocks * size * 2)


def test_bytes_are_those_of_the_type(tmp_path):
    path = save(tmp_path / "a.tif", constant(1, GRID, "uint8"), GRID, blockysize=64)
    with Images() as found:
        found.read(path, [1], Window(0, 0, 1, 1))
        assert found.decoded == 64 * 48


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    with Images() as found:
        for name in ("text.tif", "missing.tif"):
            for ask in (found.header, lambda path: found.read(path, [1], Window(2, 3, 4, 5))):
                with pytest.raises(InputError) as error:
                    ask(str(tmp_path / name))
                assert str(error.value).startswith(f"{tmp_path / name} cannot be read (")
                assert str(error.value).endswith(": repair or remove the product.")
        assert "); window rows 3–7, columns 2–5: repair" in str(error.value)


def test_an_image_that_breaks_off_is_named_with_the_window_and_read_on(tmp_path):
    path = save(tmp_path / "a.tif", noise(GRID), GRID, compress="deflate", blockysize=8)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with Images() as found:
        with pytest.raises(
            InputError, match=r"a\.tif cannot be read \(.*ReadBlock.*\); window rows 56–63, columns 0–7: repair"
        ):
            found.read(path, [1], Window(0, 56, 8, 8))
        assert found.blocks == 0
        # The handle is free again, for any thread.
        with ThreadPoolExecutor(1) as pool:
            part = pool.submit(found.read, path, [1], Window(0, 0, 8, 8)).result(10)
    assert np.array_equal(part, noise(GRID)[:, :8, :8])


@pytest.mark.parametrize("band", [2, 0])
def test_a_band_that_the_file_does_not_have_is_named(tmp_path, band):
    path = save(tmp_path / "a.tif", constant(1))
    place = np.zeros((1, 2, 2), np.int16)
    with Images() as found, pytest.raises(InputError) as error:
        found.read(path, [band], Window(0, 0, 2, 2), place)
    assert str(error.value).startswith(f"{path} cannot be read (band index {band} out of range")
    assert "rows 0–1, columns 0–1" in str(error.value)


@pytest.mark.parametrize(
    ("soft", "hard", "refused", "most"),
    [
        (1024, 4096, False, 4096 - images.OTHERS),
        (1024, 4096, True, 1024 - images.OTHERS),
        (1024, 1024, False, 1024 - images.OTHERS),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, False, 65_536 - images.OTHERS),
        (10**9, 10**9, False, 65_536 - images.OTHERS),
        (64, 64, False, 16),
    ],
)
def test_as_many_files_are_open_as_the_system_gives(monkeypatch, soft, hard, refused, most):
    def grant(*_):
        if refused:
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", grant)
    assert images._allowed() == most


def test_places_are_of_first_and_last_pixels():
    assert images.place(Window(2, 3, 4, 5)) == "rows 3–7, columns 2–5"
