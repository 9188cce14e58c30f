"""One access to a subject, as its entries tell it: who asked, when, why, for what, how it ended."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from audit.errors import EntryError, LogCorruptError
from audit.openings import Reading
from audit.reader import LogReader

JsonObject = Mapping[str, Any]  # Any: values of a JSON object
ACCESS_KINDS: Final = frozenset({"intent", "denial"})
OPEN: Final = "open"


@dataclass(frozen=True, slots=True)
class Access:
    """One access, refusals included.

    Args:
        index: Log index of the intent or of the denial.
        time: Unix seconds.
        party: The organisation that asked.
        purpose: Purpose code.
        scenario: Scenario code.
        destination: Where the data will be used.
        product: Product name.
        fields: Field name to its action.
        refused: Reason codes of a refusal; empty when it was allowed.
        licence: Index of the entry of the licence, or -1.
        consent: Index of the entry of the consent, or -1.
        status: `delivered`, `cancelled`, a reason code, `refused`, or `open` without an outcome.
        rows: Rows of the whole answer, for all subjects that were asked about with it.
        subjects: How many subjects were asked about together; 0 for a whole product.
        outcome: Log index of the outcome, or -1.
        bulk_rows: Rows of this subject in an export of a whole product; 0 otherwise.
    """

    index: int
    time: int
    party: str
    purpose: str
    scenario: str
    destination: str
    product: str
    fields: Mapping[str, str]
    refused: Sequence[str]
    licence: int
    consent: int
    status: str
    rows: int
    subjects: int
    outcome: int
    bulk_rows: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)


def access_of(
    index: int, entry: JsonObject, outcome: tuple[int, JsonObject] | None, bulk_rows: int = 0
) -> Access:
    """Read an access from its entries.

    Args:
        index: Log index of the first entry.
        entry: The intent or denial.
        outcome: Log index and entry of its outcome, or None.
        bulk_rows: Rows of the subject in an export of a whole product.

    Raises:
        EntryError: The entry tells of no access.
    """
    if entry.get("kind") not in ACCESS_KINDS:
        raise EntryError("this entry tells of no access")
    denied = entry["kind"] == "denial"
    status = "refused" if denied else OPEN
    if outcome is not None:
        status = str(outcome[1]["status"])
    return Access(
        index=index,
        time=entry["time"],
        party=entry.get("party", ""),
        purpose=entry.get("purpose", ""),
        scenario=entry.get("scenario", ""),
        destination=entry.get("destination", ""),
        product=entry.get("product", ""),
        fields={
            name: action for action, names in entry.get("fields", {}).items() for name in names
        },
        refused=[code for _, code in entry.get("reasons", [])],
        licence=entry.get("licence", -1),
        consent=entry.get("consent", -1),
        status=status,
        rows=0 if outcome is None else outcome[1]["rows"],
        subjects=entry.get("subject_count", 0),
        outcome=-1 if outcome is None else outcome[0],
        bulk_rows=bulk_rows,
    )


def entry_source(connection: Reading, reader: LogReader) -> Callable[[int], JsonObject]:
    """Return what reads an entry: from the database, or from the log when it was pruned there.

    Args:
        connection: Any connection to the state database.
        reader: The published log.
    """

    def read(index: int) -> JsonObject:
        row = connection.execute(
            "SELECT body FROM audit_entry WHERE position = ?", (index + 1,)
        ).fetchone()
        body: bytes = reader.entry(index) if row is None else row[0]
        try:
            entry = json.loads(body)
        except ValueError as error:
            raise LogCorruptError("it is no JSON", index) from error
        return entry  # type: ignore[no-any-return]  # a JSON object, as the log holds only such

    return read


def outcome_of(connection: Reading, intent: int) -> int | None:
    """Return the log index of an intent's outcome, or None while there is none."""
    row = connection.execute(
        "SELECT entry FROM intent_entries WHERE intent = ? AND kind = 'outcome'", (intent,)
    ).fetchone()
    return None if row is None else int(row[0])
