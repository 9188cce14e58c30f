"""What all tests share: where things lie, and honest skips."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.postgres_server import PostgresServer
from tests.stores import Place

# A gateway in this process tells its troubles to standard error, as `xinguan serve` does, so
# that they never mix with what a command prints for machines.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.__stderr__))

# A busy machine must not fail a property, whether it runs slowly or its examples are made slowly;
# slowness is the benchmarks' affair.
settings.register_profile("xinguan", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("xinguan")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what can't run here and say why; CI forbids it."""
    opa = shutil.which("opa") or (ROOT / ".tools" / "bin" / "opa").exists()
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.exists():
            item.add_marker(
                pytest.mark.skip(reason="../shared (real data, foreign vectors) is not here")
            )
        if item.get_closest_marker("opa") and not opa:
            if os.environ.get("CI"):
                pytest.exit("CI forbids skipping the tests that need opa; run `make opa`", 1)
            item.add_marker(pytest.mark.skip(reason="no opa binary; `make opa` fetches it"))


@pytest.fixture(autouse=True)
def _same_node_log():
    """Put the node's log back after a command under test has set it up its own way."""
    yield
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=sys.__stderr__))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started by the first test that asks for it."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty state database of each kind in turn."""
    path = tmp_path / "state.sqlite3"
    if request.param == "sqlite":
        return Place("sqlite", path)
    return Place("postgres", path, request.getfixturevalue("postgres").database())


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and foreign vectors."""
    return SHARED


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT
