"""A fresh log for each test."""

import pytest

from tests.audit.log_home import LogHome


@pytest.fixture
def home(tmp_path):
    home = LogHome(tmp_path / "home")
    yield home
    home.journal.close()


@pytest.fixture
def either(tmp_path, place):
    """A fresh log whose sequence lies in each kind of database in turn."""
    home = LogHome(tmp_path / "home", place=place)
    yield home
    home.journal.close()
