"""Everything that must hold before a foreign document is believed: the whole check, once.

    register   its issuer is there, in force, and may state this kind of document
    signature  one of its registered keys signed it, and what is disclosed is what was signed
    holder     bound to this gateway, where the registration demands it
    mapping    only registered claims, a firm of a jurisdiction it may speak of, a known grade table
    status     a fresh list of the same issuer says what has become of it

The same check runs at admission and at each refresh, on the same stored document.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.credential.key_binding import Binding
from gateway.inbound.errors import ForeignDocumentError, malformed
from gateway.inbound.jose import Json, decode, read_keys, strict_object
from gateway.inbound.mapping import GradeTables, Mapped, RegisteredTables, map_claims
from gateway.inbound.presentation import Presented, instant, verify
from gateway.inbound.status import Standing, StatusList, StatusReference, open_list, reference_of
from gateway.registry.issuer_claims import IssuerClaims, StatementClaims
from gateway.registry.issuers import Registration

Register = Callable[[str], Registration | None]


class StatusLists(Protocol):
    """Where status lists come from: given with the document, or fetched."""

    def token(self, uri: str) -> str | None:
        """Return the token of a list, unverified, or None when it can't be had."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that may be believed, with what its issuer's status list says of it.

    Args:
        registration: Its issuer's registration in force.
        presented: What it proved.
        mapped: What it says, in our words.
        issued_at: When it was issued.
        valid_until: When it ends by itself.
    """

    registration: Registration
    presented: Presented
    mapped: Mapped
    issued_at: int
    valid_until: int

    @property
    def issuer(self) -> IssuerClaims:
        """The issuer's registration as it was approved."""
        return self.registration.content

    @property
    def vct(self) -> str:
        """The kind of document."""
        return str(self.presented.claims["vct"])


@dataclass(frozen=True, slots=True)
class Status:
    """What a status list says of one document.

    Args:
        reference: Where it stands.
        source: The list.
        standing: What it says.
    """

    reference: StatusReference
    source: StatusList
    standing: Standing


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks documents against one state of the register.

    Args:
        register: Issuer to its newest version in effect, withdrawn or not.
        lists: Where status lists come from.
        tables: Finds grade tables.
    """

    register: Register
    lists: StatusLists
    tables: GradeTables = field(default_factory=RegisteredTables)
    # One list serves many documents; it was opened with exactly these keys at exactly this time.
    _opened: dict[tuple[str, str, int, int], StatusList] = field(default_factory=dict)

    def document(
        self, presentation: str, now: int, *, binding: Binding | None = None, kept: bool = False
    ) -> Checked:
        """Verify a document and read it.

        Args:
            presentation: Compact SD-JWT VC or compact JWS.
            now: Unix seconds.
            binding: What its holder bound it to, where the registration demands that.
            kept: True for one that was admitted before: its holder proved itself then.

        Raises:
            ForeignDocumentError: With the first thing that is wrong.
        """
        stated = _unverified(presentation)
        registration = self._in_force(stated.get("iss"), now)
        issuer = registration.content
        form = "SD_JWT" if "~" in presentation else "JWS"
        statement = _statement(issuer, stated.get("vct"), form)
        bound_here = form == "SD_JWT" and not presentation.endswith("~")
        demanded = statement.holder_binding and not kept
        if demanded and binding is None:
            raise ForeignDocumentError(
                "FOREIGN_HOLDER", "its registration demands the holder's binding to a nonce of ours"
            )
        presented = verify(
            presentation,
            read_keys(issuer.keys),
            now,
            binding=binding if demanded or bound_here else None,
        )
        issued, ends = _times(presented.claims)
        if issued < issuer.agreement.not_before:
            raise ForeignDocumentError("FOREIGN_TIME", "it was issued before the agreement began")
        mapped = map_claims(presented.claims, issuer, statement, self.tables)
        return Checked(registration, presented, mapped, issued, ends)

    def status(self, checked: Checked, now: int) -> Status:
        """Return what the issuer's status list says of a document now.

        Raises:
            ForeignDocumentError: `FOREIGN_STATUS_MISSING` or `FOREIGN_STATUS_STALE` when nothing
                is known; `FOREIGN_SIGNATURE` or `FOREIGN_MALFORMED` for a bad list.
        """
        issuer, reference = checked.issuer, reference_of(checked.presented.claims)
        if not reference.uri.startswith(issuer.status_prefixes):
            raise ForeignDocumentError(
                "FOREIGN_STATEMENT", "its status list is not where its issuer's lists are"
            )
        source = self._list(checked.registration, reference.uri, now)
        if source.uri != reference.uri:
            raise ForeignDocumentError("FOREIGN_STATUS_MISSING", "the list is another than its own")
        return Status(reference, source, source.at(reference.index))

    def _list(self, registration: Registration, uri: str, now: int) -> StatusList:
        """Return a list, verified with the keys of one registration."""
        issuer = registration.content
        key = (uri, issuer.issuer, issuer.version, now)
        if key not in self._opened:
            token = self.lists.token(uri)
            if token is None:
                raise ForeignDocumentError(
                    "FOREIGN_STATUS_MISSING", "its status list is not to be had"
                )
            self._opened[key] = open_list(
                token, read_keys(issuer.keys), now, max_age_s=issuer.status_max_age_s
            )
        return self._opened[key]

    def _in_force(self, issuer: object, now: int) -> Registration:
        found = self.register(issuer) if isinstance(issuer, str) else None
        speaking = None if found is None else found.issuer()
        if found is None or speaking is None or not speaking.in_force(now):
            raise ForeignDocumentError(
                "FOREIGN_ISSUER", "its issuer is not in the register, or not in force now"
            )
        return found


def check_valid(standing: Standing) -> None:
    """Raise unless a status list says that the document holds.

    Raises:
        ForeignDocumentError: `FOREIGN_STATUS_ENDED`.
    """
    if standing is not Standing.VALID:
        raise ForeignDocumentError(
            "FOREIGN_STATUS_ENDED", "its issuer's status list says that it holds no more"
        )


def without_binding(presentation: str) -> str:
    """Return a presentation as it is kept: what the holder proved once is of that moment."""
    return presentation if "~" not in presentation else presentation[: presentation.rindex("~") + 1]


def _unverified(presentation: str) -> Json:
    """Return the claims in the open, read only to know whose keys to ask for.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    token = presentation.partition("~")[0]
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        raise malformed("not a JWS in compact form")
    return strict_object(decode(parts[1]))


def _statement(issuer: IssuerClaims, vct: object, form: str) -> StatementClaims:
    for statement in issuer.statements:
        if statement.vct == vct and statement.form == form:
            return statement
    raise ForeignDocumentError(
        "FOREIGN_STATEMENT", "its issuer may not state this kind of document in this form"
    )


def _times(claims: Json) -> tuple[int, int]:
    issued, ends = instant(claims, "iat"), instant(claims, "exp")
    if issued is None or ends is None:  # `verify` refuses it before
        raise malformed("it has no validity")
    return issued, ends
