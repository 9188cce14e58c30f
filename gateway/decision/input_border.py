"""The part of the policy's input about the border: who exports on what ground, and who vouches.

As everywhere in the input, what was signed is narrowed to what this request touches.
"""

from gateway.domain.facts import Border, Facts, Inbound, Mechanism, Whitelist
from gateway.domain.foreign import ForeignIssuer


def border_of(facts: Facts, border: Border) -> dict[str, object]:
    """Return what the rules of section 5.3 look at; every index that an export rests on."""
    exporter = border.exporter
    return {
        "country": border.country,
        "is_judicial": border.is_judicial,
        "restricted": border.restricted,
        "important_data": border.important_data,
        "whitelist": None if border.whitelist is None else _whitelist(border, border.whitelist),
        "mechanisms": [_mechanism(facts, mechanism) for mechanism in border.mechanisms],
        "exporter": {
            "party": exporter.party_id,
            "is_ciio": exporter.is_ciio,
            "is_state_organ": exporter.is_state_organ,
            "persons": exporter.persons,
            "sensitive_persons": exporter.sensitive_persons,
            "counters_index": exporter.counters_index,
            "named": exporter.named,
            "stated": exporter.stated,
            "role": exporter.role,
            "licences": sorted(exporter.licences),
        },
        "impact_assessment_until": border.impact_assessment_until,
        "exempt_basis": border.exempt_basis,
        "enterprise_authorised": border.enterprise_authorised,
        "rests_on": list(border.rests_on),
        "turns": list(border.turns),
        **({"intermediary": True} if border.intermediary else {}),
    }


def inbound_of(inbound: Inbound | None) -> dict[str, object]:
    """Return the issuers behind a product from abroad; nothing for all other products."""
    if inbound is None:
        return {}
    return {"inbound": {"issuers": [_issuer(issuer) for issuer in inbound.issuers]}}


def _issuer(issuer: ForeignIssuer) -> dict[str, object]:
    return {
        "id": issuer.issuer,
        "kind": issuer.kind.value,
        "jurisdiction": issuer.jurisdiction,
        "not_before": issuer.not_before,
        "withdrawn_at": issuer.withdrawn_at,
        "agreement": {
            "id": issuer.agreement,
            "not_before": issuer.agreement_from,
            "not_after": issuer.agreement_until,
        },
        "onward_use": issuer.onward_use,
        "index": issuer.index,
    }


def _whitelist(border: Border, whitelist: Whitelist) -> dict[str, object]:
    bound = [m for m in border.mechanisms if m.mechanism_id == whitelist.mechanism]
    return {
        "version": whitelist.version,
        "approvals": dict(whitelist.approvals),
        "mechanism": whitelist.mechanism,
        # Told of the whole list, not only of the fields asked for: a list that has outgrown
        # its mechanism is in effect for none of them (R68).
        "within_scope": any(whitelist.fields <= mechanism.fields for mechanism in bound),
        "not_before": whitelist.not_before,
        "withdrawn_at": whitelist.withdrawn_at,
        "index": whitelist.index,
    }


def _mechanism(facts: Facts, mechanism: Mechanism) -> dict[str, object]:
    return {
        "id": mechanism.mechanism_id,
        "kind": mechanism.kind,
        "names_recipient": mechanism.recipient == facts.caller.party.party_id,
        "covers_purpose": facts.request.purpose in mechanism.purposes,
        "fields": sorted(mechanism.fields.intersection(facts.request.decided)),
        "scale_cap": mechanism.scale_cap,
        "not_before": mechanism.not_before,
        "not_after": mechanism.not_after,
        "index": mechanism.index,
    }
