"""From facts to the one document that the policy sees.

It holds kinds, counts, times and log indices; no subject, operator or case. What a signed
document grants is narrowed to what this request touches (its one product, its one purpose, the
fields asked for), so the size of a licence, of a whitelist or of a batch costs nothing. Fields
with the same facts stand in one group, because the law speaks about kinds of fields.
"""

import datetime as dt
import functools
import hashlib
import json
from dataclasses import dataclass

from gateway.decision.input_border import border_of, inbound_of
from gateway.domain.errors import InvalidRequestError
from gateway.domain.facts import Facts, Hop
from gateway.domain.licence import Consent, Licence
from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S
from gateway.domain.product import Field, Product
from gateway.domain.recognition import Effect, Mode, Recognition
from gateway.domain.request import Loan

# Envelope columns that a rule makes a condition or a duty of.
RULE_COLUMNS = (
    "subject_type", "publicity_state", "share_state", "dispute_flag", "determination_date",
)  # fmt: skip

Document = dict[str, object]
# Made once: a document is a tree that this module built, so the check for cycles is left out.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)


def canonical(document: Document) -> bytes:
    """Return the document as canonical JSON (RFC 8785; it holds no fractions)."""
    return _ENCODER.encode(document).encode()


def digest_of(document: bytes) -> str:
    """Return the SHA-256 of a canonical input, hex."""
    return hashlib.sha256(document).hexdigest()


def at_time(document: bytes, now: int) -> bytes:
    """Return the canonical input with the time of the decision put in.

    The kept input has no `now`, so that one kept input serves every request it decides; replay
    takes the time from the log entry.
    """
    return b'{"now":%d,' % now + document[1:]


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What the law tables say about the shape of the input.

    Args:
        minimal_fields: Names of the fields of a minimal answer (R75).
        count_ceiling: Greatest number that a rule compares the count of subjects with, plus
            one; larger counts are told as this one, so that they share a decision.
        adverse_years: Years after which personal adverse information may not leave (R66).
        subsidy_loan_fen: Greatest loan that a subsidy is for (R45).
    """

    minimal_fields: frozenset[str]
    count_ceiling: int
    adverse_years: int
    subsidy_loan_fen: int


def build_input(facts: Facts, limits: InputLimits) -> Document:
    """Return the policy's input without `now`.

    Raises:
        InvalidRequestError: `UNKNOWN_FIELD` when a field is not in the contract.
    """
    request = facts.request
    ceiling, minimum = count_ceiling(facts, limits.count_ceiling), minimum_subjects(facts)
    return {
        "calendar": calendar_of(facts.now, limits.adverse_years),
        "caller": _caller(facts),
        "licence": None if facts.licence is None else _licence(facts, facts.licence),
        "product": _product(facts.product),
        "request": {
            "subject_kind": request.subject_kind.value,
            "purpose": request.purpose,
            "scenario": request.scenario,
            "destination": request.destination,
            "measure": request.measure,
            "subjects": min(len(request.subjects), ceiling),
            # Compared with the grant's minimum alone, so told no further than that.
            "known_subjects": min(facts.known_subjects, minimum),
            "smallest_group": min(facts.smallest_group, minimum),
            "whole_product": not request.subjects,
            # The user of R82: the human and the case that the access is for, both or neither.
            "operator_named": bool(request.operator.strip() and request.case_reference.strip()),
            **_loan(request.loan, limits.subsidy_loan_fen),
            # Absent unless true, like the flags of a group of fields.
            **({"end_user_named": True} if request.end_user.strip() else {}),
        },
        "recognition": None
        if facts.recognition is None
        else _recognition(facts, facts.recognition),
        "fields": _groups(facts, limits.minimal_fields),
        "consent": None if facts.consent is None else _consent(facts, facts.consent),
        "stop_orders": [{"scope": s.scope, "index": s.index} for s in facts.stop_orders],
        "publicity": {"as_of": facts.publicity.as_of, "limit_s": facts.publicity.limit_s},
        "responsibility": {
            "manager": _hop(facts.responsibility.manager),
            "transmitter": _hop(facts.responsibility.transmitter),
            "user": _hop(facts.responsibility.user),
        },
        "platform_operators_only": facts.platform_operators_only,
        "border": None if facts.border is None else border_of(facts, facts.border),
        "switches": dict(facts.switches),
        **inbound_of(facts.inbound),
    }


def count_ceiling(facts: Facts, ceiling: int) -> int:
    """Return the number at which the count of subjects is told no further."""
    return max(ceiling, minimum_subjects(facts))


def minimum_subjects(facts: Facts) -> int:
    """Return the fewest subjects that the grant answers about; 1 without a grant."""
    grant = None if facts.licence is None else facts.licence.grants.get(facts.product.name)
    return 1 if grant is None else grant.minimum_subjects


def day_of(now: int) -> tuple[int, int]:
    """Return start and end of the day in Asia/Shanghai that `now` falls in."""
    start = now - (now + SHANGHAI_OFFSET_S) % DAY_S
    return start, start + DAY_S


def calendar_of(now: int, adverse_years: int) -> Document:
    """Return the turns of day and year around `now`, and the day that R66 counts from."""
    start, end = day_of(now)
    new_year, next_year, year, adverse_since = _year_of(start, adverse_years)
    return {
        "turns": [new_year, start, end, next_year],
        "year": year,
        "adverse_since": adverse_since,
    }


@functools.lru_cache(maxsize=16)  # a gateway asks about today
def _year_of(start: int, adverse_years: int) -> tuple[int, int, int, str]:
    today = dt.date(1970, 1, 1) + dt.timedelta(days=(start + SHANGHAI_OFFSET_S) // DAY_S)
    new_year = int(dt.datetime(today.year, 1, 1, tzinfo=dt.UTC).timestamp()) - SHANGHAI_OFFSET_S
    next_year = int(dt.datetime(today.year + 1, 1, 1, tzinfo=dt.UTC).timestamp())
    return (
        new_year,
        next_year - SHANGHAI_OFFSET_S,
        today.year,
        _years_before(today, adverse_years).isoformat(),
    )


def _years_before(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _caller(facts: Facts) -> Document:
    party, certificate = facts.caller.party, facts.caller.certificate
    return {
        "party": party.party_id,
        "role": party.role.value,
        "jurisdiction": party.jurisdiction,
        "status": party.status.value,
        "index": party.index,
        "certificate": {
            "status": certificate.status.value,
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
            "index": certificate.index,
        },
    }


def _licence(facts: Facts, licence: Licence) -> Document:
    request = facts.request
    grant = licence.grants.get(facts.product.name)
    return {
        "id": licence.licence_id,
        "serial": licence.serial,
        "party": licence.party_id,
        "kind": licence.kind.value,
        "status": licence.status.value,
        "not_before": licence.not_before,
        "not_after": licence.not_after,
        "agreement": {
            "id": licence.agreement.agreement_id,
            "not_before": licence.agreement.not_before,
            "not_after": licence.agreement.not_after,
        },
        "covers": {
            "product": grant is not None,
            "purpose": request.purpose in licence.purposes,
            "scenario": request.scenario in licence.scenarios,
            "destination": request.destination in licence.destinations,
            "subject_kind": request.subject_kind in licence.subject_kinds,
        },
        "subject_kinds": sorted(licence.subject_kinds),
        "pseudonymous": grant is not None and grant.pseudonymous,
        "minimum_subjects": 1 if grant is None else grant.minimum_subjects,
        "provider_consented": grant is not None and bool(grant.provider_consent),
        "index": licence.index,
        "status_index": licence.status_index,
    }


def _product(product: Product) -> Document:
    return {
        "name": product.name,
        "version": product.version,
        "digest": product.digest,
        "form": product.form,
        "domain": product.domain,
        "adverse": product.adverse,
        "registered": bool(product.registration_code),
        "subject_kinds": sorted(product.subject_kinds),
        "columns": [name for name in RULE_COLUMNS if name in product.fields],
    }


def _loan(loan: Loan | None, limit_fen: int) -> Document:
    """Return the loan of a subsidy request; nothing for all others.

    The amount is told as the limit or one fen above it: the rule asks no more, and an amount
    that anybody could guess must not be behind a digest in the log.
    """
    if loan is None:
        return {}
    told = limit_fen if loan.amount_fen <= limit_fen else limit_fen + 1
    return {
        "loan": {
            "amount_fen": told,
            "unsecured": loan.unsecured,
            "small_enterprise": loan.small_enterprise,
            "via_platform": loan.via_platform,
        }
    }


def _groups(facts: Facts, minimal: frozenset[str]) -> list[Document]:
    product = facts.product
    table = None if facts.recognition is None else facts.recognition.table
    kept_out = frozenset() if table is None else table.forbidden(product.name)
    whitelist = None if facts.border is None else facts.border.whitelist
    grant = None if facts.licence is None else facts.licence.grants.get(product.name)
    granted = frozenset() if grant is None else grant.fields
    crossing = frozenset() if whitelist is None else whitelist.fields
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in facts.request.decided:
        field = product.fields.get(name)
        if field is None:
            raise InvalidRequestError("UNKNOWN_FIELD", "a field is not in the product's contract")
        kind = _kind_of(field, product, granted, crossing, minimal, kept_out)
        groups.setdefault(kind, []).append(name)
    # A flag stands in a group only when it is true: an absent one is undefined in Rego, which
    # fails every positive condition, and parsing the input is half the cost of a decision.
    return [
        {flag: value for flag, value in zip(GROUP_KEYS, kind, strict=True) if value is not False}
        | {"names": sorted(set(names))}
        for kind, names in sorted(groups.items())
    ]


GROUP_KEYS = (
    "class", "border", "identifying", "transform", "subject_key", "granted", "whitelisted",
    "minimal", "forbidden_there",
)  # fmt: skip


def _kind_of(
    field: Field,
    product: Product,
    granted: frozenset[str],
    crossing: frozenset[str],
    minimal: frozenset[str],
    kept_out: frozenset[str],
) -> tuple[object, ...]:
    name = field.name
    return (
        # The members are strings themselves; `.value` on each field costs more than the rest.
        field.classification,
        field.border,
        field.identifying,
        bool(field.generalisation),
        name == product.subject_key,
        name in granted,
        name in crossing,
        name in minimal,
        name in kept_out,
    )


def _recognition(facts: Facts, found: Recognition) -> Document:
    """Return the facts of mutual recognition; what the law makes of them is the policy's."""
    request, terms, mapping, table = facts.request, found.terms, found.mapping, found.table
    start, _ = day_of(facts.now)
    today = dt.date(1970, 1, 1) + dt.timedelta(days=(start + SHANGHAI_OFFSET_S) // DAY_S)
    return {
        "mode": found.mode,
        "terms": None
        if terms is None
        else {
            **_effect(terms.effect),
            "agreement": terms.agreement_id,
            "not_after": terms.not_after,
            "covers": {
                "mode": (found.mode or Mode.RECORDS.value) in terms.modes,
                "purpose": request.purpose in terms.purposes,
                "jurisdiction": request.destination in terms.jurisdictions,
                "end_use": request.scenario in terms.end_uses,
            },
        },
        "mapping": None
        if mapping is None
        else {
            **_effect(mapping.effect),
            "id": mapping.mapping_id,
            "incentive": mapping.incentive,
            "covers_purpose": not mapping.purposes or request.purpose in mapping.purposes,
            "covers_field": mapping.field in request.decided,
        },
        "table": None
        if table is None
        else {**_effect(table.effect), "oldest": table.oldest(facts.product.name, today)},
    }


def _effect(effect: Effect) -> Document:
    return {
        "version": effect.version,
        "not_before": effect.not_before,
        "withdrawn_at": effect.withdrawn_at,
        "index": effect.index,
    }


def _consent(facts: Facts, consent: Consent) -> Document:
    return {
        "names_caller": consent.recipient == facts.caller.party.party_id,
        "covers_purpose": facts.request.purpose in consent.purposes,
        "covers_product": facts.product.name in consent.data_kinds,
        "covers_subjects": facts.consent_covers,
        "mode": consent.mode,
        "cross_border": consent.cross_border,
        # Given to one exporter, it doesn't serve another; one that names none was given to
        # whoever the agreement names.
        "names_exporter": facts.border is None
        or consent.exporter in ("", facts.border.exporter.party_id),
        "not_before": consent.not_before,
        "not_after": consent.not_after,
        "withdrawn_at": consent.withdrawn_at,
        "index": consent.index,
    }


def _hop(hop: Hop | None) -> Document | None:
    if hop is None:
        return None
    # The time itself stands in the log entry. The user's hop is as old as the request, so its
    # time here would make every input unlike every other.
    return {"uscc": hop.uscc, "signer": hop.signer, "timed": hop.at > 0, "index": hop.index}
