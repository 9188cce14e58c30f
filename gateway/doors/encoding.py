"""Parts of a delivery as protobuf messages."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.decision import Decision
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.product import Product
from gateway.doors.errors import LawTexts, reason_message
from gateway.doors.sealing import seal_batch
from gateway.portfolio.aside import CoverageReport
from gateway.release.batches import ReleasedBatch
from gateway.release.evidence import Promised
from gateway.release.part import Part
from gateway.release.world import World
from gateway.snapshot.snapshot import Snapshot
from xinguan.v1 import exchange_pb2, types_pb2

_REMEMBERED = 4_096
_ALIKE: dict[str, tuple[Decision, bytes]] = {}
_COVERAGE: dict[str, bytes] = {}


def promise_message(promised: Promised) -> types_pb2.Promise:
    """Return a promise as it stands in an answer."""
    message = types_pb2.Promise(
        index=promised.index, leaf_hash=promised.leaf_hash, signature=promised.signature
    )
    for index, leaf_hash in promised.also:
        message.also.add(index=index, leaf_hash=leaf_hash)
    return message


def coverage_message(world: World, snapshot: Snapshot, now: int) -> types_pb2.Coverage:
    """Return what is behind an answer: per product, never per subject."""
    product = world.products[snapshot.manifest.product]
    as_of = world.registry.view().feed_as_of(product.name) if product.feed_limit_s else None
    message = types_pb2.Coverage()
    message.ParseFromString(_coverage_of(snapshot, product))
    message.feed_age_s = -1 if as_of is None else max(0, now - as_of)
    if product.name == FOREIGN_PRODUCT:
        message.foreign.extend(_foreign_sources(world, now))
    return message


def _foreign_sources(world: World, now: int) -> list[types_pb2.ForeignSource]:
    """Restate what binds a reader of records from abroad: the duty `onward_use`.

    Every issuer in force is named, whoever of them stated what left: a shorter list would tell
    of a subject which bureau knows it.
    """
    return [
        types_pb2.ForeignSource(
            issuer=issuer.issuer,
            jurisdiction=issuer.jurisdiction,
            agreement=issuer.agreement,
            onward_use=issuer.onward_use,
            onward_use_zh=issuer.onward_zh,
            onward_use_en=issuer.onward_en,
        )
        for issuer in world.registry.view().foreign_issuers(now)
        if issuer.in_force(now)
    ]


def portfolio_message(report: CoverageReport) -> types_pb2.PortfolioCoverage:
    """Return how much was known of a portfolio."""
    return types_pb2.PortfolioCoverage(
        observations=report.observations,
        hit_rate=report.hit_rate,
        sources=report.sources,
        unavailable=report.unavailable,
        step=report.step,
        bias=report.bias,
    )


def _coverage_of(snapshot: Snapshot, product: Product) -> bytes:
    """Return what a snapshot's coverage says at any time, serialised once."""
    kept = _COVERAGE.get(snapshot.snapshot_id)
    if kept is None:
        manifest = snapshot.manifest
        kept = types_pb2.Coverage(
            product=product.name,
            sources=sorted({field.unit_uscc for field in product.fields.values()}),
            as_of=Timestamp(seconds=manifest.as_of),
            quarantined_ppm=round((1 - manifest.admitted_share) * 1_000_000),
            snapshot_id=snapshot.snapshot_id,
        ).SerializeToString()
        if len(_COVERAGE) >= _REMEMBERED:
            _COVERAGE.clear()
        _COVERAGE[snapshot.snapshot_id] = kept
    return kept


def decision_message(part: Part, world: World, law: LawTexts) -> exchange_pb2.DecisionSummary:
    """Return the decision that an answer rests on."""
    delivery = part.delivery
    summary = exchange_pb2.DecisionSummary()
    summary.ParseFromString(_same_for_all(delivery.decision, law))
    summary.request_id = delivery.trail.request_id
    if delivery.marks is not None:
        summary.mark = delivery.marks.text(delivery.trail.request_id)
        summary.released.extend(delivery.fields)
    summary.intent.CopyFrom(promise_message(delivery.intent))
    summary.coverage.CopyFrom(coverage_message(world, delivery.snapshot, delivery.trail.now))
    return summary


def _same_for_all(decision: Decision, law: LawTexts) -> bytes:
    """Return what every answer under one decision says alike, serialised once.

    The decider gives the same object as long as a decision holds, so it is the key.
    """
    kept = _ALIKE.get(decision.input_digest)
    if kept is not None and kept[0] is decision:
        return kept[1]
    summary = exchange_pb2.DecisionSummary(
        fields=field_messages(decision),
        reasons=[reason_message(reason, law) for reason in decision.reasons],
        valid_until=Timestamp(seconds=decision.valid_until),
        bundle_digest=decision.bundle_digest,
        input_digest=decision.input_digest,
        obligations=sorted(decision.obligations),
    )
    if len(_ALIKE) >= _REMEMBERED:
        _ALIKE.clear()
    _ALIKE[decision.input_digest] = (decision, alike := summary.SerializeToString())
    return alike


def field_messages(decision: Decision) -> list[exchange_pb2.FieldDecision]:
    """Return what happens to each field asked for."""
    return [
        exchange_pb2.FieldDecision(name=name, action=action)
        for name, action in decision.actions.items()
    ]


def part_message(
    part: Part, world: World, law: LawTexts, *, typed_rows: bool
) -> exchange_pb2.QueryResponse:
    """Return one message of an answer.

    Args:
        part: What leaves at once.
        world: For the coverage statement.
        law: For the reasons of dropped fields.
        typed_rows: True for callers without Arrow.
    """
    message = exchange_pb2.QueryResponse()
    if part.first:
        message.decision.CopyFrom(decision_message(part, world, law))
    if part.batch is not None:
        message.batch.CopyFrom(_batch(part.batch, part.evidence, typed_rows=typed_rows))
        if part.first and not typed_rows:
            message.batch.arrow_schema = part.delivery.schema_ipc
        recipient = part.delivery.facts.recipient_key
        if recipient is not None:
            seal_batch(message.batch, recipient, part.delivery.trail.request_id)
    if part.closing is not None:
        closing = part.closing
        message.outcome.rows = closing.rows
        message.outcome.bytes = closing.bytes
        message.outcome.entry.CopyFrom(promise_message(closing.promise))
    return message


def batch_evidence(batch: ReleasedBatch, evidence: Promised | None) -> exchange_pb2.Batch:
    """Return a batch's evidence without its bytes."""
    message = exchange_pb2.Batch(
        sequence=batch.number, rows=batch.batch.num_rows, digest=batch.digest
    )
    if evidence is not None:
        message.evidence.CopyFrom(promise_message(evidence))
    return message


def _batch(
    batch: ReleasedBatch, evidence: Promised | None, *, typed_rows: bool
) -> exchange_pb2.Batch:
    message = batch_evidence(batch, evidence)
    if typed_rows:
        columns = [column.to_pylist() for column in batch.batch.columns]
        for values in zip(*columns, strict=True):
            message.typed_rows.append(exchange_pb2.Row(values=[_value(value) for value in values]))
    else:
        message.arrow_ipc = bytes(batch.message)
    return message


def _value(value: Any) -> exchange_pb2.Value:
    if value is None:
        return exchange_pb2.Value()
    if isinstance(value, bool):
        return exchange_pb2.Value(boolean=value)
    if isinstance(value, int):
        return exchange_pb2.Value(integer=value)
    if isinstance(value, list):
        items = exchange_pb2.ValueList(values=[_value(item) for item in value])
        return exchange_pb2.Value(list=items)
    if isinstance(value, date | datetime):
        return exchange_pb2.Value(text=value.isoformat())
    if isinstance(value, Decimal):
        return exchange_pb2.Value(text=format(value, "f"))
    return exchange_pb2.Value(text=str(value))
