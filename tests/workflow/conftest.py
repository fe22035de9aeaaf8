import country
import pytest


@pytest.fixture(scope="session")
def mapped(tmp_path_factory):
    """A tiny country, mapped; tests copy it before they change anything."""
    return country.shared(tmp_path_factory.getbasetemp(), "mapped", lambda folder: country.run(country.write(folder)))


@pytest.fixture
def again(mapped, tmp_path):
    """A copy of the mapped country, to change and to run again."""
    return country.copy(mapped, tmp_path / "again")
