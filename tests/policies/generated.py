"""Facts from hypothesis, biased to the boundaries of the rules.

A draw starts from one side of a golden case, so that every rule is near, and then changes a few
facts to values at, just before and just after what the rules compare with.
"""

import functools

from hypothesis import strategies as st

from gateway.domain.facts import Facts, Inbound, Publicity
from gateway.domain.foreign import IssuerKind
from gateway.domain.licence import Agreement, Grant, StopOrder
from gateway.domain.recognition import Mode, Recognition
from gateway.domain.vocabulary import LicenceKind, Role, Status, SubjectKind
from tests.policies import facts_world as w
from tests.policies.facts_world import DAY, END, NOW, START, put
from tests.policies.golden_cases import cases

TIMES = (0, START, NOW - 1, NOW, NOW + 1, END)
NEW_YEAR = 1_798_732_800  # 2027-01-01 00:00:00 +08:00
PEOPLE = (0, 1, 9_999, 10_000, 99_999, 100_000, 999_999, 1_000_000)
FIELDS = st.lists(st.sampled_from(w.NAMES), min_size=0, max_size=8, unique=True).map(tuple)
PURPOSES = (
    "CREDIT_EVALUATION", "ENTERPRISE_CREDIT", "GUARANTEE", "JOINT_MODELLING", "INTEREST_SUBSIDY",
    "PUBLIC_QUERY",
    "RESTRICTION", "LIST_CHECK", "POLICY_REDEMPTION", "DEPOSIT_FREE", "SPECIAL_REPORT", "TRADE",
    "SETTLEMENT_RISK", "ENFORCEMENT_DISCRETION", "UNHEARD_OF", "",
)  # fmt: skip
ALL_KINDS = frozenset(SubjectKind)


@functools.cache
def bases() -> tuple[Facts, ...]:
    return tuple(side for case in cases() for side in (case.effect, case.absence))


_times, _flags = st.sampled_from(TIMES), st.booleans()
_maybe_time = st.none() | _times
_whitelists = st.none() | st.builds(
    w.whitelist,
    st.sampled_from(w.NAMES),
    st.just("uscc"),
    approvals=st.sampled_from([{}, {"A": 1}, {"A": 1, "B": 2}]),
    mechanism=st.sampled_from(["", "SCC-1", "ASSESSMENT-1"]),
    not_before=_times,
    withdrawn_at=_maybe_time,
)
_mechanisms = st.lists(
    st.builds(
        w.mechanism,
        st.sampled_from(["SCC", "CERT", "ASSESSMENT"]),
        recipient=st.sampled_from([w.PARTY, "uscc:other"]),
        fields=st.sampled_from([frozenset(w.NAMES), frozenset({"uscc"}), frozenset()]),
        purposes=st.sampled_from([frozenset({"TRADE"}), frozenset()]),
        scale_cap=st.sampled_from([0, 1, 10_000, 1_000_000]),
        not_before=_times,
        not_after=_times,
    ),
    max_size=2,
).map(tuple)

_effects = st.builds(w.effect, not_before=_times, withdrawn_at=_maybe_time)
_terms = st.builds(
    w.terms,
    effect=_effects,
    modes=st.sampled_from([frozenset(Mode), frozenset()]),
    purposes=st.sampled_from([frozenset(PURPOSES), frozenset()]),
    jurisdictions=st.sampled_from([frozenset({"SG", "CN"}), frozenset()]),
    not_after=_times,
)
_mappings = st.builds(
    w.mapping, effect=_effects, incentive=_flags, field=st.sampled_from(["uscc", "name"])
)
_tables = st.builds(
    w.table,
    st.builds(w.there, st.sampled_from(w.NAMES), forbidden=_flags),
    st.just(w.there("determination_date", oldest_years=3)),
    effect=_effects,
)

MUTATIONS = {
    "now": st.sampled_from([NOW - 1, NOW + 1, NOW + DAY, NEW_YEAR - 1, NEW_YEAR]),
    "caller.party.role": st.sampled_from(Role),
    "caller.party.status": st.sampled_from(Status),
    "caller.party.jurisdiction": st.sampled_from(["CN", "HK", "SG"]),
    "caller.certificate.status": st.sampled_from(Status),
    "caller.certificate.not_after": _times,
    "licence": st.none(),
    "licence.status": st.sampled_from(Status),
    "licence.kind": st.sampled_from(LicenceKind),
    "licence.party_id": st.sampled_from([w.PARTY, "uscc:other"]),
    "licence.not_before": _times,
    "licence.not_after": _times,
    "licence.agreement": st.builds(Agreement, st.just("A-1"), _times, _times),
    "licence.purposes": st.sampled_from([frozenset(PURPOSES), frozenset()]),
    "licence.subject_kinds": st.sampled_from([ALL_KINDS, frozenset({SubjectKind.LEGAL_ENTITY})]),
    "licence.grants.company": st.builds(
        Grant,
        FIELDS.map(frozenset),
        _flags,
        st.sampled_from([1, 20, 50]),
        st.sampled_from(["", "CONSENT-1"]),
    ),
    "product.adverse": _flags,
    "product.domain": st.sampled_from(["PUBLIC", "MARKET"]),
    "product.form": st.sampled_from(["RECORD", "SCORE", "VERIFY"]),
    "product.registration_code": st.sampled_from(["", "HN-1"]),
    "request.fields": FIELDS,
    "request.purpose": st.sampled_from(PURPOSES),
    "request.scenario": st.sampled_from(["ONLINE", "ONWARD_SUPPLY"]),
    "request.subject_kind": st.sampled_from(SubjectKind),
    "request.destination": st.sampled_from(["CN", "SG"]),
    "request.measure": st.sampled_from(["", "PUBLIC_FUNDS", "OTHER"]),
    "request.loan": st.none()
    | st.builds(
        w.loan,
        amount_fen=st.sampled_from([1, 999_999_999, 1_000_000_000, 1_000_000_001]),
        unsecured=_flags,
        small_enterprise=_flags,
        via_platform=_flags,
    ),
    "request.operator": st.sampled_from(["", "op"]),
    "request.subjects": st.sampled_from([0, 1, 2, 19, 20, 50, 5000]).map(
        lambda n: tuple(map(str, range(n)))
    ),
    "consent": st.none()
    | st.builds(
        w.consent,
        recipient=st.sampled_from([w.PARTY, "uscc:other"]),
        mode=st.sampled_from(["GENERAL", "SEPARATE", "WRITTEN"]),
        purposes=st.sampled_from([frozenset(PURPOSES), frozenset()]),
        cross_border=_flags,
        exporter=st.sampled_from(["", w.EXPORTER, "uscc:another"]),
        not_before=_times,
        not_after=_times,
        withdrawn_at=_maybe_time,
    ),
    "consent_covers": _flags,
    "stop_orders": st.sampled_from([(), (StopOrder("all", 1),)]),
    "publicity": st.builds(
        Publicity,
        st.none() | st.sampled_from([NOW - 601, NOW - 600, NOW - 599, NOW, NOW + 1]),
        st.sampled_from([0, 600]),
    ),
    "responsibility.user": st.none() | st.just(w.hop(3)),
    "platform_operators_only": st.sampled_from([None, True, False]),
    "border": st.none() | st.just(w.border()),
    "border.is_judicial": _flags,
    "border.restricted": _flags,
    "border.important_data": _flags,
    "border.whitelist": _whitelists,
    "border.mechanisms": _mechanisms,
    "border.exporter": st.builds(
        w.exporter,
        st.sampled_from(PEOPLE),
        st.sampled_from(PEOPLE),
        is_ciio=_flags,
        is_state_organ=_flags,
        named=_flags,
        stated=_flags,
        role=st.sampled_from(["AGENCY", "OPERATOR", ""]),
        licences=st.sets(
            st.sampled_from(["PERSONAL_CREDIT_LICENCE", "ENTERPRISE_CREDIT_FILING", "BANKING"])
        ).map(frozenset),
    ),
    "border.turns": st.sampled_from([(), (NOW + 1,), (NOW + DAY,)]),
    "border.impact_assessment_until": _maybe_time,
    "border.exempt_basis": st.sampled_from(["", "ART4", "ART5_CONTRACT", "ART6"]),
    "border.enterprise_authorised": _flags,
    "border.intermediary": _flags,
    "request.end_user": st.sampled_from(["", " ", "示例最终使用者"]),
    "inbound": st.none()
    | st.lists(
        st.builds(
            w.issuer,
            issuer=st.sampled_from(["https://bureau.example.sg", "https://partner.example.my"]),
            kind=st.sampled_from(IssuerKind),
            not_before=_times,
            withdrawn_at=_maybe_time,
            agreement_from=_times,
            agreement_until=_times,
            onward_use=st.sampled_from(["", "NO_ONWARD_USE"]),
        ),
        max_size=2,
        unique_by=lambda one: one.issuer,
    ).map(lambda found: Inbound(tuple(found))),
    "recognition": st.none()
    | st.builds(
        Recognition,
        st.sampled_from(["", *Mode]),
        st.none() | _terms,
        st.none() | _mappings,
        st.none() | _tables,
    ),
    "recognition.terms": st.none() | _terms,
    "recognition.mapping": st.none() | _mappings,
    "recognition.table": st.none() | _tables,
    "switches": st.fixed_dictionaries(dict.fromkeys(w.SWITCHES, _flags)),
}


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """One set of facts near a boundary."""
    value = draw(st.sampled_from(bases()))
    paths = draw(st.lists(st.sampled_from(sorted(MUTATIONS)), max_size=4, unique=True))
    for path in sorted(paths):
        parent = path.split(".")[0]
        if "." in path and getattr(value, parent) is None:
            continue
        new = draw(MUTATIONS[path])
        value = put(value, path, new)
    # Fields outside the contract never reach a decision; some cases have a smaller contract.
    known = value.product.fields
    return put(value, "request.fields", tuple(n for n in value.request.fields if n in known))
