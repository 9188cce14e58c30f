"""Who manages and who uses: the common part of entries, with commitments where one could guess."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace

from audit.commitment import Opening, commit, subjects_value
from audit.entries import Use
from gateway.domain.decision import Decision
from gateway.domain.facts import Facts
from gateway.domain.request import ExchangeRequest
from gateway.release.trail import Trail


def use_of(trail: Trail, facts: Facts, decision: Decision) -> tuple[Use, Mapping[str, Opening]]:
    """Return the common part of an intent, and what opens its commitments."""
    request, caller, product = facts.request, facts.caller, facts.product
    openings = _openings(request)
    use = Use(
        request=trail.request_id,
        product=product.name,
        managers=(product.manager_uscc,),
        party=caller.party.party_id,
        certificate=caller.certificate.fingerprint,
        operator=commit(openings["operator"]),
        case=commit(openings["case"]),
        purpose=request.purpose,
        scenario=request.scenario,
        destination=request.destination,
        licence=None if facts.licence is None else facts.licence.index,
        consent=None if facts.consent is None else facts.consent.index,
        contract=product.digest,
        bundle=decision.bundle_digest,
        input=decision.input_digest,
        subject_count=len(request.subjects),
        subjects=commit(openings["subjects"]),
        idempotency=commit(openings["idempotency"]),
        signature=_signature_digest(request),
    )
    return use, openings


def use_known(trail: Trail) -> tuple[Use, Mapping[str, Opening]]:
    """Return the common part of a denial: what was known when it was refused."""
    request, caller = trail.request, trail.caller
    if caller is None:
        # An unknown caller is logged by the digest of what it showed.
        known = Use(request=trail.request_id, certificate=hashlib.sha256(trail.peer).digest())
    else:
        known = Use(
            request=trail.request_id,
            party=caller.party.party_id,
            certificate=caller.certificate.fingerprint,
        )
    if request is None:
        return known, {}
    openings = _openings(request)
    decision = trail.decision
    use = replace(
        known,
        product=request.product,
        operator=commit(openings["operator"]),
        case=commit(openings["case"]),
        purpose=request.purpose,
        scenario=request.scenario,
        destination=request.destination,
        # A decided request can be decided again, whatever became of it.
        bundle=None if decision is None else decision.bundle_digest,
        input=None if decision is None else decision.input_digest,
        subject_count=len(request.subjects),
        subjects=commit(openings["subjects"]),
        idempotency=commit(openings["idempotency"]),
        signature=_signature_digest(request),
    )
    return use, openings


def _openings(request: ExchangeRequest) -> dict[str, Opening]:
    salts = os.urandom(128)
    return {
        "operator": Opening("operator", request.operator.encode(), salts[:32]),
        "case": Opening("case", request.case_reference.encode(), salts[32:64]),
        "subjects": Opening("subjects", subjects_value(request.subjects), salts[64:96]),
        "idempotency": Opening("idempotency", request.idempotency_key.encode(), salts[96:]),
    }


def _signature_digest(request: ExchangeRequest) -> bytes | None:
    return hashlib.sha256(request.signature.encode()).digest() if request.signature else None
