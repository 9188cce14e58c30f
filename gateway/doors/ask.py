"""What came in through a door: a query, parsed and checked in shape, before anything is decided."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gateway.domain.errors import InvalidRequestError, UnauthenticatedError
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.domain.identifiers import PERSON_TOKEN, parse_uscc
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.request import Condition, ExchangeRequest, Loan
from gateway.domain.vocabulary import SubjectKind
from gateway.doors.peer import public_key_pem
from gateway.inbound.identifiers import parse_foreign_id
from gateway.portfolio.definitions import FEATURES
from gateway.release.pace import Pace
from gateway.release.portfolio import Portfolio, portion_count, portion_places
from gateway.release.rows import parse_condition
from gateway.release.ticket import Ticket
from gateway.release.world import Memory
from xinguan.signing import SignatureMismatchError, verify_request
from xinguan.v1 import exchange_pb2, types_pb2

_KEY = re.compile(r"[A-Za-z0-9._:\-]{8,64}")
# Codes stand in entries and kept inputs, so one that could be an organisation's is refused.
_WORD = re.compile(r"(?![0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}$)[A-Z][A-Z0-9_]{1,63}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_FIELDS = 512
_MAX_CONDITIONS = 32
_MAX_TEXT = 256
_CODECS = {
    exchange_pb2.COMPRESSION_UNSPECIFIED: "",
    exchange_pb2.COMPRESSION_LZ4: "lz4",
    exchange_pb2.COMPRESSION_ZSTD: "zstd",
}
_KINDS = {
    types_pb2.SUBJECT_KIND_LEGAL_ENTITY: SubjectKind.LEGAL_ENTITY,
    types_pb2.SUBJECT_KIND_SOLE_PROP: SubjectKind.SOLE_PROP,
    types_pb2.SUBJECT_KIND_SOCIAL_ORG: SubjectKind.SOCIAL_ORG,
    types_pb2.SUBJECT_KIND_PUBLIC_INST: SubjectKind.PUBLIC_INST,
    types_pb2.SUBJECT_KIND_GOV: SubjectKind.GOV,
    types_pb2.SUBJECT_KIND_NATURAL_PERSON: SubjectKind.NATURAL_PERSON,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One query as a door received it.

    Args:
        query: The message.
        max_subjects: Greatest number of subjects in one request.
        subjects_needed: True where a request without subjects is refused (`Query`).
        ticket: The plan that it continues, or None. A ticket is reusable until it expires,
            so its idempotency key is not claimed and its time is not compared with now.
        sealable: True where an answer can be encrypted to the caller's key.
        portfolio: What the query's handle stands for, or what came with it; None without one.
        mode: Mode of mutual recognition that the answer is for; empty for a plain query.
        window: The batches that this part of a reading is about, or None; see `parts`.
        pinned: The snapshot that an earlier part of the reading came from, or empty.
        handed_over: Rows that earlier parts of the reading handed over; they count for a limit.
        memory: What was found out once for all parts.
    """

    query: exchange_pb2.QueryRequest
    max_subjects: int
    subjects_needed: bool = True
    ticket: Ticket | None = None
    portfolio: Portfolio | None = None
    sealable: bool = False
    mode: str = ""
    window: range | None = None
    pinned: str = ""
    handed_over: int = 0
    memory: Memory = field(default_factory=Memory, compare=False)

    def parts(self, pace: Pace) -> Iterator[tuple["Ask", bool]]:
        """Yield the ask, or one for each part of a large portfolio, in order.

        Each part is released by itself, with an intent that commits to its own subjects: so no
        transaction of the log grows with the portfolio, and other callers are answered between.
        Whoever reads them fills in what the parts before handed over, and the snapshot.

        Args:
            pace: How many portions a part has, asked before each.

        Yields:
            A part, and whether it is the last.
        """
        portfolio = self.portfolio
        if portfolio is None:
            yield self, True
            return
        wanted = self.batches
        if wanted is None:
            wanted = range(portion_count(len(portfolio.subjects)))
        first = wanted.start
        while True:
            last = min(first + pace.portions, wanted.stop)
            yield replace(self, window=range(first, last)), last >= wanted.stop
            if last >= wanted.stop:
                return
            first = last

    @property
    def product(self) -> str:
        """Name of the product asked about."""
        return self.query.product

    @property
    def replay_digest(self) -> bytes | None:
        """SHA-256 of the request as it came, or None for a ticket, which may be repeated."""
        if self.ticket is not None or self.pinned:
            return None
        digest = hashlib.sha256(self.query.SerializeToString(deterministic=True))
        if self.portfolio is not None and not self.query.portfolio:
            digest.update(self.portfolio.digest)  # it came with the query, not before it
        return digest.digest()

    @property
    def pinned_snapshot(self) -> str | None:
        """Snapshot id that a ticket pins, or None."""
        return (self.pinned or None) if self.ticket is None else self.ticket.snapshot_id

    @property
    def batches(self) -> range | None:
        """Batches that a ticket names, or None for all."""
        if self.window is not None:
            return self.window
        if self.ticket is None:
            return None
        return range(self.ticket.first_batch, self.ticket.last_batch)

    def check_signature(self, caller: Caller, peer: bytes) -> None:
        """Check the caller's signature when there is one.

        Args:
            caller: Who is on the line.
            peer: Its certificate, PEM; requests are signed by the key of the certificate.

        Raises:
            UnauthenticatedError: `BAD_SIGNATURE` when it is not the caller's over this request.
        """
        if not self.query.context.signature:
            return
        try:
            verify_request(
                self.query,
                caller.party.party_id,
                public_key_pem(peer),
                self.query.context.signature,
            )
        except (SignatureMismatchError, ValueError):
            raise UnauthenticatedError(
                "BAD_SIGNATURE", "the request's signature is not the caller's over this request"
            ) from None

    def parse(self, request_id: str, product: Product) -> ExchangeRequest:
        """Return the request in the domain's words.

        Args:
            request_id: The id that the gateway gave it.
            product: The contract of the product it names.

        Raises:
            InvalidRequestError: Naming what is malformed by its position, never by its value.
        """
        query, context = self.query, self.query.context
        _match(_KEY, context.idempotency_key, "the idempotency key has 8 to 64 characters")
        for text, what in ((context.purpose, "purpose"), (context.scenario, "scenario")):
            _match(_WORD, text, f"the {what} is a code in UPPER_SNAKE")
        if query.measure:
            _match(_WORD, query.measure, "the measure is a code in UPPER_SNAKE")
        _match(_COUNTRY, context.destination, "the destination is an ISO 3166 code")
        for text, what in (
            (context.operator, "operator"),
            (context.case_reference, "case"),
            (context.end_user, "end user"),
        ):
            if len(text) > _MAX_TEXT:
                raise InvalidRequestError("BAD_REQUEST", f"the {what} is too long")
        kind = subject_kind(query.subject_kind)
        if query.limit < 0:
            raise InvalidRequestError("BAD_REQUEST", "the limit is negative")
        codec = _CODECS.get(query.compression)
        if codec is None or (codec and self.subjects_needed):
            raise InvalidRequestError("BAD_REQUEST", "batches are compressed over Flight only")
        portfolio = self.portfolio
        if portfolio is not None:
            _check_portfolio(query, portfolio, kind, product)
        elif query.portfolio:
            raise InvalidRequestError("BAD_REQUEST", "a portfolio is asked about over Flight only")
        return ExchangeRequest(
            request_id=request_id,
            idempotency_key=context.idempotency_key,
            asked_at=context.time.seconds,
            product=product.name,
            fields=_fields(query, product),
            subjects=self._subjects(kind, product) if portfolio is None else portfolio.subjects,
            subject_kind=kind,
            purpose=context.purpose,
            scenario=context.scenario,
            destination=context.destination,
            operator=context.operator,
            case_reference=context.case_reference,
            consent_id=query.consent_id or ("" if portfolio is None else portfolio.consent),
            conditions=_conditions(query, product),
            limit=query.limit and query.limit - self.handed_over,
            measure=query.measure,
            loan=_loan(query),
            signature=context.signature,
            portfolio=portfolio is not None,
            part=self._part(),
            compression=codec,
            end_user=context.end_user.strip(),
            sealed=query.sealed,
            sealable=self.sealable,
            mode=self.mode,
        )

    def _part(self) -> range | None:
        """Return the places of the subjects that this part of a reading looks at."""
        batches = self.batches
        if self.portfolio is None or batches is None:
            return None
        most = len(self.portfolio.subjects)
        places = portion_places(batches.start, batches.stop)
        return range(min(places.start, most), min(places.stop, most))

    def _subjects(self, kind: SubjectKind, product: Product) -> tuple[str, ...]:
        subjects = self.query.subjects
        if len(subjects) > self.max_subjects:
            raise InvalidRequestError(
                "BATCH_TOO_LARGE", f"a request holds at most {self.max_subjects} subjects"
            )
        if self.subjects_needed and not subjects:
            raise InvalidRequestError("BAD_REQUEST", "a query names its subjects")
        parsed = []
        for position, text in enumerate(subjects):
            try:
                parsed.append(_parse_subject(kind, text, product))
            except InvalidRequestError as error:
                raise InvalidRequestError(
                    error.code, f"subject {position + 1}: {error.message}"
                ) from None
        return tuple(dict.fromkeys(parsed))


def subject_kind(stated: types_pb2.SubjectKind.ValueType) -> SubjectKind:
    """Return the kind of subjects that a message states.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it states none.
    """
    kind = _KINDS.get(stated)
    if kind is None:
        raise InvalidRequestError("BAD_REQUEST", "the kind of the subjects is not stated")
    return kind


def _check_portfolio(
    query: exchange_pb2.QueryRequest, portfolio: Portfolio, kind: SubjectKind, product: Product
) -> None:
    """Compare a portfolio with the query that names it."""
    if query.subjects:
        raise InvalidRequestError("BAD_REQUEST", "a query has a portfolio or subjects, not both")
    if portfolio.kind is not kind:
        raise InvalidRequestError("BAD_PORTFOLIO", "the portfolio holds another kind of subject")
    if portfolio.observed and product.name != FEATURES:
        raise InvalidRequestError(
            "BAD_PORTFOLIO", "records have no observation date; upload the subjects without"
        )
    consents = portfolio.consents | ({query.consent_id} if query.consent_id else set())
    if len(consents) > 1:
        raise InvalidRequestError("BAD_PORTFOLIO", "one request rests on one consent for every row")


def _parse_subject(kind: SubjectKind, text: str, product: Product) -> str:
    if product.name == FOREIGN_PRODUCT:
        return parse_foreign_id(text)
    if kind is not SubjectKind.NATURAL_PERSON:
        return parse_uscc(text)
    # Identity numbers never enter: the platform's subject master gives callers a token.
    _match(PERSON_TOKEN, text, "a person is asked about by token, never by identity number")
    return text


def _fields(query: exchange_pb2.QueryRequest, product: Product) -> tuple[str, ...]:
    if not query.fields or len(query.fields) > _MAX_FIELDS:
        raise InvalidRequestError("BAD_REQUEST", "a query names its fields; there is no `all`")
    for position, name in enumerate(query.fields):
        if name not in product.fields:
            raise InvalidRequestError(
                "UNKNOWN_FIELD", f"field {position + 1} is not in the product's contract"
            )
    return tuple(dict.fromkeys(query.fields))


def _loan(query: exchange_pb2.QueryRequest) -> Loan | None:
    if not query.HasField("loan"):
        return None
    stated = query.loan
    if stated.amount_fen <= 0:
        raise InvalidRequestError("BAD_REQUEST", "a loan's amount is stated in fen and positive")
    return Loan(stated.amount_fen, stated.unsecured, stated.small_enterprise, stated.via_platform)


def _conditions(query: exchange_pb2.QueryRequest, product: Product) -> tuple[Condition, ...]:
    if len(query.conditions) > _MAX_CONDITIONS:
        raise InvalidRequestError("BAD_REQUEST", "too many conditions")
    parsed = []
    for position, condition in enumerate(query.conditions):
        field = product.fields.get(condition.field)
        if field is None:
            raise InvalidRequestError(
                "UNKNOWN_FIELD", f"condition {position + 1} names a field that does not exist"
            )
        parsed.append(parse_condition(field, condition.op, condition.values))
    return tuple(parsed)


def _match(pattern: re.Pattern[str], text: str, message: str) -> None:
    if not pattern.fullmatch(text):
        raise InvalidRequestError("BAD_REQUEST", message)
