"""Entries of acts that concern the node itself: keys, policy, contracts, snapshots, stops.

Later entries refer to these by index; together they are the chain of responsibility.
"""

from collections.abc import Sequence

from audit.entry_form import Digest, Entry, digest_text, make_entry, optional


def log_opened(*, time: int, node: str, origin: str, vkey: str) -> Entry:
    """Say that a log was opened; its first entry.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        origin: Origin line of the log.
        vkey: Verifier key of its checkpoints.
    """
    return make_entry("log_opened", time, node, origin=origin, vkey=vkey)


def node_started(
    *,
    time: int,
    node: str,
    operator: str,
    version: str,
    bundle: Digest,
    config: Digest,
    trust: Digest | None = None,
    registration: int | None = None,
) -> Entry:
    """Say that a node began to serve.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        operator: Party that runs it.
        version: Version of the program.
        bundle: Digest of the policy bundle it decides with.
        config: Digest of its settings, without secrets.
        trust: Digest of the trust policy that names its log's witnesses; None for an
            unwitnessed log.
        registration: Index of the entry that registered the operator.
    """
    return make_entry(
        "node_started",
        time,
        node,
        operator=operator,
        version=version,
        bundle=digest_text(bundle),
        config=digest_text(config),
        **({} if trust is None else {"trust": digest_text(trust)}),
        **optional(registration=registration),
    )


def node_stopped(*, time: int, node: str, reason: str) -> Entry:
    """Say that a node stopped in order; a crash leaves none.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        reason: Why: `signal`, `operator`, or a reason code.
    """
    return make_entry("node_stopped", time, node, reason=reason)


def key_changed(
    *, time: int, node: str, actor: str, party: str, purpose: str, key: str, status: str
) -> Entry:
    """Say that a key was trusted, replaced or withdrawn.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who did it, a party id or `console`.
        party: Whose key it is.
        purpose: What it is for: `authority`, `document`, `log`, `request`, `encryption`.
        key: Key id.
        status: Its status from now on.
    """
    return make_entry(
        "key_changed", time, node, actor=actor, party=party, purpose=purpose, key=key, status=status
    )


def policy_activated(
    *,
    time: int,
    node: str,
    actor: str,
    bundle: Digest,
    sources: Digest,
    revision: str,
    wasm: Digest | None = None,
    approvals: Sequence[int] = (),
) -> Entry:
    """Say that a policy bundle decides from now on.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who activated it.
        bundle: Digest of the bundle.
        sources: Digest of its sources.
        revision: Its revision, for people.
        wasm: Digest of the compiled policy that the embedded engine runs.
        approvals: Indexes of the approvals of this bundle.
    """
    return make_entry(
        "policy_activated",
        time,
        node,
        actor=actor,
        bundle=digest_text(bundle),
        sources=digest_text(sources),
        revision=revision,
        **({} if wasm is None else {"wasm": digest_text(wasm)}),
        **({"approvals": list(approvals)} if approvals else {}),
    )


def policy_approved(
    *, time: int, node: str, actor: str, role: str, bundle: Digest, signer: str, document: Digest
) -> Entry:
    """Say that somebody approved a policy bundle, by a signed document.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Organisation that approved it.
        role: Role in which it was approved.
        bundle: Digest of the bundle.
        signer: Key id of the approver's key.
        document: Digest of the signed approval.
    """
    return make_entry(
        "policy_approved",
        time,
        node,
        actor=actor,
        role=role,
        bundle=digest_text(bundle),
        signer=signer,
        document=digest_text(document),
    )


def contract_published(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    version: str,
    contract: Digest,
    managers: Sequence[str],
) -> Entry:
    """Say that a product's contract holds from now on.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who published it.
        product: Name of the product.
        version: Version of the contract.
        contract: Digest of the contract.
        managers: Providing units (who manages), party ids.
    """
    return make_entry(
        "contract_published",
        time,
        node,
        actor=actor,
        product=product,
        version=version,
        contract=digest_text(contract),
        managers=list(managers),
    )


def snapshot_admitted(
    *,
    time: int,
    node: str,
    actor: str,
    product: str,
    snapshot: Digest,
    contract: Digest,
    as_of: int,
    rows: int,
    quarantined: int,
) -> Entry:
    """Say that records were admitted as a snapshot.

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who admitted it.
        product: Name of the product.
        snapshot: Digest of the snapshot.
        contract: Digest of the contract.
        as_of: Unix seconds of the source's state.
        rows: Rows admitted.
        quarantined: Rows kept out.
    """
    return make_entry(
        "snapshot_admitted",
        time,
        node,
        actor=actor,
        product=product,
        snapshot=digest_text(snapshot),
        contract=digest_text(contract),
        as_of=as_of,
        rows=rows,
        quarantined=quarantined,
    )


def stop_ordered(*, time: int, node: str, actor: str, scope: str, reason: str = "") -> Entry:
    """Say that an emergency stop holds (R87).

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who ordered it.
        scope: What is stopped, in canonical form.
        reason: Why, as stated; it names nobody.
    """
    members = {"reason": reason} if reason else {}
    return make_entry("stop_ordered", time, node, actor=actor, scope=scope, **members)


def stop_lifted(*, time: int, node: str, actor: str, scope: str, reason: str = "") -> Entry:
    """Say that an emergency stop was lifted (R87).

    Args:
        time: Unix seconds.
        node: Name of the node that writes it.
        actor: Who lifted it.
        scope: What was stopped.
        reason: Why, as stated; it names nobody.
    """
    members = {"reason": reason} if reason else {}
    return make_entry("stop_lifted", time, node, actor=actor, scope=scope, **members)
