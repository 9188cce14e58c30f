"""The door of `AdminService`: acts of administration, each idempotent and in the log."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.journal import Appended, Transaction
from gateway.domain.errors import DeniedError, InvalidRequestError
from gateway.domain.party import Caller
from gateway.doors.duties import Duty, require
from gateway.doors.encoding import promise_message
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.registry import consents, idempotency, licences, stops
from gateway.registry.act import Act, stated_reason
from gateway.release.world import World
from gateway.store.state import State
from xinguan.v1 import admin_pb2, admin_pb2_grpc, types_pb2

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method


class KeyedRequest(Protocol):
    """A request of this service: every one has an idempotency key."""

    idempotency_key: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes:
        """Return its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class AdminKeys:
    """What acts are verified with.

    Args:
        authority: Key id to the authority's public key, or None.
        consent: Keys for consent documents.
        catalogue: Product name to its field names, for checking grants.
    """

    authority: Callable[[str], Ed25519PublicKey | None]
    consent: consents.ConsentKeys
    catalogue: Mapping[str, frozenset[str]]


class AdminDoor(admin_pb2_grpc.AdminServiceServicer):
    """Serves the authority, consent issuers and administrators."""

    def __init__(
        self, state: State, world: World, law: LawTexts, keys: AdminKeys, *, window_s: int
    ) -> None:
        """Take the state that the acts change, and the keys that verify them."""
        self._state = state
        self._world = world
        self._law = law
        self._keys = keys
        self._window_s = window_s

    async def ActivateLicence(
        self, request: admin_pb2.ActivateLicenceRequest, context: _Context
    ) -> admin_pb2.ActivateLicenceResponse:
        """Put a licence document into effect."""

        def job(tx: Transaction, act: Act) -> dict[str, Any]:
            licence = licences.activate(
                tx,
                request.document,
                act,
                authority_key=self._keys.authority,
                catalogue=self._keys.catalogue,
            )
            return {"index": licence.index, "licence_id": licence.licence_id}

        done = await self._do(request, context, Duty.LICENCE, job)
        return admin_pb2.ActivateLicenceResponse(
            entry=self._promise(done), licence_id=done["licence_id"]
        )

    async def SetLicenceStatus(
        self, request: admin_pb2.SetLicenceStatusRequest, context: _Context
    ) -> admin_pb2.SetLicenceStatusResponse:
        """Suspend, resume or revoke a licence."""
        acts = {
            "SUSPENDED": licences.suspend, "ACTIVE": licences.resume, "REVOKED": licences.revoke
        }  # fmt: skip

        def job(tx: Transaction, act: Act) -> dict[str, Any]:
            change = acts.get(request.status)
            if change is None:
                raise InvalidRequestError("BAD_REQUEST", "ACTIVE, SUSPENDED or REVOKED")
            return {"index": change(tx, request.licence_id, act).status_index}

        done = await self._do(request, context, Duty.LICENCE, job)
        return admin_pb2.SetLicenceStatusResponse(entry=self._promise(done))

    async def RegisterConsent(
        self, request: admin_pb2.RegisterConsentRequest, context: _Context
    ) -> admin_pb2.RegisterConsentResponse:
        """Put a consent document into effect."""

        def job(tx: Transaction, act: Act) -> dict[str, Any]:
            consent = consents.register(tx, request.document, act, self._keys.consent)
            if consent.issuer != act.actor:
                raise DeniedError("ROLE_FORBIDDEN", "the document is another issuer's")
            return {"index": consent.index, "consent_id": consent.consent_id}

        done = await self._do(request, context, Duty.REGISTER_CONSENT, job)
        return admin_pb2.RegisterConsentResponse(
            entry=self._promise(done), consent_id=done["consent_id"]
        )

    async def WithdrawConsent(
        self, request: admin_pb2.WithdrawConsentRequest, context: _Context
    ) -> admin_pb2.WithdrawConsentResponse:
        """End a consent."""

        def job(tx: Transaction, act: Act) -> dict[str, Any]:
            if consents.find(tx, request.consent_id).issuer != act.actor:
                raise DeniedError("ROLE_FORBIDDEN", "the consent is another issuer's")
            return {"index": consents.withdraw(tx, request.consent_id, act).index}

        done = await self._do(request, context, Duty.WITHDRAW_CONSENT, job)
        return admin_pb2.WithdrawConsentResponse(entry=self._promise(done))

    async def StopEgress(
        self, request: admin_pb2.StopEgressRequest, context: _Context
    ) -> admin_pb2.StopEgressResponse:
        """Stop egress (R87)."""
        done = await self._do(
            request,
            context,
            Duty.STOP,
            lambda tx, act: {"index": stops.order(tx, request.scope, act).index},
        )
        return admin_pb2.StopEgressResponse(entry=self._promise(done))

    async def ResumeEgress(
        self, request: admin_pb2.ResumeEgressRequest, context: _Context
    ) -> admin_pb2.ResumeEgressResponse:
        """Lift a stop."""
        done = await self._do(
            request,
            context,
            Duty.STOP,
            lambda tx, act: {"index": stops.lift(tx, request.scope, act).index},
        )
        return admin_pb2.ResumeEgressResponse(entry=self._promise(done))

    async def _do(
        self,
        request: KeyedRequest,
        context: _Context,
        duty: Duty,
        job: Callable[[Transaction, Act], dict[str, Any]],
    ) -> dict[str, Any]:
        """Do an act once under its key; a replay gets the first outcome."""
        try:
            now = self._world.clock_ms() // 1000
            caller = identify(peer_certificate(context), self._world.registry.view(), now)
            require(caller, duty)
            reason = stated_reason(getattr(request, "reason", ""))
            act = Act(now, self._world.node.name, caller.party.party_id, reason)
            wanted = _claim(request, caller, now, self._window_s)
            done, _ = await self._state.submit(
                lambda tx: idempotency.once(tx, wanted, lambda inner: _with_leaf(inner, job, act))
            )
            return dict(done)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    def _promise(self, done: Mapping[str, Any]) -> types_pb2.Promise:
        appended = Appended(int(done["index"]), bytes.fromhex(done["leaf_hash"]), b"")
        return promise_message(self._world.evidence.promise(appended))


def _with_leaf(
    tx: Transaction, job: Callable[[Transaction, Act], dict[str, Any]], act: Act
) -> dict[str, Any]:
    """Do an act and add the leaf hash of its entry, so that a replay gets the same promise."""
    done = job(tx, act)
    row = tx.execute(
        "SELECT leaf_hash FROM audit_entry WHERE position = ?", (done["index"] + 1,)
    ).fetchone()
    return done | {"leaf_hash": row[0].hex()}


def _claim(request: KeyedRequest, caller: Caller, now: int, window_s: int) -> idempotency.Claim:
    if not 8 <= len(request.idempotency_key) <= 64:  # noqa: PLR2004 - the contract's limits
        raise InvalidRequestError("BAD_REQUEST", "the idempotency key has 8 to 64 characters")
    digest = hashlib.sha256(
        type(request).__name__.encode() + b"\0" + request.SerializeToString(deterministic=True)
    ).hexdigest()
    return idempotency.Claim(
        party_id=caller.party.party_id,
        key=request.idempotency_key,
        request_digest=digest,
        request_id="",
        now=now,
        window_s=window_s,
    )
