"""What a verification says about those who vouch for a log: witnesses and time-stamps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from audit.errors import NoteError
from audit.timestamps import TimestampAuthority, stamp_names, verify_stamps
from audit.trust_policy import TrustPolicy
from audit.verify import Report
from gateway.cli.console import instant, read_bytes
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError
from gateway.stamping import timestamp_authority
from gateway.witnesses import deployment_policy, read_policy, vouched

Policy = Annotated[
    Path | None,
    typer.Option("--policy", help="Trust policy (C2SP tlog-policy): whose cosignatures count."),
]
TsaCertificates = Annotated[
    Path | None,
    typer.Option("--tsa", help="PEM of a time-stamp authority and its root; checks time-stamps."),
]
_UNWITNESSED = "no (unwitnessed: nobody else has vouched for this log yet)"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the reader trusts.

    Args:
        policy: Whose cosignatures count, or None.
        authority: Whose time-stamps count, or None.
    """

    policy: TrustPolicy | None
    authority: TimestampAuthority | None

    @property
    def log_key(self) -> str:
        """The verifier key of the log where the policy lists exactly one; empty otherwise."""
        logs = () if self.policy is None else self.policy.logs
        return logs[0].vkey if len(logs) == 1 else ""

    def told(
        self, directory: Path, vkey: str, report: Report, now: int
    ) -> tuple[dict[str, Any], list[str]]:
        """Say who vouches for a verified log; return that, and what is wrong.

        Args:
            directory: The log's directory.
            vkey: Verifier key of the log.
            report: What the verification of its entries found.
            now: Unix seconds.
        """
        checkpoint = report.checkpoint
        if checkpoint is None:
            return {"witnessed": _UNWITNESSED}, []
        told, doubts = self._witnessed(checkpoint.note, vkey, now)
        if self.authority is not None:
            held, wrong = verify_stamps(directory, vkey, self.authority, checkpoint)
            doubts += wrong
            told["time-stamps"] = len(held)
            if held:
                told["newest time-stamp"] = f"{held[-1].size} entries at {instant(held[-1].time)}"
        elif names := stamp_names(directory):
            told["time-stamps"] = f"{len(names)} not checked (give --tsa)"
        return told, doubts

    def receipt_told(self, note: bytes, vkey: str) -> dict[str, Any]:
        """Say who vouches for the checkpoint of a receipt.

        Raises:
            NoteError: A cosignature does not hold, or the quorum is missing.
        """
        if self.policy is None:
            return {}
        at, names = vouched(self.policy, note, vkey)
        if at is None and self.policy.demands_witnesses:
            raise NoteError("the quorum of the policy has not witnessed this receipt")
        return {"witnesses": list(names), "witnessed at": instant(at)}

    def _witnessed(self, note: bytes, vkey: str, now: int) -> tuple[dict[str, Any], list[str]]:
        if self.policy is None:
            return {"witnessed": _UNWITNESSED}, []
        try:
            at, names = vouched(self.policy, note, vkey)
        except NoteError as error:
            return {"witnessed": "no"}, [str(error)]
        told: dict[str, Any] = {"witnesses": list(names)}
        if at is not None:
            said = f"yes (a quorum had seen it at {instant(at)}, {max(0, now - at)} s ago)"
            return told | {"witnessed": said, "witnessed_at": at}, []
        if self.policy.demands_witnesses:
            return told | {"witnessed": "no"}, ["the quorum of the policy has not witnessed it"]
        return told | {"witnessed": _UNWITNESSED}, []


def trusted(policy: Path | None, tsa: Path | None, home: Path | None) -> Trust:
    """Read whom to trust: what the options name, else what the deployment's settings name.

    Args:
        policy: A trust policy.
        tsa: Certificates of a time-stamp authority.
        home: The deployment whose own log is looked at; None for a copy.

    Raises:
        ConfigError: `BAD_POLICY` or `BAD_CERTIFICATE` of the settings.
        InvalidRequestError: `BAD_CERTIFICATE`.
    """
    deployment = None if home is None else Deployment.open(home)
    chosen = None if policy is None else read_policy(policy)
    if chosen is None and deployment is not None:
        chosen = deployment_policy(deployment)
    authority = None
    if tsa is not None:
        try:
            authority = TimestampAuthority(read_bytes(tsa))
        except NoteError as error:
            raise InvalidRequestError("BAD_CERTIFICATE", str(error)) from None
    elif deployment is not None:
        authority = timestamp_authority(deployment)
    return Trust(chosen, authority)
