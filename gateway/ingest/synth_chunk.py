"""One chunk of synthetic records: whose they are, and the envelope around them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S, PeriodTable, Severity
from gateway.domain.product import Product
from gateway.ingest.arrow_text import TextColumn, joined
from gateway.ingest.synth_draws import Draws, Flags, Rows, pick, uuid7_texts
from gateway.ingest.synth_population import KINDS, Population, serials
from gateway.registry.arrow_schema import TIME_ZONE
from gateway.snapshot.calendar_columns import NO_DAY, Days, add_months, dates_from, ordinal

Columns: TypeAlias = "dict[str, TextColumn]"

# Organisation 0 has a repairable penalty in every population and organisation 1 has no
# adverse record at all, so that demonstrations and tests can rely on both.
PENALISED = 0
CLEAN = 1
FIRST_ADVERSE = 2
ONLY_SERIOUS = (0.0, 0.0, 1.0, 0.0)
_PERSON_SHARE = 0.25
_SEVERITIES = ("MINOR", "GENERAL", "SERIOUS", "UNLABELLED")
SEVERITY_WEIGHTS = (0.20, 0.56, 0.20, 0.04)
_OLD_DAYS = 1500  # adverse records go back about four years
_MINOR_PUBLISHED = 0.4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of rows of one product.

    Args:
        product: Contract of the records.
        population: Whose records they are.
        rows: Row numbers in the product.
        total: Rows of the whole product.
        as_of: Unix seconds; no record is younger, and states are right at this moment.
        unit: USCC and name of the providing unit.
        periods: Numbers of the law.
    """

    product: Product
    population: Population
    rows: Rows
    total: int
    as_of: int
    unit: tuple[str, str]
    periods: PeriodTable

    @property
    def draws(self) -> Draws:
        """Draws of this product."""
        return Draws(self.population.seed, self.product.name)

    @property
    def today(self) -> int:
        """The day of `as_of` in Asia/Shanghai, as days since 1970-01-01."""
        return (self.as_of + SHANGHAI_OFFSET_S) // DAY_S

    def companies(self) -> Rows:
        """Return the organisation of each row.

        The first rows of a product go through all organisations once; later rows, and those
        of adverse products, are drawn. Adverse rows spare the organisation `CLEAN`.
        """
        count = self.population.companies
        if not self.product.adverse:
            drawn = self.draws.below("company", self.rows, count)
            return np.where(self.rows < count, self.rows, drawn)
        drawn = FIRST_ADVERSE + self.draws.below("company", self.rows, count - FIRST_ADVERSE)
        return np.where(self.demonstrated, PENALISED, drawn)

    @property
    def demonstrated(self) -> Flags:
        """Which row is the penalty of the organisation `PENALISED`."""
        return np.asarray((self.rows == 0) & (self.product.name == "admin_penalty"))

    def of_person(self) -> Flags:
        """Return which rows of a mixed product are about a natural person.

        Where the first rows go through all organisations, the persons follow after them.
        """
        if not self.product.adverse:
            return np.asarray(self.rows >= self.population.companies) & self.draws.chance(
                "of person", self.rows, 2 * _PERSON_SHARE
            )
        return self.draws.chance("of person", self.rows, _PERSON_SHARE)

    def days_ago(self, column: str, at_most: int) -> Days:
        """Return a drawn day up to `at_most` days before `today`."""
        return self.today - self.draws.below(column, self.rows, at_most)

    def instants(self, days: Days) -> TextColumn:
        """Return 09:00 of each day as a timestamp column."""
        seconds = np.minimum(days * DAY_S - SHANGHAI_OFFSET_S + 9 * 3600, self.as_of)
        return pa.array(seconds, pa.int64()).cast(pa.timestamp("s", TIME_ZONE))

    def constant(self, text: str) -> TextColumn:
        """Return the same text for every row."""
        return pick((text,), np.zeros(len(self.rows), np.int64))


def organisations(chunk: Chunk) -> Columns:
    """Return the subject columns of a product about organisations."""
    who = chunk.companies()
    kinds = tuple(kind.value for kind in KINDS)
    return {
        "uscc": chunk.population.usccs(who),
        "subject_type": pick(kinds, chunk.population.kinds(who)),
    }


def mixed_subjects(chunk: Chunk) -> Columns:
    """Return the subject columns of a product about organisations and persons."""
    person = pa.array(chunk.of_person())
    columns = organisations(chunk)
    who = chunk.draws.below("person", chunk.rows, chunk.population.persons)
    tokens = chunk.population.person_tokens(who)
    nothing = pa.nulls(len(chunk.rows), pa.string())
    name = joined("示例人", serials(who))
    return {
        "subject_code": _either(person, tokens, columns["uscc"]),
        "uscc": _either(person, nothing, columns["uscc"]),
        "person_token": _either(person, tokens, nothing),
        "subject_type": _either(person, chunk.constant("NATURAL_PERSON"), columns["subject_type"]),
        "name": _either(person, name, chunk.population.names(chunk.companies())),
    }


def _either(mask: pa.BooleanArray, yes: TextColumn, no: TextColumn) -> TextColumn:
    column: TextColumn = pc.if_else(mask, yes, no)
    return column


def origin(chunk: Chunk, updated: Days) -> Columns:
    """Return the envelope columns that say where the records come from."""
    uscc, name = chunk.unit
    received = chunk.instants(np.minimum(updated + 1, chunk.today))
    milliseconds = np.maximum(updated, 0) * DAY_S * 1000
    count = len(chunk.rows)
    return {
        "record_id": uuid7_texts(milliseconds, chunk.draws.digests("id", chunk.rows, 10)),
        "catalogue_item_id": chunk.constant(f"SYN-{chunk.product.name}"),
        "catalogue_version": chunk.constant("2024"),
        "source_unit": chunk.constant(name),
        "source_unit_uscc": chunk.constant(uscc),
        "source_record_id": joined("SYN-", serials(chunk.rows)),
        "source_batch_no": chunk.constant(f"SYN-{chunk.population.seed}"),
        "source_version": pa.array(np.ones(count, np.int64)),
        "source_updated_at": chunk.instants(updated),
        "ingested_at": received,
    }


def plain_state(chunk: Chunk, *, public: bool) -> Columns:
    """Return the envelope columns of records that are not adverse."""
    count = len(chunk.rows)
    no = pa.array(np.zeros(count, np.bool_))
    return {
        "is_adverse": no,
        "severity": chunk.constant("NONE"),
        "publicity_state": chunk.constant("PUBLIC" if public else "NOT_PUBLIC"),
        "share_state": chunk.constant("ACTIVE"),
        "dispute_flag": no,
    }


@dataclass(frozen=True, slots=True)
class Adverse:
    """The lifecycle of adverse records: the columns, and the days others depend on.

    Args:
        columns: Envelope columns.
        determined: Day of the determining document.
        fulfilled: Day of fulfilment, `NO_DAY` while the duty is open.
    """

    columns: Columns
    determined: Days
    fulfilled: Days


def adverse_state(chunk: Chunk, weights: tuple[float, ...] = SEVERITY_WEIGHTS) -> Adverse:
    """Return a lifecycle that agrees with the periods of the law at `as_of`.

    Args:
        chunk: The rows.
        weights: Shares of MINOR, GENERAL, SERIOUS and UNLABELLED.
    """
    draws, rows = chunk.draws, chunk.rows
    first = chunk.demonstrated
    grade = np.where(first, 1, draws.weighted("severity", rows, weights))
    determined = np.where(first, chunk.today - 120, chunk.days_ago("determined", _OLD_DAYS))
    # Only published records of before Order 36 may lack a class.
    old = determined < ordinal(chunk.periods.unlabelled_before)
    grade = np.where((grade == _SEVERITIES.index("UNLABELLED")) & ~old, 1, grade)
    fulfilled = determined + 5 + draws.below("fulfilled after", rows, 60)
    is_open = (draws.chance("unfulfilled", rows, 0.15) | (fulfilled > chunk.today)) & ~first
    fulfilled = np.where(is_open, NO_DAY, fulfilled)
    terms = [chunk.periods.terms[Severity(word)] for word in _SEVERITIES]
    longest = np.array([term.max_months for term in terms])[grade]
    shortest = np.array([term.min_months or 0 for term in terms])[grade]
    end = add_months(determined, longest)
    min_end = np.where(grade == 0, fulfilled, add_months(determined, shortest))
    published = (grade != 0) | draws.chance("minor published", rows, _MINOR_PUBLISHED)
    state = _states(chunk, first, published, end, min_end)
    publicity = np.array([_PUBLICITY[word] for word in _STATES])[state]
    disputed = state == _STATES.index("DISPUTED")
    columns: Columns = {
        "is_adverse": pa.array(np.ones(len(rows), np.bool_)),
        "severity": pick(_SEVERITIES, grade),
        "severity_basis": pick(("ORDER-36", "ORDER-36", "ORDER-36", None), grade),
        "determination_date": dates_from(determined),
        "publicity_start": dates_from(
            np.where(published, np.minimum(determined + 3, chunk.today), NO_DAY)
        ),
        "publicity_min_end": dates_from(np.where(published, min_end, NO_DAY)),
        "publicity_end": dates_from(np.where(published, end, NO_DAY)),
        "publicity_state": pick(("NOT_PUBLIC", "PUBLIC", "ENDED", "WITHDRAWN"), publicity),
        "share_state": pick(_STATES, state),
        "dispute_flag": pa.array(disputed),
        "dispute_id": joined("SYN-D-", pick((None, ""), disputed.astype(np.int64)), serials(rows)),
    }
    return Adverse(columns, determined, fulfilled)


_STATES = (
    "NOT_SHARED",
    "ACTIVE",
    "DISPUTED",
    "REPAIR_PENDING",
    "REPAIRED",
    "TEMP_MASKED",
    "EXPIRED",
    "WITHDRAWN",
)
# Publicity that goes with each state, as a place in NOT_PUBLIC, PUBLIC, ENDED, WITHDRAWN.
_PUBLICITY = {
    "NOT_SHARED": 0,
    "ACTIVE": 1,
    "DISPUTED": 1,
    "REPAIR_PENDING": 1,
    "REPAIRED": 2,
    "TEMP_MASKED": 2,
    "EXPIRED": 2,
    "WITHDRAWN": 3,
}
_LIVE_STATES = ("ACTIVE", "DISPUTED", "REPAIR_PENDING", "REPAIRED", "TEMP_MASKED", "WITHDRAWN")
_LIVE_WEIGHTS = (0.80, 0.04, 0.04, 0.08, 0.02, 0.02)


def _states(chunk: Chunk, first: Flags, published: Flags, end: Days, min_end: Days) -> Rows:
    """Return each record's place in `_STATES` (domain-rules 4.3)."""
    drawn = chunk.draws.weighted("state", chunk.rows, _LIVE_WEIGHTS)
    state = np.array([_STATES.index(word) for word in _LIVE_STATES])[drawn]
    active = _STATES.index("ACTIVE")
    # A repair before the shortest publicity, or while the duty is open, would be unlawful.
    ripe = (min_end != NO_DAY) & (min_end < chunk.today)
    repaired = (state == _STATES.index("REPAIRED")) | (state == _STATES.index("REPAIR_PENDING"))
    state = np.where(repaired & ~ripe, active, state)
    state = np.where(end < chunk.today, _STATES.index("EXPIRED"), state)
    state = np.where(published, state, _STATES.index("NOT_SHARED"))
    return np.where(first, active, state)
