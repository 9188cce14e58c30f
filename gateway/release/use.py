"""Who manages and who uses: the common part of entries, with commitments where one could guess."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from audit.commitment import SALT_BYTES, Opening, commit, commit_subjects, subjects_value
from audit.entries import Use
from gateway.domain.decision import Decision
from gateway.domain.facts import Facts
from gateway.domain.request import ExchangeRequest
from gateway.release.trail import Trail


@dataclass(frozen=True, slots=True)
class Openings:
    """What opens the commitments of a request.

    Args:
        members: Member of the entry to its opening.
        subjects: The distinct subjects, in the order asked for.
        singly: What opens each of several subjects, in the same order; empty for one or none.
    """

    members: Mapping[str, Opening] = field(default_factory=dict)
    subjects: tuple[str, ...] = ()
    singly: tuple[bytes, ...] = ()


def blinded(request: ExchangeRequest) -> tuple[Openings, dict[str, bytes]]:
    """Return what opens a request's commitments, and the commitments by member.

    The digest of the caller's signature is among them when there is one.
    """
    openings = _openings(request)
    blinds = {name: commit(opening) for name, opening in openings.members.items()}
    if request.signature:
        blinds["signature"] = hashlib.sha256(request.signature.encode()).digest()
    return openings, blinds


def use_of(trail: Trail, facts: Facts, decision: Decision, blinds: Mapping[str, bytes]) -> Use:
    """Return the common part of an intent."""
    request, caller, product = facts.request, facts.caller, facts.product
    links = links_of(facts)
    # What an index leads to is not said twice: the entry stays small.
    contract = product.digest if links["publication"] is None else None
    return Use(
        request=trail.request_id,
        product=product.name,
        managers=(product.manager_uscc,),
        party=caller.party.party_id,
        purpose=request.purpose,
        scenario=request.scenario,
        destination=request.destination,
        licence=None if facts.licence is None else facts.licence.index,
        consent=None if facts.consent is None else facts.consent.index,
        contract=contract,
        bundle=decision.bundle_digest,
        input=decision.input_digest,
        decision=decision.digest,
        run=links["run"],
        publication=links["publication"],
        pinned=links["pinned"],
        whitelist=links["whitelist"],
        border=() if facts.border is None else facts.border.rests_on,
        subject_count=request.concerned_count,
        operator=blinds["operator"],
        case=blinds["case"],
        subjects=blinds["subjects"],
        idempotency=blinds["idempotency"],
        signature=blinds.get("signature"),
        end_user=blinds.get("end_user"),
    )


def links_of(facts: Facts) -> dict[str, int | None]:
    """Return the entries that a release rests on by index: run, publication, pin, whitelist."""
    chain, border = facts.responsibility, facts.border
    whitelist = None if border is None else border.whitelist
    return {
        "run": None if chain.transmitter is None else chain.transmitter.index,
        "publication": None if chain.manager is None else chain.manager.index,
        "pinned": facts.caller.certificate.index,
        "whitelist": None if whitelist is None else whitelist.index,
    }


def use_known(trail: Trail, policy: int | None = None) -> tuple[Use, Openings]:
    """Return the common part of a denial: what was known when it was refused.

    Args:
        trail: The request, as far as it came.
        policy: Index of the entry that activated the policy in force.
    """
    request, caller = trail.request, trail.caller
    if caller is None:
        # An unknown caller is logged by the digest of what it showed.
        known = Use(request=trail.request_id, certificate=hashlib.sha256(trail.peer).digest())
    else:
        known = Use(
            request=trail.request_id,
            party=caller.party.party_id,
            certificate=caller.certificate.fingerprint,
            pinned=caller.certificate.index,
        )
    if request is None:
        return known, Openings()
    openings, blinds = blinded(request)
    decision = trail.decision
    use = replace(
        known,
        product=request.product,
        purpose=request.purpose,
        scenario=request.scenario,
        destination=request.destination,
        # A decided request can be decided again, whatever became of it.
        bundle=None if decision is None else decision.bundle_digest,
        input=None if decision is None else decision.input_digest,
        decision=None if decision is None else decision.digest,
        policy=None if decision is None else policy,
        subject_count=request.concerned_count,
        operator=blinds["operator"],
        case=blinds["case"],
        subjects=blinds["subjects"],
        idempotency=blinds["idempotency"],
        signature=blinds.get("signature"),
        end_user=blinds.get("end_user"),
    )
    return use, openings


def _openings(request: ExchangeRequest) -> Openings:
    subjects = tuple(dict.fromkeys(request.concerned))
    salts = os.urandom(4 * SALT_BYTES)
    members = {
        "operator": Opening("operator", request.operator.encode(), salts[:32]),
        "case": Opening("case", request.case_reference.encode(), salts[32:64]),
        "idempotency": Opening("idempotency", request.idempotency_key.encode(), salts[96:]),
    }
    if request.end_user:
        members["end_user"] = Opening("end_user", request.end_user.encode(), os.urandom(SALT_BYTES))
    singly: tuple[bytes, ...] = ()
    if len(subjects) > 1:
        fresh = os.urandom((len(subjects) + 1) * SALT_BYTES)
        members["subjects"], singly = commit_subjects(subjects, fresh)
    else:
        members["subjects"] = Opening("subjects", subjects_value(subjects), salts[64:96])
    return Openings(members, subjects, singly)
