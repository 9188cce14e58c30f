"""Answers of mutual recognition as protobuf messages: what they rest on, and the tables."""

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.decision.law import UNCONFIRMED_TAGS
from gateway.domain.recognition import Effect, FieldTable, GradeTable, Terms
from gateway.doors.encoding import coverage_message, promise_message
from gateway.release.several import Released
from gateway.release.world import World
from xinguan.v1 import recognition_pb2


def basis_message(released: Released, world: World) -> recognition_pb2.RecognitionBasis:
    """Return what an answer rests on: entries and versions, never a value."""
    delivery = released.delivery
    facts, decision = delivery.facts, delivery.decision
    basis = recognition_pb2.RecognitionBasis(
        request_id=delivery.trail.request_id,
        intent=promise_message(delivery.intent),
        outcome=promise_message(released.outcome),
        bundle_digest=decision.bundle_digest,
        input_digest=decision.input_digest,
        coverage=coverage_message(world, delivery.snapshot, delivery.trail.now),
    )
    border, found = facts.border, facts.recognition
    if border is not None and border.whitelist is not None:
        basis.whitelist.CopyFrom(
            recognition_pb2.SignedVersion(
                name=facts.product.name,
                version=border.whitelist.version,
                entry=border.whitelist.index,
            )
        )
        basis.mechanism = border.whitelist.mechanism
    if found is None:
        return basis
    if found.terms is not None:
        basis.terms.CopyFrom(version_message(found.terms.agreement_id, found.terms.effect))
        basis.onward_use_en = found.terms.onward_en
        basis.onward_use_zh = found.terms.onward_zh
        basis.dispute_contact = found.terms.dispute_contact
    if found.mapping is not None:
        basis.mapping.CopyFrom(version_message(found.mapping.mapping_id, found.mapping.effect))
    if found.table is not None:
        basis.field_table.CopyFrom(version_message(found.table.jurisdiction, found.table.effect))
    return basis


def version_message(name: str, effect: Effect) -> recognition_pb2.SignedVersion:
    """Return one version of something signed."""
    return recognition_pb2.SignedVersion(name=name, version=effect.version, entry=effect.index)


def terms_message(terms: Terms, now: int) -> recognition_pb2.AgreementTerms:
    """Return a partner's terms."""
    return recognition_pb2.AgreementTerms(
        version=version_message(terms.agreement_id, terms.effect),
        modes=sorted(terms.modes),
        purposes=sorted(terms.purposes),
        jurisdictions=sorted(terms.jurisdictions),
        end_uses=sorted(terms.end_uses),
        onward_use_en=terms.onward_en,
        onward_use_zh=terms.onward_zh,
        dispute_contact=terms.dispute_contact,
        mcc_annex=terms.mcc_annex,
        not_after=Timestamp(seconds=terms.not_after),
        in_effect=terms.effect.holds(now) and now < terms.not_after,
    )


def mapping_message(table: GradeTable, now: int) -> recognition_pb2.GradeMapping:
    """Return a mapping table, the best grade first."""
    return recognition_pb2.GradeMapping(
        version=version_message(table.mapping_id, table.effect),
        product=table.product,
        field=table.field,
        direction=table.direction.value,
        source_scale=table.source.name,
        target_scale=table.target.name,
        rows=[
            recognition_pb2.GradeRow(grade=grade, equals=table.told(grade) or "")
            for grade in table.source.grades
        ],
        incentive=table.incentive,
        in_effect=table.effect.holds(now),
    )


def field_table_message(table: FieldTable, now: int) -> recognition_pb2.FieldNames:
    """Return a destination's field table, unconfirmed rows marked."""
    return recognition_pb2.FieldNames(
        version=version_message(table.jurisdiction, table.effect),
        rows=[
            recognition_pb2.FieldNameRow(
                product=row.product,
                field=row.field,
                name=row.name,
                label=row.label,
                unit=row.unit,
                forbidden=row.forbidden,
                oldest_years=row.oldest_years,
                source=row.source,
                unconfirmed=row.tag in UNCONFIRMED_TAGS,
            )
            for row in table.rows.values()
        ],
        in_effect=table.effect.holds(now),
    )
