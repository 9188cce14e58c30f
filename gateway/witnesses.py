"""The deployment's trust policy, and the witnesses that its integrator asks."""

from collections.abc import Callable
from pathlib import Path

from audit.errors import PolicyError
from audit.integrator import Integrator
from audit.journal import Journal
from audit.note import Ed25519Signer, Verifier
from audit.trust_policy import TrustPolicy, parse_policy
from audit.witness_client import WitnessClient
from audit.witnessing import Witnessing
from gateway.config import ConfigError
from gateway.deployment import Deployment, Secrets

_LEASE_S = 6  # how late a checkpoint may be when the process that makes them dies


def read_policy(path: Path) -> TrustPolicy:
    """Read a trust policy.

    Raises:
        ConfigError: `BAD_POLICY` when it is missing or malformed.
    """
    try:
        return parse_policy(path.read_bytes())
    except OSError:
        raise ConfigError("BAD_POLICY", f"the trust policy {path.name} can't be read") from None
    except PolicyError as error:
        raise ConfigError("BAD_POLICY", str(error)) from None


def deployment_policy(deployment: Deployment) -> TrustPolicy | None:
    """Read the policy that the settings name; None for an unwitnessed log.

    Raises:
        ConfigError: `BAD_POLICY` when it is malformed, lists other logs only, or when the
            witnesses that have a URL can't make up its quorum.
    """
    settings = deployment.settings
    if not settings.witnesses.policy:
        return None
    policy = read_policy(deployment.directory / settings.witnesses.policy)
    ours = Verifier.parse(deployment.log_vkey)
    known = [(each.verifier.name, each.verifier.key_id) for each in policy.logs]
    if known and (ours.name, ours.key_id) not in known:
        raise ConfigError("BAD_POLICY", "the trust policy does not list this log's key")
    if not policy.askable:
        raise ConfigError(
            "BAD_POLICY",
            "the witnesses that have a URL can't make up the quorum",
            hints=("write the submission prefix behind the key of each witness",),
        )
    return policy


def make_integrator(
    deployment: Deployment,
    journal: Journal,
    secrets: Secrets,
    policy: TrustPolicy | None,
    clock: Callable[[], int],
) -> Integrator:
    """Build the integrator of a deployment, with its witnesses where it has some.

    Raises:
        AuditError: As the integrator.
    """
    settings, directory = deployment.settings, deployment.log_directory
    signer = Ed25519Signer(settings.log.origin, secrets.log_key)
    witnesses = None
    if policy is not None:
        limits = settings.witnesses
        witnesses = Witnessing(
            policy,
            WitnessClient(policy.witnesses.values(), clock, limits.timeout_ms / 1000),
            Verifier.parse(signer.verifier_key),
            directory,
            clock,
            refresh_s=limits.refresh_s,
        )
    return Integrator(
        journal,
        directory,
        settings.log.origin,
        signer,
        clock,
        # A pass may wait for two rounds of witnesses; the lease must outlast them.
        lease_s=_LEASE_S + 2 * -(-settings.witnesses.timeout_ms // 1000),
        witnesses=witnesses,
    )


def vouched(policy: TrustPolicy, note: bytes, vkey: str) -> tuple[int | None, tuple[str, ...]]:
    """Tell when the quorum had seen a checkpoint, and which witnesses cosigned it.

    Raises:
        AuditError: The checkpoint does not hold.
    """
    checkpoint = policy.open(note, Verifier.parse(vkey))
    return policy.quorum_time(checkpoint), policy.names(checkpoint)
