"""A call of mutual recognition as the road takes it: a query with a mode, parsed like any other."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from google.protobuf.message import Message

from gateway.domain.errors import InvalidRequestError, UnauthenticatedError
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.recognition import Mode
from gateway.domain.request import Condition, ExchangeRequest
from gateway.doors.ask import Ask
from gateway.doors.peer import public_key_pem
from gateway.release.portfolio import Portfolio
from gateway.release.world import Memory
from xinguan.signing import SignatureMismatchError, verify_call
from xinguan.v1 import exchange_pb2, types_pb2

SERVICE = "xinguan.v1.RecognitionService"
_PERSON = types_pb2.SUBJECT_KIND_NATURAL_PERSON


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it came in.

    Args:
        method: Name of the method.
        message: The request.
        context: Its context.
        kind: Kind of the subject, as stated.
        consent_id: Consent that it rests on, or empty.
    """

    method: str
    message: Message
    context: types_pb2.RequestContext
    kind: types_pb2.SubjectKind.ValueType
    consent_id: str = ""


@dataclass(frozen=True, slots=True)
class RecognitionAsk:
    """One release of a call.

    Args:
        call: The call.
        mode: Its mode.
        product: Product name.
        fields: Field names.
        subject: Whom it is about, resolved; how, depends on the kind.
        part: Number of the release among those of the call; each has its own idempotency key.
        conditions: Conditions on the rows, made of the contract.
    """

    call: Call
    mode: Mode
    product: str
    fields: tuple[str, ...]
    subject: str
    part: int = 0
    conditions: Callable[[Product], tuple[Condition, ...]] = lambda _: ()
    memory: Memory = field(default_factory=Memory, compare=False)

    @property
    def portfolio(self) -> Portfolio | None:
        """None: a mode is about one subject."""
        return None

    @property
    def replay_digest(self) -> bytes | None:
        """SHA-256 that recognises a replay of this release."""
        told = self.call.message.SerializeToString(deterministic=True)
        head = f"{SERVICE}/{self.call.method}\x00{self.part}\x00".encode()
        return hashlib.sha256(head + told).digest()

    @property
    def pinned_snapshot(self) -> str | None:
        """None: the present one."""
        return None

    @property
    def batches(self) -> range | None:
        """None: all of them."""
        return None

    def parse(self, request_id: str, product: Product) -> ExchangeRequest:
        """Return the request in the domain's words.

        Raises:
            InvalidRequestError: Naming what is malformed.
        """
        query = exchange_pb2.QueryRequest(
            context=self.call.context,
            product=self.product,
            fields=self.fields,
            subject_kind=self.call.kind,
            consent_id=self.call.consent_id,
            # A person is named by the caller's own word, which is looked at as in any query; an
            # enterprise or a report was resolved before.
            subjects=[self.subject] if self.call.kind == _PERSON else [],
        )
        parsed = Ask(query, 1, subjects_needed=False, mode=self.mode).parse(request_id, product)
        if not self.subject:
            raise InvalidRequestError("BAD_REQUEST", "the call names no subject")
        return replace(
            parsed,
            idempotency_key=f"{parsed.idempotency_key}/{self.part}",
            subjects=(self.subject,),
            conditions=self.conditions(product),
        )

    def check_signature(self, caller: Caller, peer: bytes) -> None:
        """Check the caller's signature over the call when there is one.

        Raises:
            UnauthenticatedError: `BAD_SIGNATURE`.
        """
        signature = self.call.context.signature
        if not signature:
            return
        try:
            verify_call(
                f"{SERVICE}/{self.call.method}",
                self.call.message,
                caller.party.party_id,
                public_key_pem(peer),
                signature,
            )
        except (SignatureMismatchError, ValueError):
            raise UnauthenticatedError(
                "BAD_SIGNATURE", "the request's signature is not the caller's over this request"
            ) from None
