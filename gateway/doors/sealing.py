"""Answers that stay with their addressee: a batch encrypted end to end to the caller's key.

A form of what the road released, made after it and before the transport has it: the evidence in
the log is of the records as always, and whoever ends TLS on the way sees ciphertext. A JWE in
compact form (RFC 7516), ECDH-ES with A256KW and A256GCM; inside, `SealedBatch` says to which
request and batch it belongs, so that one can't be passed off as another.
"""

import json

from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey

from gateway.domain.facts import RecipientKey
from xinguan.sealing import ALGORITHM, ENCRYPTION, REGISTRY, TYPE
from xinguan.v1 import exchange_pb2


def seal_batch(batch: exchange_pb2.Batch, recipient: RecipientKey, request_id: str) -> None:
    """Put a batch's records into a JWE that only the recipient opens, in place of them.

    Args:
        batch: The message; what isn't the records stays as it is.
        recipient: The caller's registered key.
        request_id: Its request.
    """
    inside = exchange_pb2.SealedBatch(
        request_id=request_id,
        sequence=batch.sequence,
        arrow_ipc=batch.arrow_ipc,
        typed_rows=batch.typed_rows,
        arrow_schema=batch.arrow_schema,
        digest=batch.digest,
    )
    # The digest too: whoever guesses the few values of a record could tell by it that he is right.
    for name in ("arrow_ipc", "typed_rows", "arrow_schema", "digest"):
        batch.ClearField(name)
    stated = json.loads(recipient.jwk)
    key = ECKey.import_key(stated) if stated["kty"] == "EC" else OKPKey.import_key(stated)
    header = {"alg": ALGORITHM, "enc": ENCRYPTION, "kid": recipient.key_id, "typ": TYPE}
    batch.jwe = jwe.encrypt_compact(header, inside.SerializeToString(), key, registry=REGISTRY)
