"""What an answer says about the witnesses of the log."""

from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from audit.checkpoint import Checkpoint
from audit.note import Verifier
from audit.proof import parse_receipt
from audit.reader import LogReader
from audit.trust_policy import TrustPolicy
from xinguan.v1 import audit_pb2


@dataclass(frozen=True, slots=True)
class LogWitnesses:
    """Judges checkpoints by the deployment's trust policy.

    Args:
        policy: Whose cosignatures count; None: the log is unwitnessed.
        vkey: The log's verifier key.
    """

    policy: TrustPolicy | None
    vkey: str

    def told(self, reader: LogReader) -> audit_pb2.GetCheckpointResponse:
        """Return the newest checkpoint, and how much of the log the quorum has seen, and when.

        Raises:
            AuditError: There is no checkpoint, or it does not hold.
        """
        newest = reader.checkpoint()
        answer = audit_pb2.GetCheckpointResponse(checkpoint=newest.note)
        if self.policy is None:
            return answer
        opened = self._open(self.policy, newest.note)
        answer.witnesses.extend(self.policy.names(opened))
        answer.witnessed = self.policy.quorum_time(opened) is not None
        vouched = opened if answer.witnessed else reader.witnessed()
        if vouched is not None:
            vouched = self._open(self.policy, vouched.note)
            at = self.policy.quorum_time(vouched)
            if at is not None:
                answer.witnessed_at.CopyFrom(Timestamp(seconds=at))
                answer.witnessed_size = vouched.size
                answer.witnessed_checkpoint = vouched.note
        return answer

    def witnessed(self, receipt: bytes) -> bool:
        """Tell whether the quorum has cosigned the checkpoint of a receipt.

        Raises:
            AuditError: The receipt is malformed or its checkpoint does not hold.
        """
        if self.policy is None:
            return False
        opened = self._open(self.policy, parse_receipt(receipt).checkpoint)
        return self.policy.quorum_time(opened) is not None

    def _open(self, policy: TrustPolicy, note: bytes) -> Checkpoint:
        return policy.open(note, Verifier.parse(self.vkey))
