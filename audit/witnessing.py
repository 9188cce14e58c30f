"""What an integrator does with witnesses: meet them, ask them, and know when to ask again."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from audit.checkpoint import Checkpoint, with_cosignatures, without_cosignatures
from audit.errors import AuditUnavailableError, ForkClaimedError
from audit.note import Verifier
from audit.reader import LogReader
from audit.trust_policy import TrustPolicy
from audit.witness_client import WitnessClient

REFRESH_S: Final = 60


class Witnessing:
    """The witnesses of one log; its owner calls it from one thread at a time.

    Args:
        policy: Whose cosignatures count.
        client: Asks them.
        log: The log's own key.
        directory: The log's directory, for proofs.
        clock: Unix seconds.
        refresh_s: After how many seconds without anything new the witnesses are asked again,
            so that their word does not grow old with a quiet log.
    """

    def __init__(
        self,
        policy: TrustPolicy,
        client: WitnessClient,
        log: Verifier,
        directory: Path,
        clock: Callable[[], int],
        *,
        refresh_s: int = REFRESH_S,
    ) -> None:
        self._policy = policy
        self._client = client
        self._log = log
        self._reader = LogReader(directory)
        self._clock = clock
        self._refresh_s = refresh_s
        self._asked = 0
        self._complete = False
        self._met = False

    @property
    def met(self) -> bool:
        """True when the quorum has confirmed this node's history, and nobody disputes it."""
        return self._met

    def meet(self, checkpoint: Checkpoint) -> None:
        """Show the witnesses what was signed before, and let their quorum confirm it.

        Raises:
            ForkClaimedError: A witness has seen what this history does not contain.
            AuditUnavailableError: The quorum did not answer; nothing may be signed yet.
        """
        self.cosign(checkpoint)
        if self._policy.demands_witnesses and not self._complete:
            raise AuditUnavailableError("the witnesses have not confirmed the log since the start")
        self._met = True

    def cosign(self, checkpoint: Checkpoint) -> tuple[bytes, bool]:
        """Ask for cosignatures of a checkpoint that is durable.

        Returns:
            The note with all cosignatures that are known of it, and whether they are a quorum.

        Raises:
            ForkClaimedError: A witness has seen what this history does not contain.
        """
        self._asked = self._clock()
        self._complete = False
        try:
            lines = self._client.cosign(checkpoint, self._reader.consistency_proof)
        except ForkClaimedError:
            # Whatever the others say: nothing is signed before this is settled.
            self._met = False
            raise
        # What stands in the note from an earlier run says nothing about now.
        own = without_cosignatures(checkpoint.note, self._log)
        self._complete = self._quorum(with_cosignatures(own, lines))
        note = with_cosignatures(checkpoint.note, lines)
        return note, self._complete or self._quorum(note)

    def _quorum(self, note: bytes) -> bool:
        return self._policy.quorum_time(self._policy.open(note, self._log)) is not None

    def due(self) -> bool:
        """Tell whether the witnesses should be asked again though the log has not grown."""
        waited = self._clock() - self._asked
        return waited >= self._refresh_s or (not self._complete and waited > 0)
