"""A fresh log for each test."""

import pytest

from tests.audit.log_home import LogHome


@pytest.fixture
def home(tmp_path):
    home = LogHome(tmp_path / "home")
    yield home
    home.journal.close()
