"""What a change does to open snapshots is read from the state, however often it is applied."""

import pytest

from gateway.repair.effect import SnapshotEffect
from gateway.replicas.changes import Change
from gateway.store.state import State


class Library:
    """Hands one snapshot to every change, and notes what was asked of it."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.over = 0

    def change(self, product, change) -> None:
        self.snapshot.product = product
        change(self.snapshot)

    def start_over(self) -> None:
        self.over += 1


class Snapshot:
    product = ""

    def __init__(self) -> None:
        self.sealed: set[str] = set()
        self.labels: dict[str, str] = {}
        self.located: list[tuple[str, list[str]]] = []

    def seal(self, keys) -> None:
        self.sealed |= set(keys)

    def unseal(self, keys) -> None:
        self.sealed -= set(keys)

    def relabel(self, keys, disputes) -> None:
        self.labels = {k: v for k, v in self.labels.items() if k not in keys} | disputes

    def locate(self, subjects):
        self.located.append((self.product, list(subjects)))
        return ()


@pytest.fixture
def effect(tmp_path):
    state = State.open(tmp_path / "s.sqlite3")
    reader = state.connect()
    library = Library()
    yield SnapshotEffect(reader, library), state, library  # type: ignore[arg-type]  # a simulation
    reader.close()
    state.close()


def change(key: str = "r1", *, ended: bool = False, number: int = 1) -> Change:
    return Change(number, "admin_penalty", key, "s1", ended)


def seal(state: State, key: str) -> None:
    state.run(
        lambda tx: tx.execute(
            "INSERT INTO sealed_records (product, record_key, state, repair_id)"
            " VALUES ('admin_penalty', ?, 'REPAIRED', 'x')",
            (key,),
        )
    )


def test_a_record_is_brought_in_line_with_where_it_stands_now(effect):
    made, state, library = effect
    seal(state, "r1")
    library.snapshot.sealed = {"r2", "r9"}
    for _ in range(2):
        made.flip([change("r1"), change("r2", number=2)])
    assert library.snapshot.sealed == {"r1", "r9"}


def test_more_records_than_one_statement_takes(effect):
    made, state, library = effect
    keys = [f"k{number}" for number in range(1_203)]
    for key in keys[:3]:
        seal(state, key)
    made.flip([change(key, number=number) for number, key in enumerate(keys, 1)])
    assert library.snapshot.sealed == set(keys[:3])


def test_values_derived_from_a_record_that_ended_are_looked_at(effect):
    made, state, library = effect
    assert set(made.products([change()])) == {"admin_penalty"}
    assert {"admin_penalty", "public_credit_grade"} <= set(made.products([change(ended=True)]))
    state.run(
        lambda tx: tx.execute(
            "INSERT INTO recomputations (product, subject, since, repair)"
            " VALUES ('public_credit_grade', 's1', 5, 1)"
        )
    )
    made.flip([change()])
    assert library.snapshot.located == []
    made.flip([change(ended=True)])
    assert library.snapshot.located == [("public_credit_grade", ["s1"])]


def test_starting_over_is_the_librarys(effect):
    made, _, library = effect
    made.start_over()
    assert library.over == 1
