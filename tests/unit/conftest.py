"""Settings of hypothesis for all unit tests; a folder on another file system."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, on slow machines too; the first call of a compiled function takes seconds.
settings.register_profile("parcelle", deadline=None, derandomize=True)
settings.load_profile("parcelle")


@pytest.fixture
def elsewhere(tmp_path):
    """An empty folder on another file system than `tmp_path`."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write to")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)
