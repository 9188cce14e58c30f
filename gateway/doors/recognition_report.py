"""Issuing a report: a number, the document, and its digests registered before it is handed over."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from audit.journal import Transaction
from gateway.border.store_apart_snapshot import ApartSnapshot
from gateway.domain.party import parse_party_id
from gateway.doors.encoding import coverage_message
from gateway.recognition import reports
from gateway.recognition.identifiers import IdentifierBook
from gateway.recognition.report import Frame, Section, compose
from gateway.registry.act import Act
from gateway.release.several import Released
from gateway.release.world import World
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State


@dataclass(frozen=True, slots=True)
class Issued:
    """A report that is registered.

    Args:
        report_no: Its number.
        document: Its bytes.
        digests: Algorithm to digest.
        valid_until: End of its time, unix seconds.
    """

    report_no: str
    document: bytes
    digests: dict[str, bytes]
    valid_until: int


@dataclass(frozen=True, slots=True)
class ReportDesk:
    """Issues reports.

    Args:
        state: Where they are registered.
        world: Clock, node and coverage.
        book: Identifiers of enterprises.
        validity_s: How long a report can be confirmed as valid.
        tag_key: Key under which digests are kept.
    """

    state: State
    world: World
    book: IdentifierBook
    validity_s: int
    tag_key: bytes = field(repr=False)

    async def issue(self, found: Sequence[Released], named: str, subject: str) -> Issued:
        """Compose and register a report.

        Args:
            found: Its sections, released.
            named: The enterprise as the request named it.
            subject: The same, resolved.

        Raises:
            AuditUnavailableError: It can't be logged; it is not handed over.
        """
        now = self.world.clock_ms() // 1000
        facts = found[0].delivery.facts
        recognised = facts.recognition
        terms = None if recognised is None else recognised.terms
        ends = [end for released in found if (end := released.first_end()) is not None]
        limits = [now + self.validity_s, *ends, *([terms.not_after] if terms else [])]
        valid_until, report_no = min(limits), reports.new_number()
        party_id = facts.caller.party.party_id
        document = compose(
            Frame(
                report_no=report_no,
                recipient=party_id,
                named=_canonical(named),
                identifiers={"uscc": subject, **self.book.equivalents(subject, now)},
                purpose=facts.request.purpose,
                destination=facts.request.destination,
                issued_at=now,
                valid_until=valid_until,
                policy=found[0].delivery.decision.bundle_digest,
                terms=terms,
                table=None if recognised is None else recognised.table,
            ),
            [self._section(released) for released in found],
        )
        digests = reports.digests(document)
        tags = {
            name: reports.tag(self.tag_key, report_no, name, each) for name, each in digests.items()
        }
        sections = {
            released.delivery.facts.product.name: _home_of(released.delivery.snapshot)
            for released in found
        }
        intents = [released.delivery.intent.index for released in found]
        act = Act(now, self.world.node.name, party_id)

        def register(tx: Transaction) -> None:
            reports.issue(
                tx,
                report_no=report_no,
                subject=subject,
                tags=tags,
                sections=sections,
                intents=intents,
                valid_until=valid_until,
                act=act,
            )

        await self.state.journal.submit(register)
        return Issued(report_no, document, digests, valid_until)

    def _section(self, released: Released) -> Section:
        delivery = released.delivery
        facts, decision = delivery.facts, delivery.decision
        coverage = coverage_message(self.world, delivery.snapshot, delivery.trail.now)
        whitelist = None if facts.border is None else facts.border.whitelist
        return Section(
            product=facts.product,
            rows=released.rows(),
            fields=released.fields,
            dropped={name: r.code for r in decision.reasons for name in r.fields},
            request_id=delivery.trail.request_id,
            as_of=coverage.as_of.seconds,
            feed_age_s=coverage.feed_age_s,
            quarantined_ppm=coverage.quarantined_ppm,
            whitelist=0 if whitelist is None else whitelist.version,
            mechanism="" if whitelist is None else whitelist.mechanism,
        )


def _home_of(snapshot: Snapshot) -> str:
    """Return the id of the domestic snapshot: a copy of the store apart (M58) says what it is of.

    Copies are made anew when any partner's whitelist changes, which changes no report.
    """
    return snapshot.copied.source if isinstance(snapshot, ApartSnapshot) else snapshot.snapshot_id


def _canonical(named: str) -> str:
    """Return an identifier as a report repeats it."""
    return parse_party_id(named if ":" in named else f"uscc:{named}")
