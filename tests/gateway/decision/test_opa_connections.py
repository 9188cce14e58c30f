"""A kept connection gives each question its own answer, whole, or a failure; never another's."""

import asyncio

import pytest

from gateway.decision import opa_connections
from gateway.decision.opa_connections import MAX_ANSWER_BYTES, Answer, AnswerError, Connections
from tests.gateway.decision.fake_opa import FakeOpa, answer_of
from tests.ports import free_port

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n'
)


def question(body=b"{}"):
    return b"POST /v0/data/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the instant is what these tests are about
            await asyncio.sleep(0)


@pytest.fixture
async def fake():
    async with FakeOpa() as server:
        yield server


@pytest.fixture
async def pool(fake):
    connections = Connections("127.0.0.1", fake.port)
    yield connections
    await connections.close()


async def echo(writer, body):
    writer.write(answer_of(body))


async def test_calls_one_after_another_share_a_connection(fake, pool):
    fake.behave = echo
    for number in range(5):
        answer = await pool.ask(question(b"%d" % number))
        assert answer == Answer(200, b"application/json", b"%d" % number)
    assert (fake.calls, fake.connections) == (5, 1)


@pytest.mark.parametrize("whole", [CHUNKED, answer_of(b'{"a": 1}')])
async def test_an_answer_may_come_in_pieces(fake, pool, whole):
    async def in_pieces(writer, body):
        size = int(body)
        for start in range(0, len(whole), size):
            writer.write(whole[start : start + size])
            await writer.drain()
            await asyncio.sleep(0.001)

    fake.behave = in_pieces
    for size in (b"1", b"7", b"64"):
        assert (await pool.ask(question(size))).body == b'{"a": 1}'
    assert fake.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        answer_of(b'{"result": 1}')[:-1],
        answer_of()[:20],
        CHUNKED[:-3],
        CHUNKED[:-30],
        b"HTTP/1.1 200 OK\r\n\r\n{}",  # no length: where it ends nobody can tell
        b"H",
    ],
)
async def test_an_answer_that_is_cut_short_is_no_answer(fake, pool, said):
    async def cut(writer, _body):
        writer.write(said)
        await writer.drain()
        writer.close()

    fake.behave = cut
    with pytest.raises(AnswerError):
        await pool.ask(question())
    assert fake.calls == 1  # something was answered, so it isn't asked again


@pytest.mark.parametrize(
    "said",
    [
        b"not HTTP at all\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}",
        b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        answer_of() + answer_of(),
        answer_of() + b"more",
        answer_of(more="Connection: close\r\n") + b"more",
    ],
)
async def test_what_is_not_one_http_answer_is_refused(fake, pool, said):
    fake.answer = said
    with pytest.raises(AnswerError):
        await pool.ask(question())
    fake.answer = answer_of(b"[]")
    assert (await pool.ask(question())).body == b"[]"
    assert fake.connections == 2  # the confused one is not used again


async def test_an_answer_over_the_limit_is_refused_and_one_below_is_not(fake, pool):
    head = len(answer_of(b"0" * 100_000)) - 100_000 + 1  # the length has seven digits
    fake.answer = answer_of(b"0" * (MAX_ANSWER_BYTES - head))
    assert len(fake.answer) == MAX_ANSWER_BYTES
    assert len((await pool.ask(question())).body) == MAX_ANSWER_BYTES - head
    fake.answer = answer_of(b"0" * (MAX_ANSWER_BYTES - head + 1))
    with pytest.raises(AnswerError):
        await pool.ask(question())


async def test_a_server_that_never_ends_its_answer_is_left(fake, pool):
    async def forever(writer, _body):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"0" * 0x1000 + b"\r\n")
            await writer.drain()

    fake.behave = forever
    with pytest.raises(AnswerError):
        await pool.ask(question())


async def test_a_server_that_closes_gets_a_new_connection_for_the_next_call(fake, pool):
    fake.answer = answer_of(more="Connection: close\r\n")
    for _ in range(3):
        await pool.ask(question())
    assert (fake.calls, fake.connections) == (3, 3)


async def test_a_connection_closed_between_calls_is_not_used(fake, pool):
    await pool.ask(question())
    fake.writers[0].close()
    await asyncio.sleep(0.05)
    assert (await pool.ask(question())).status == 200
    assert (fake.calls, fake.connections) == (2, 2)


async def test_a_connection_closed_under_the_question_is_asked_once_more(fake, pool):
    async def close_when_reused(writer, body):
        if fake.calls == 2:
            writer.close()
        else:
            await echo(writer, body)

    fake.behave = close_when_reused
    await pool.ask(question(b"1"))
    assert (await pool.ask(question(b"2"))).body == b"2"
    assert fake.bodies == [b"1", b"2", b"2"]


async def test_a_server_that_always_closes_is_not_asked_for_ever(fake, pool):
    await pool.ask(question())

    async def close(writer, _body):
        writer.close()

    fake.behave = close
    with pytest.raises(ConnectionResetError):
        await pool.ask(question())
    assert fake.calls == 3  # the kept connection, and one of its own
    with pytest.raises(ConnectionResetError):
        await pool.ask(question())
    assert fake.calls == 4


async def test_what_is_said_unasked_ends_the_connection(fake, pool):
    await pool.ask(question())
    fake.writers[0].write(answer_of(b'"not asked for"'))
    await asyncio.sleep(0.05)
    fake.answer = answer_of(b'"asked for"')
    assert (await pool.ask(question())).body == b'"asked for"'
    assert fake.connections == 2


async def test_the_late_answer_of_a_cancelled_call_is_nobodys(fake, pool):
    late = asyncio.Event()

    async def slow_at_first(writer, body):
        if body == b"first":
            await late.wait()
        await echo(writer, body)

    fake.behave = slow_at_first
    first = asyncio.create_task(pool.ask(question(b"first")))
    await until(lambda: fake.calls == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await asyncio.sleep(0.05)
    assert not pool._open
    late.set()
    for body in (b"second", b"third"):
        assert (await pool.ask(question(body))).body == body
    assert fake.connections == 2


async def test_a_call_cancelled_with_its_answer_in_hand_ends_the_connection(fake, pool):
    fake.behave = echo
    await pool.ask(question())  # the connection is open
    call = asyncio.create_task(pool.ask(question(b"taken")))
    (connection,) = pool._idle
    await until(lambda: connection._waiting is not None and connection._waiting.done())
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not pool._idle
    assert (await pool.ask(question(b"next"))).body == b"next"
    assert fake.connections == 2


async def test_half_an_answer_of_a_cancelled_call_is_nobodys_beginning(fake, pool):
    async def half(writer, body):
        writer.write(answer_of(body)[:-2] if body == b"first" else answer_of(body))

    fake.behave = half
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool.ask(question(b"first"))
    assert (await pool.ask(question(b"second"))).body == b"second"
    assert fake.connections == 2


async def test_calls_at_the_same_time_each_get_their_own_answer(fake, pool):
    async def the_last_first(writer, body):
        await asyncio.sleep(0.01 * (8 - int(body)))
        await echo(writer, body)

    fake.behave = the_last_first
    bodies = [b"%d" % n for n in range(8)]
    for _ in range(3):
        answers = await asyncio.gather(*(pool.ask(question(body)) for body in bodies))
        assert [answer.body for answer in answers] == bodies
    assert fake.connections == 8


async def test_there_are_only_so_many_connections(fake, monkeypatch):
    monkeypatch.setattr(opa_connections, "_MOST_CONNECTIONS", 2)
    pool = Connections("127.0.0.1", fake.port)
    fake.behave = echo
    bodies = [b"%d" % n for n in range(20)]
    answers = await asyncio.gather(*(pool.ask(question(body)) for body in bodies))
    assert [answer.body for answer in answers] == bodies
    assert fake.connections == 2
    await pool.close()


async def test_a_closed_pool_answers_nobody(fake, pool):
    held = asyncio.Event()

    async def hold(_writer, _body):
        await held.wait()

    await pool.ask(question())
    fake.behave = hold
    waiting = asyncio.create_task(pool.ask(question()))
    await until(lambda: fake.calls == 2)
    await pool.close()
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await pool.ask(question())
    await asyncio.sleep(0.05)
    assert (fake.calls, fake.connections) == (2, 1)
    held.set()


async def test_a_connection_that_ends_as_soon_as_it_is_made(fake, pool):
    connection = await pool._connect()
    await until(lambda: fake.connections == 1)
    fake.writers[0].close()
    await connection.ended
    with pytest.raises(ConnectionResetError):
        await connection.ask(question())


async def test_nobody_there():
    pool = Connections("127.0.0.1", free_port())
    with pytest.raises(OSError):
        await pool.ask(question())
    await pool.close()
