"""A small typed client: mutual TLS, signed requests, retries, deadlines; async and sync.

    async with Client("gateway:8443", Identity.load("agency.crt", "agency.key", "ca.crt")) as x:
        answer = await x.query(
            "legal_entity_base", ["uscc", "name"], subjects=["..."], purpose="CREDIT_APPROVAL",
            scenario="ENTERPRISE_REPORT", operator="u-17", case_reference="case-2026-0042",
        )
        answer.table().to_pandas()

`SyncClient` has the same methods without `await`.
"""

from xinguan.client._accesses import ProofError, ProvedAccesses
from xinguan.client._answer import Answer
from xinguan.client._client import Client
from xinguan.client._errors import RefusedError, TransportError
from xinguan.client._identity import Identity
from xinguan.client._sync import SyncClient
from xinguan.recall import NamedRow, Notice, NoticeError
from xinguan.sealing import DecryptionKey, SealedAnswerError

__all__ = [
    "Answer",
    "Client",
    "DecryptionKey",
    "Identity",
    "NamedRow",
    "Notice",
    "NoticeError",
    "ProofError",
    "ProvedAccesses",
    "RefusedError",
    "SealedAnswerError",
    "SyncClient",
    "TransportError",
]
