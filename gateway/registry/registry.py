"""The read side: an immutable view of the registry, refreshed by what changed and no more.

Every act raises one version row in its own transaction, and a shared signal after it. `view()`
looks at the signal (well under a microsecond); when it changed it reads the version row and
exactly the rows that carry a higher version: acts of another process are seen by the very next
call, and a refresh costs the change, not the size.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, TypeVar

from audit.errors import AuditError
from audit.store import Reader
from gateway.domain.errors import UnavailableError
from gateway.domain.facts import RecipientKey, Whitelist
from gateway.domain.foreign import ForeignIssuer, IssuerKind
from gateway.domain.licence import Consent, Licence, StopOrder
from gateway.domain.party import Caller, Certificate, Party
from gateway.domain.vocabulary import Status
from gateway.registry import (
    border,
    certificates,
    consents,
    derived,
    document_keys,
    encryption_keys,
    issuers,
    licences,
    parties,
    recognition,
    whitelists,
)
from gateway.registry.border import BorderRegisters
from gateway.registry.document_keys import DocumentKey
from gateway.registry.encryption_keys import EncryptionKey
from gateway.registry.recognition import Recognitions
from gateway.registry.whitelists import Proposal
from gateway.store.state import State

K = TypeVar("K")
V = TypeVar("V")
_VERSION = "SELECT version FROM registry_version"
_ASK_EVERY_S = 0.1  # the bound for an act whose process died before it raised the signal
_STANDING = {Status.ACTIVE: 2, Status.SUSPENDED: 1, Status.REVOKED: 0}


@dataclass(frozen=True, slots=True)
class View:
    """One consistent state of the registry. It never changes; ask for a new one instead.

    Args:
        version: Rises with every act of any process.
        parties: Party id to party.
        certificates: Pin to certificate.
        document_keys: Key id to document key.
        licences: Licence id to its highest serial.
        consents: Consent id to consent.
        stops: Scope to the stop in force.
        whitelists: Partner and product to approved versions, ascending.
        feeds: Product name to the time of its last reconciliation.
        by_party: Party id and product to the licences that grant it, the best first.
        derived: Product that is computed from records to those of its sources that have feeds.
        border: The registers of the border.
        issuers: Issuer abroad to its approved versions, ascending.
        recognitions: What was signed about mutual recognition.
    """

    version: int
    parties: Mapping[str, Party]
    certificates: Mapping[str, Certificate]
    document_keys: Mapping[str, DocumentKey]
    licences: Mapping[str, Licence]
    consents: Mapping[str, Consent]
    stops: Mapping[str, StopOrder]
    whitelists: Mapping[tuple[str, str], tuple[Whitelist, ...]]
    feeds: Mapping[str, int]
    by_party: Mapping[tuple[str, str], tuple[Licence, ...]]
    derived: Mapping[str, tuple[str, ...]]
    border: BorderRegisters = field(default_factory=BorderRegisters)
    issuers: Mapping[str, tuple[ForeignIssuer, ...]] = field(default_factory=dict)
    recognitions: Recognitions = field(default_factory=Recognitions)
    encryption_keys: Mapping[str, EncryptionKey] = field(default_factory=dict)

    def caller(self, fingerprint: str) -> Caller | None:
        """Return the party and certificate behind a pin, whatever their status, or None."""
        certificate = self.certificates.get(fingerprint)
        if certificate is None:
            return None
        return Caller(self.parties[certificate.party_id], certificate)

    def party(self, party_id: str) -> Party | None:
        """Return a registered organisation, or None."""
        return self.parties.get(party_id)

    def document_key(self, key_id: str) -> DocumentKey | None:
        """Return a registered document key, whatever its status, or None."""
        return self.document_keys.get(key_id)

    def encryption_key(self, party_id: str) -> RecipientKey | None:
        """Return the newest active key that a party has answers encrypted to, or None."""
        own = [
            key
            for key in self.encryption_keys.values()
            if key.party_id == party_id and key.status is Status.ACTIVE
        ]
        return max(own, key=lambda key: key.index).recipient() if own else None

    def licence(self, licence_id: str) -> Licence | None:
        """Return a licence in its highest serial, whatever its status, or None."""
        return self.licences.get(licence_id)

    def licence_for(self, party_id: str, product: str, at: int | None = None) -> Licence | None:
        """Return the licence of a party that speaks for a product, whatever its status.

        One licence id speaks through its highest serial only. Of several licence ids an
        active one precedes a suspended one and that a revoked one, then the later end of
        term decides, then the later activation.

        Args:
            party_id: Canonical party id.
            product: Product name.
            at: Unix seconds; given, licences in their term precede all others.
        """
        found = self.by_party.get((party_id, product))
        if found is None:
            return None
        if at is not None and len(found) > 1:
            for licence in found:
                if licence.not_before <= at < licence.not_after:
                    return licence
        return found[0]

    def licences_of(self, party_id: str, product: str) -> tuple[Licence, ...]:
        """Return every licence of a party that grants a product, whatever its status."""
        return self.by_party.get((party_id, product), ())

    def consent(self, consent_id: str) -> Consent | None:
        """Return a consent, withdrawn or not, or None."""
        return self.consents.get(consent_id)

    def stop_orders(self, party_id: str, product: str) -> tuple[StopOrder, ...]:
        """Return the emergency stops that touch a party and a product (R87)."""
        if not self.stops:
            return ()
        scopes = ("all", f"org:{party_id}", f"product:{product}")
        return tuple(self.stops[scope] for scope in scopes if scope in self.stops)

    def whitelist(self, partner: str, product: str, at: int | None = None) -> Whitelist | None:
        """Return the newest approved version for a partner and a product, or None.

        Args:
            partner: Party id of the partner.
            product: Product name.
            at: Unix seconds; given, versions whose effect has not begun are passed over,
                otherwise the newest is returned whenever it begins.
        """
        for version in reversed(self.whitelists.get((partner, product), ())):
            if at is None or version.not_before <= at:
                return version
        return None

    def foreign_issuers(self, at: int) -> tuple[ForeignIssuer, ...]:
        """Return every registered issuer abroad in its newest version, withdrawn or not.

        Args:
            at: Unix seconds; versions whose effect has not begun are passed over.
        """
        begun = (
            next((one for one in reversed(versions) if one.not_before <= at), None)
            for versions in self.issuers.values()
        )
        return tuple(sorted((one for one in begun if one), key=lambda one: one.issuer))

    def is_foreign_bureau(self, party_id: str) -> bool:
        """Say whether a party ever was registered as a foreign bureau: it stays one."""
        return any(
            one.party == party_id and one.kind is IssuerKind.BUREAU
            for versions in self.issuers.values()
            for one in versions
        )

    def feed_as_of(self, product: str) -> int | None:
        """Return when a product's publicity feed was last reconciled (R13), or None.

        The feed of a product that is computed from records is as old as the oldest of theirs.
        """
        times = [self.feeds.get(name) for name in self.derived.get(product, (product,))]
        known = [time for time in times if time is not None]
        return min(known) if len(known) == len(times) else None


_EMPTY = View(-1, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})


class Registry:
    """Gives the present view. Thread-safe; its reading connection is its own."""

    def __init__(self, state: State) -> None:
        """Read the registry as it stands."""
        self._connection = state.connect()
        self._signal = state.signal
        self._lock = threading.Lock()
        self._view = _EMPTY
        self._seen = b""
        self._ask_again_at = 0.0
        self.view()

    def view(self) -> View:
        """Return the view of the last acknowledged act of any process.

        Without an act since the last look this costs no statement: see `ChangeSignal`.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE` when the state can't be read; no older view
                is given out instead, because a suspension may be what can't be read.
        """
        with self._lock:
            # The signal is read before the database: an act in between is seen next time.
            seen, now = self._signal.read(), monotonic()
            if seen == self._seen and now < self._ask_again_at:
                return self._view
            self._seen, self._ask_again_at = b"", 0.0
            try:
                version = self._connection.execute(_VERSION).fetchone()[0]
                if version != self._view.version:
                    self._view = self._refreshed(self._view)
            except AuditError:
                raise UnavailableError(
                    "AUDIT_UNAVAILABLE", "the gateway's state can't be read now"
                ) from None
            self._seen, self._ask_again_at = seen, now + _ASK_EVERY_S
            return self._view

    def close(self) -> None:
        """Close the reading connection."""
        with self._lock:
            self._seen = b""
            self._connection.close()

    def _refreshed(self, old: View) -> View:
        """Return a view of one moment: version and rows are read in one transaction."""
        connection = self._connection
        with connection.moment():
            version = connection.execute(_VERSION).fetchone()[0]
            return _refresh(connection, old, version)


def _refresh(connection: Reader, old: View, version: int) -> View:
    changed_licences = _changed(connection, licences.SELECT, "s.changed", old.version)
    renewed = [licences.from_row(row) for row in changed_licences]
    every = _merged(old.licences, {licence.licence_id: licence for licence in renewed})
    return replace(
        old,
        version=version,
        parties=_table(connection, old, "parties", parties.from_row, old.parties),
        certificates=_table(
            connection, old, "certificates", certificates.from_row, old.certificates
        ),
        document_keys=_table(
            connection, old, "document_keys", document_keys.from_row, old.document_keys
        ),
        encryption_keys=_table(
            connection, old, "encryption_keys", encryption_keys.from_row, old.encryption_keys
        ),
        licences=every,
        consents=_table(connection, old, "consents", consents.from_row, old.consents),
        stops=_stops(connection, old),
        whitelists=_whitelists(connection, old),
        feeds=_feeds(connection, old),
        by_party=_by_party(old, renewed, every),
        derived=derived.read_sources(connection),
        border=_border(connection, old),
        issuers=_issuers(connection, old),
        recognitions=recognition.refreshed(connection, old.recognitions, old.version),
    )


_COLUMNS = {
    "parties": parties.COLUMNS,
    "certificates": certificates.COLUMNS,
    "document_keys": document_keys.COLUMNS,
    "consents": consents.COLUMNS,
    "encryption_keys": encryption_keys.COLUMNS,
}


def _table(
    connection: Reader,
    old: View,
    table: str,
    from_row: Callable[..., V],
    present: Mapping[str, V],
) -> Mapping[str, V]:
    """Return a table's mapping by its first column, with the changed rows replaced."""
    select = f"SELECT {_COLUMNS[table]} FROM {table} "
    rows = _changed(connection, select, "changed", old.version)
    return _merged(present, {row[0]: from_row(row) for row in rows})


def _changed(connection: Reader, select: str, column: str, version: int) -> list[tuple[Any, ...]]:
    return connection.execute(f"{select} WHERE {column} > ?", (version,)).fetchall()


def _merged(old: Mapping[K, V], new: Mapping[K, V]) -> Mapping[K, V]:
    return {**old, **new} if new else old


def _stops(connection: Reader, old: View) -> Mapping[str, StopOrder]:
    select = "SELECT scope, active, log_index FROM stops"
    rows = _changed(connection, select, "changed", old.version)
    if not rows:
        return old.stops
    stops = dict(old.stops)
    for scope, active, index in rows:
        if active:
            stops[scope] = StopOrder(scope, index)
        else:
            stops.pop(scope, None)
    return stops


def _feeds(connection: Reader, old: View) -> Mapping[str, int]:
    rows = _changed(connection, "SELECT product, as_of FROM feeds", "changed", old.version)
    return _merged(old.feeds, dict(rows))


def _whitelists(connection: Reader, old: View) -> Mapping[tuple[str, str], tuple[Whitelist, ...]]:
    select = f"SELECT {whitelists.COLUMNS} FROM whitelists"
    rows = _changed(connection, select, "changed", old.version)
    found: dict[tuple[str, str], tuple[Whitelist, ...]] = {}
    for row in rows:
        proposal: Proposal = whitelists.from_row(row)
        key = (proposal.content.partner, proposal.content.product)
        whitelist = proposal.whitelist()
        if whitelist is None:
            continue
        present = found.get(key, old.whitelists.get(key, ()))
        others = [known for known in present if known.version != whitelist.version]
        found[key] = tuple(sorted([*others, whitelist], key=lambda known: known.version))
    return _merged(old.whitelists, found)


def _border(connection: Reader, old: View) -> BorderRegisters:
    select = f"SELECT {border.COLUMNS} FROM border_statements"
    rows = _changed(connection, select, "changed", old.version)
    return old.border.with_rows(rows) if rows else old.border


def _issuers(connection: Reader, old: View) -> Mapping[str, tuple[ForeignIssuer, ...]]:
    select = f"SELECT {issuers.COLUMNS} FROM foreign_issuers"
    found: dict[str, dict[int, ForeignIssuer]] = {}
    for row in _changed(connection, select, "changed", old.version):
        issuer = issuers.from_row(row).issuer()
        if issuer is not None:
            found.setdefault(issuer.issuer, {})[issuer.version] = issuer
    renewed = {}
    for name, versions in found.items():
        present = {one.version: one for one in old.issuers.get(name, ())} | versions
        renewed[name] = tuple(present[number] for number in sorted(present))
    return _merged(old.issuers, renewed)


def _by_party(
    old: View, renewed: list[Licence], every: Mapping[str, Licence]
) -> Mapping[tuple[str, str], tuple[Licence, ...]]:
    """Return licences by party and product, redone for the keys that a change touches."""
    touched: dict[tuple[str, str], dict[str, Licence]] = {}
    for licence in renewed:
        before = old.licences.get(licence.licence_id)
        products = set(licence.grants) | set(before.grants if before else ())
        for product in products:
            key = (licence.party_id, product)
            if key not in touched:
                present = old.by_party.get(key, ())
                touched[key] = {known.licence_id: known for known in present}
            touched[key].pop(licence.licence_id, None)
            if product in licence.grants:
                touched[key][licence.licence_id] = every[licence.licence_id]
    merged = {**old.by_party}
    for key, found in touched.items():
        if found:
            merged[key] = tuple(sorted(found.values(), key=_precedence, reverse=True))
        else:
            merged.pop(key, None)
    return merged


def _precedence(licence: Licence) -> tuple[int, int, int]:
    return (_STANDING[licence.status], licence.not_after, licence.index)
