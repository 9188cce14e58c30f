"""A caller's signature over its request: both sides sign, so neither can attribute to the other.

The signature is a detached JWS (RFC 7515 appendix F, ES256) by the key of the caller's TLS
certificate over the RFC 8785 JSON of the request. It covers everything that the request
says, so that a gateway can't show another request for it.
"""

import rfc8785
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from xinguan.v1 import exchange_pb2, types_pb2

_TYPE = "xinguan-request+jws"


class SignatureMismatchError(Exception):
    """The signature is not this key's over this request."""


def canonical_request(query: exchange_pb2.QueryRequest, party_id: str) -> bytes:
    """Return the bytes that a caller signs.

    Args:
        query: The request; its `context.signature` is left out.
        party_id: The calling party, so that a signature can't be moved to another.
    """
    context = query.context
    return rfc8785.dumps(
        {
            "v": 1,
            "party": party_id,
            "idempotency_key": context.idempotency_key,
            "time": f"{context.time.seconds}.{context.time.nanos:09d}",
            "purpose": context.purpose,
            "scenario": context.scenario,
            "destination": context.destination,
            "operator": context.operator,
            "case_reference": context.case_reference,
            "product": query.product,
            "fields": list(query.fields),
            "subjects": list(query.subjects),
            "subject_kind": types_pb2.SubjectKind.Name(query.subject_kind),
            "conditions": [
                {"field": c.field, "op": c.op, "values": list(c.values)} for c in query.conditions
            ],
            "limit": str(query.limit),
            "consent_id": query.consent_id,
            "measure": query.measure,
            **_loan(query),
            **({"sealed": True} if query.sealed else {}),
        }
    )


def _loan(query: exchange_pb2.QueryRequest) -> dict[str, dict[str, str | bool]]:
    """Return the loan of a subsidy request; nothing for all others."""
    if not query.HasField("loan"):
        return {}
    loan = query.loan
    return {
        "loan": {
            "amount_fen": str(loan.amount_fen),
            "unsecured": loan.unsecured,
            "small_enterprise": loan.small_enterprise,
            "via_platform": loan.via_platform,
        }
    }


def sign_request(query: exchange_pb2.QueryRequest, party_id: str, key_pem: bytes) -> str:
    """Return the detached JWS of a request.

    Args:
        query: The request, complete but for its signature.
        party_id: The calling party.
        key_pem: The private key of the caller's certificate (EC P-256), PEM.
    """
    header = {"alg": "ES256", "typ": _TYPE}
    compact = jws.serialize_compact(
        header, canonical_request(query, party_id), ECKey.import_key(key_pem)
    )
    return jws.detach_content(compact)


def verify_request(
    query: exchange_pb2.QueryRequest, party_id: str, public_key_pem: bytes, signature: str
) -> None:
    """Check a request's detached JWS.

    Raises:
        SignatureMismatchError: When it is malformed or not this key's over this request.
    """
    _verify(canonical_request(query, party_id), public_key_pem, signature)


def canonical_call(method: str, message: Message, party_id: str) -> bytes:
    """Return the bytes that a caller signs for a call of another service than a query.

    Args:
        method: Full name of the method, `xinguan.v1.RecognitionService/MapGrade`.
        message: The request, with a `context`; `context.signature` is left out.
        party_id: The calling party, so that a signature can't be moved to another.
    """
    told = MessageToDict(message, preserving_proto_field_name=True)
    context = {k: v for k, v in told.get("context", {}).items() if k != "signature"}
    return rfc8785.dumps(
        {"v": 1, "party": party_id, "method": method, "request": told | {"context": context}}
    )


def sign_call(method: str, message: Message, party_id: str, key_pem: bytes) -> str:
    """Return the detached JWS of a call, over `canonical_call`."""
    header = {"alg": "ES256", "typ": _TYPE}
    content = canonical_call(method, message, party_id)
    return jws.detach_content(jws.serialize_compact(header, content, ECKey.import_key(key_pem)))


def verify_call(
    method: str, message: Message, party_id: str, public_key_pem: bytes, signature: str
) -> None:
    """Check a call's detached JWS.

    Raises:
        SignatureMismatchError: When it is malformed or not this key's over this call.
    """
    _verify(canonical_call(method, message, party_id), public_key_pem, signature)


def _verify(content: bytes, public_key_pem: bytes, signature: str) -> None:
    try:
        found = jws.extract_compact(signature.encode(), payload=content)
        if found.protected != {"alg": "ES256", "typ": _TYPE}:
            raise SignatureMismatchError
        if not jws.validate_compact(found, ECKey.import_key(public_key_pem), ["ES256"]):
            raise SignatureMismatchError
    except (JoseError, ValueError, UnicodeDecodeError) as error:
        raise SignatureMismatchError from error
