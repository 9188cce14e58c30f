"""A fresh log for each test, with its sequence in each kind of database in turn."""

import pytest

from tests.audit.log_home import LogHome
from tests.stores import Place


@pytest.fixture
def sqlite_home(tmp_path):
    home = LogHome(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture
def home(tmp_path, place):
    home = LogHome(tmp_path / "home", place=place)
    yield home
    home.close()


@pytest.fixture
def beside(home, request):
    """Make another log of the same kind."""
    made = []

    def make(name):
        place = None
        if home.place.kind == "postgres":
            address = request.getfixturevalue("postgres").database()
            place = Place("postgres", home.root / "none", address)
        made.append(LogHome(home.root / name, place=place))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite3"


@pytest.fixture
def journal(place):
    journal = place.journal()
    yield journal
    journal.close()
