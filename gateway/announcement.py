"""What a node says in the log before it opens its port: itself, its policy, its contracts.

Later entries refer to these by index, so that an auditor can name who published a field, who
activated a policy, and which node released.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from audit import acts
from audit.journal import Transaction
from gateway.config import Settings
from gateway.decision.bundle import Bundle
from gateway.decision.keeping import is_kept, keep, wasm_digest
from gateway.domain.facts import Hop
from gateway.domain.product import Product
from gateway.registry import policy_approvals
from gateway.store.state import State


@dataclass(frozen=True, slots=True)
class Announced:
    """The hops that deliveries of this run refer to (R80).

    Args:
        transmitter: Who runs this node, since which entry; None when the settings name nobody.
        managers: Product name to who manages it, since which entry.
        policy: Index of the entry that activated the policy in force.
    """

    transmitter: Hop | None
    managers: Mapping[str, Hop]
    policy: int


async def announce_start(
    state: State,
    settings: Settings,
    products: Mapping[str, Product],
    bundle: Bundle,
    now: int,
    *,
    trust: bytes | None = None,
) -> Announced:
    """Log that the node starts, and whatever of policy and contracts is new; return the hops.

    Args:
        state: The open state.
        settings: The deployment's settings.
        products: The catalogue.
        bundle: The verified policy bundle.
        now: Unix seconds.
        trust: SHA-256 of the trust policy that names the log's witnesses, if there is one.
    """

    def job(tx: Transaction) -> Announced:
        index = _start(tx, settings, bundle, now, trust)
        policy = _activate_policy(tx, settings, bundle, now)
        managers = {
            name: Hop(product.manager_uscc, settings.node, *_publish(tx, settings, product, now))
            for name, product in products.items()
        }
        operator = settings.operator
        transmitter = Hop(operator, settings.node, now, index) if operator else None
        return Announced(transmitter, managers, policy)

    return await state.submit(job)


async def announce_stop(state: State, node: str, now: int) -> None:
    """Log that the node stops in order."""
    await state.submit(
        lambda tx: tx.append(acts.node_stopped(time=now, node=node, reason="operator"))
    )


def _start(
    tx: Transaction, settings: Settings, bundle: Bundle, now: int, trust: bytes | None
) -> int:
    entry = acts.node_started(
        time=now,
        node=settings.node,
        operator=settings.operator,
        version=version("xinguan"),
        bundle=bundle.digest,
        config=hashlib.sha256(settings.model_dump_json().encode()).hexdigest(),
        trust=trust,
        registration=_registration(tx, settings.operator),
    )
    return tx.append(entry).index


def _registration(tx: Transaction, party_id: str) -> int | None:
    row = tx.execute("SELECT log_index FROM parties WHERE party_id = ?", (party_id,)).fetchone()
    return None if row is None else int(row[0])


def _activate_policy(tx: Transaction, settings: Settings, bundle: Bundle, now: int) -> int:
    """Keep a bundle and log it once; return where. The newest activation is in force.

    A compiled form that was never told of is told by a new activation, also of the same bundle.
    """
    newest = tx.execute(
        "SELECT digest, log_index FROM policy_activations ORDER BY log_index DESC LIMIT 1"
    ).fetchone()
    told = is_kept(tx, wasm_digest(bundle))
    keep(tx, bundle)
    if newest is not None and newest[0] == bundle.digest and told:
        return int(newest[1])
    entry = acts.policy_activated(
        time=now,
        node=settings.node,
        actor=settings.operator or settings.node,
        bundle=bundle.digest,
        sources=bundle.revision,
        revision=bundle.revision[:16],
        wasm=wasm_digest(bundle),
        approvals=policy_approvals.given(tx, bundle.digest),
    )
    index = tx.append(entry).index
    tx.execute("INSERT INTO policy_activations VALUES (?, ?)", (index, bundle.digest))
    tx.execute(
        "INSERT INTO policy_compiled (log_index, bundle, compiled) VALUES (?, ?, ?)",
        (index, bundle.digest, wasm_digest(bundle)),
    )
    return index


def _publish(tx: Transaction, settings: Settings, product: Product, now: int) -> tuple[int, int]:
    """Log a contract once; return when and where it was published."""
    known = tx.execute(
        "SELECT published_at, log_index FROM published_contracts WHERE product = ? AND digest = ?",
        (product.name, product.digest),
    ).fetchone()
    if known is not None:
        return int(known[0]), int(known[1])
    entry = acts.contract_published(
        time=now,
        node=settings.node,
        actor=settings.operator or settings.node,
        product=product.name,
        version=product.version,
        contract=product.digest,
        managers=[product.manager_uscc],
    )
    index = tx.append(entry).index
    tx.execute(
        "INSERT INTO published_contracts VALUES (?, ?, ?, ?)",
        (product.name, product.digest, now, index),
    )
    return now, index
