from pathlib import Path

import pytest

from gateway.snapshot.admission import admit
from gateway.snapshot.snapshot import Snapshot
from tests.gateway.snapshot.population import RULES, SCHEMA, Rows, product


@pytest.fixture
def snapshot_of(tmp_path: Path):
    """Return a function that admits rows and opens the result."""
    made = []

    def build(rows, *, adverse=False, batch_rows=16, quarantined=0) -> Snapshot:
        place = tmp_path / f"snapshot{len(made)}"
        made.append(place)
        admit(
            Rows(rows),
            product(adverse=adverse),
            SCHEMA,
            place,
            now=1000,
            as_of=900,
            quarantined=quarantined,
            batch_rows=batch_rows,
            **RULES,
        )
        return Snapshot.open(place, verify=True)

    return build
