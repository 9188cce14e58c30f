"""What a statement does not say: purpose, scenario, operator and case come as headers.

With ADBC they are set once, `adbc.flight.sql.rpc.call_header.xinguan-purpose`, on the database,
the connection or the statement. Texts that are not ASCII are percent-encoded UTF-8.
"""

import re
import secrets
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Product
from gateway.domain.vocabulary import SubjectKind
from xinguan.v1 import exchange_pb2, types_pb2

PREFIX = "xinguan-"
HEADERS = frozenset(
    {
        "purpose", "scenario", "destination", "operator", "case-reference", "end-user",
        "consent-id", "measure", "subject-kind", "idempotency-key", "time", "signature",
    }
)  # fmt: skip
_MAX_VALUE = 4_096
_TIME = re.compile(r"(\d{1,11})\.(\d{9})")
_KIND = "SUBJECT_KIND_"


def read_headers(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the gateway's headers of a call, without their prefix and decoded.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for a header that does not exist (a misspelt one that
            is ignored would change the question), that comes twice, or is not readable.
    """
    found: dict[str, str] = {}
    for key, value in metadata:
        if not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        if name not in HEADERS:
            known = ", ".join(PREFIX + each for each in sorted(HEADERS))
            raise InvalidRequestError(
                "BAD_REQUEST", "a header of the gateway is unknown", hints=(f"known: {known}",)
            )
        if name in found:
            raise InvalidRequestError("BAD_REQUEST", f"the header {PREFIX}{name} comes twice")
        if not isinstance(value, str) or len(value) > _MAX_VALUE:
            raise InvalidRequestError("BAD_REQUEST", f"the header {PREFIX}{name} is too long")
        try:
            found[name] = unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise InvalidRequestError(
                "BAD_REQUEST", f"the header {PREFIX}{name} is not percent-encoded UTF-8"
            ) from None
    return found


def begin_query(
    headers: dict[str, str], product: Product, now_ms: int
) -> exchange_pb2.QueryRequest:
    """Return a request about a product with everything that headers say.

    Args:
        headers: Of `read_headers`.
        product: The product asked about.
        now_ms: Unix milliseconds, for a caller that states no time of its own.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when purpose or scenario is missing, or a value is
            malformed; `SIGNATURE_REQUIRED` belongs to the road.
    """
    for name in ("purpose", "scenario"):
        if not headers.get(name):
            raise InvalidRequestError(
                "BAD_REQUEST",
                f"the header {PREFIX}{name} is missing",
                hints=(f"with ADBC: adbc.flight.sql.rpc.call_header.{PREFIX}{name}",),
            )
    context = types_pb2.RequestContext(
        idempotency_key=headers.get("idempotency-key") or secrets.token_hex(16),
        time=_time(headers.get("time", ""), now_ms),
        purpose=headers["purpose"],
        scenario=headers["scenario"],
        destination=headers.get("destination") or "CN",
        operator=headers.get("operator", ""),
        case_reference=headers.get("case-reference", ""),
        signature=headers.get("signature", ""),
        end_user=headers.get("end-user", ""),
    )
    return exchange_pb2.QueryRequest(
        context=context,
        product=product.name,
        subject_kind=_subject_kind(headers.get("subject-kind", ""), product),
        consent_id=headers.get("consent-id", ""),
        measure=headers.get("measure", ""),
    )


def _time(text: str, now_ms: int) -> Timestamp:
    if not text:
        return Timestamp(seconds=now_ms // 1000, nanos=now_ms % 1000 * 1_000_000)
    parts = _TIME.fullmatch(text)
    if parts is None:
        raise InvalidRequestError(
            "BAD_REQUEST", f"the header {PREFIX}time is unix seconds with nine decimals"
        )
    return Timestamp(seconds=int(parts[1]), nanos=int(parts[2]))


def _subject_kind(text: str, product: Product) -> types_pb2.SubjectKind.ValueType:
    if not text:
        kinds = product.subject_kinds
        default = SubjectKind.LEGAL_ENTITY
        text = default if default in kinds or len(kinds) != 1 else next(iter(kinds))
    known = types_pb2.SubjectKind
    if f"{_KIND}{text}" not in known.keys():  # noqa: SIM118 - protobuf's wrapper, no dict
        raise InvalidRequestError("BAD_REQUEST", f"the header {PREFIX}subject-kind is unknown")
    return known.Value(f"{_KIND}{text}")
