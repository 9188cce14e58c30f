"""Answers encrypted end to end: only their addressee opens them, and evidence stays as it was."""

import base64
import hashlib
import json

import grpc
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OKPKey

from arrow_flight import flight_pb2, flight_pb2_grpc
from gateway.demo.cast import PARTNER
from gateway.demo.stage import COMPANIES
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError
from gateway.identity.keyfiles import new_document_key
from gateway.registry import document_keys, encryption_keys
from gateway.registry.documents import sign
from gateway.registry.encryption_keys import KEY_TYPE, EncryptionKeyClaims, PublicJwk
from tests.gateway.e2e.abroad import AS_PARTNER, partner
from tests.gateway.e2e.serving import Member, Site
from tests.gateway.e2e.wire import read_details, refused
from xinguan.client import Answer, DecryptionKey, SealedAnswerError

pytestmark = pytest.mark.asyncio(loop_scope="session")

ASKED = ("uscc", "name", "reg_status")
KEYS = {
    "P-256": ECKey.generate_key("P-256"),
    "P-384": ECKey.generate_key("P-384"),
    "X25519": OKPKey.generate_key("X25519"),
}


def pair(kind: str = "P-256") -> DecryptionKey:
    return DecryptionKey(json.dumps(KEYS[kind].as_dict(private=True)))


async def recipient(site: Site, key: DecryptionKey, **claims) -> Member:
    member = partner(site, ASKED, COMPANIES, **claims)
    signing = new_document_key()
    site.desk.run(document_keys.register, member.party_id, signing.public_key())
    claim = EncryptionKeyClaims(
        party_id=member.party_id,
        jwk=PublicJwk.model_validate_json(key.public_jwk()),
        issued_at=site.desk.act.now,
    )
    registered = site.desk.run(encryption_keys.register_signed, sign(claim, signing, KEY_TYPE))
    entry = site.entry(registered.index)
    assert (entry["kind"], entry["purpose"]) == ("key_changed", "encryption")
    assert entry["key"] == registered.key_id
    return member


@pytest.fixture(autouse=True)
def fresh_keys(monkeypatch):
    """A key is one party's: each test has its own."""
    monkeypatch.setitem(KEYS, "P-256", ECKey.generate_key("P-256"))
    monkeypatch.setitem(KEYS, "P-384", ECKey.generate_key("P-384"))
    monkeypatch.setitem(KEYS, "X25519", OKPKey.generate_key("X25519"))


@pytest.mark.parametrize("kind", sorted(KEYS))
@pytest.mark.parametrize("encoding", ["ARROW_IPC", "ROWS"])
async def test_the_addressee_reads_what_everybody_else_sees_sealed(site, kind, encoding):
    key = pair(kind)
    member = await recipient(site, key)
    words = AS_PARTNER | {"encoding": encoding}
    clear = Answer(await site.query(member, COMPANIES, ASKED, **words))
    messages = await site.query(member, COMPANIES, ASKED, sealed=True, **words)
    (batch,) = [message.batch for message in messages if message.HasField("batch")]
    assert (batch.arrow_ipc, batch.arrow_schema, len(batch.typed_rows)) == (b"", b"", 0)
    told = b"".join(message.SerializeToString() for message in messages)
    assert batch.rows == 1
    subject = site.population.sample[3].encode()
    assert all(subject not in message.SerializeToString() for message in messages)
    opened = Answer(messages, key)
    assert opened.rows() == clear.rows()
    if encoding == "ARROW_IPC":
        # The evidence is of the records themselves, whoever can read them.
        digest = hashlib.sha256(opened.batches[0].arrow_ipc).digest()
        assert opened.batches[0].digest == digest
        # Nobody on the way finds by it whether his guess of the few values is right.
        assert digest not in told
    header = json.loads(jwe_part(batch.jwe))
    assert (header["alg"], header["enc"]) == ("ECDH-ES+A256KW", "A256GCM")


def jwe_part(compact: str) -> bytes:
    first = compact.split(".", maxsplit=1)[0]
    return base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))


async def test_the_client_asks_and_opens(site):
    key = pair()
    member = await recipient(site, key)
    async with site.client(member, decryption_key=key) as client:
        answer = await client.query(
            COMPANIES, ASKED, subjects=[site.population.sample[3]], operator="o",
            case_reference="c", sealed=True, **AS_PARTNER,
        )  # fmt: skip
    assert answer.rows()[0]["uscc"] == site.population.sample[3]


async def test_a_wrong_key_no_key_and_an_altered_answer_open_nothing(site):
    key = pair()
    member = await recipient(site, key)
    messages = await site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER)
    others = await site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER)
    for wrong in (DecryptionKey.generate(), None):
        with pytest.raises(SealedAnswerError):
            Answer(messages, wrong)
    (batch,) = [message.batch for message in messages if message.HasField("batch")]
    sealed = batch.jwe
    for part in range(5):
        pieces = sealed.split(".")
        middle = len(pieces[part]) // 2
        swapped = "A" if pieces[part][middle] != "A" else "B"
        pieces[part] = pieces[part][:middle] + swapped + pieces[part][middle + 1 :]
        batch.jwe = ".".join(pieces)
        with pytest.raises(SealedAnswerError):
            Answer(messages, key)
    batch.jwe = next(m.batch.jwe for m in others if m.HasField("batch"))  # of another request
    with pytest.raises(SealedAnswerError):
        Answer(messages, key)
    batch.jwe = sealed
    batch.digest = b"\0" * 32  # outside it counts for nothing
    (opened,) = Answer(messages, key).batches
    assert opened.digest == hashlib.sha256(opened.arrow_ipc).digest()


async def test_a_licence_demands_it_and_without_a_key_nothing_is_read(site):
    member = partner(site, ASKED, COMPANIES, sealed_answers=True)
    call = site.query(member, COMPANIES, ASKED, **AS_PARTNER)
    await refused(site, call, "ENCRYPTION_KEY_MISSING", "PERMISSION_DENIED")
    key = pair()
    added = site.desk.run(encryption_keys.register, member.party_id, key.public_jwk())
    messages = await site.query(member, COMPANIES, ASKED, **AS_PARTNER)
    assert Answer(messages, key).rows()
    with pytest.raises(SealedAnswerError):
        Answer(messages)
    site.desk.run(encryption_keys.revoke, added.key_id)
    call = site.query(member, COMPANIES, ASKED, **AS_PARTNER)
    await refused(site, call, "ENCRYPTION_KEY_MISSING", "PERMISSION_DENIED")


async def test_what_has_to_be_encrypted_never_leaves_over_flight(site):
    member = await recipient(site, pair(), sealed_answers=True)
    query = site.build(member, COMPANIES, ASKED, **AS_PARTNER)
    stub = flight_pb2_grpc.FlightServiceStub(site.channel(member))
    call = stub.GetFlightInfo(
        flight_pb2.FlightDescriptor(
            type=flight_pb2.FlightDescriptor.CMD, cmd=query.SerializeToString()
        )
    )
    await refused(site, call, "SEALED_BY_QUERY_ONLY", "PERMISSION_DENIED")


async def test_the_newest_key_counts_and_a_bank_at_home_may_want_it_too(site):
    old, new = pair("P-256"), pair("X25519")
    member = await recipient(site, old)
    site.desk.run(encryption_keys.register, member.party_id, new.public_jwk())
    messages = await site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER)
    assert Answer(messages, new).rows()
    with pytest.raises(SealedAnswerError):
        Answer(messages, old)
    agency = site.desk.enrol()
    home = pair("P-384")
    site.desk.run(encryption_keys.register, agency.party_id, home.public_jwk())
    assert Answer(await site.query(agency, sealed=True), home).rows()


async def test_a_key_revoked_while_an_answer_is_made_has_nothing_encrypted_to_it(site, monkeypatch):
    old, new = pair("P-256"), pair("X25519")
    member = await recipient(site, old)
    (lost,) = [
        key
        for key in site.world.registry.view().encryption_keys.values()
        if key.party_id == member.party_id
    ]
    evidence = site.world.evidence
    real = evidence.intent

    async def intent(*words, **more):
        done = await real(*words, **more)
        monkeypatch.undo()
        site.desk.run(encryption_keys.revoke, lost.key_id)
        site.desk.run(encryption_keys.register, member.party_id, new.public_jwk())
        return done

    monkeypatch.setattr(evidence, "intent", intent)
    call = site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert read_details(caught.value)[0].reason == "LICENCE_CHANGED"
    assert Answer(await site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER), new).rows()


async def test_keys_that_are_refused(site):
    run, key = site.desk.run, pair()
    party_id = PARTNER.party_id
    private = key.private_jwk()
    small_order = json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43})
    for bad in (
        private,
        small_order,
        "{}",
        "no json",
        '{"kty":"oct","k":"AAAA"}',
        '{"kty":"EC","crv":"P-256"}',
    ):
        with pytest.raises(InvalidRequestError) as caught:
            run(encryption_keys.register, party_id, bad)
        assert caught.value.code == "BAD_KEY"
    signing, member = new_document_key(), site.desk.enrol(kind=None)
    run(document_keys.register, member.party_id, signing.public_key())
    claim = EncryptionKeyClaims(
        party_id=party_id, jwk=PublicJwk.model_validate_json(key.public_jwk()), issued_at=1
    )
    with pytest.raises(DeniedError):
        run(encryption_keys.register_signed, sign(claim, signing, KEY_TYPE))
    run(encryption_keys.register, member.party_id, key.public_jwk())
    with pytest.raises(ConflictError):
        run(encryption_keys.register, party_id, key.public_jwk())
    with pytest.raises(SealedAnswerError):
        DecryptionKey(key.public_jwk())


async def test_another_jose_library_s_form_is_the_same(site):
    """What is sent is a plain compact JWE: the library opens it without a helper of ours."""
    key = pair()
    member = await recipient(site, key)
    messages = await site.query(member, COMPANIES, ASKED, sealed=True, **AS_PARTNER)
    (batch,) = [message.batch for message in messages if message.HasField("batch")]
    registry = jwe.JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
    opened = jwe.decrypt_compact(batch.jwe, KEYS["P-256"], registry=registry)
    assert messages[0].decision.request_id.encode() in opened.plaintext
