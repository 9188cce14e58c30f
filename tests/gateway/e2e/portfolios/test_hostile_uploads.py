"""Uploads that are malformed, hostile or too large: a clear refusal, and nothing kept."""

import base64

import grpc
import pyarrow as pa
import pytest
from pyarrow import flight

from arrow_flight import flight_pb2
from gateway.doors.flight import SERVICE
from tests.gateway.e2e.portfolios.uploading import COMMAND, act, ask, subjects_table, upload
from tests.gateway.e2e.serving import Member, Site, uscc
from tests.gateway.e2e.test_flight import (
    make_bank,
    refused_in_words,
)
from xinguan.v1 import exchange_pb2, types_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


STRING = pa.string()
GOOD = [uscc(600_000 + number) for number in range(6)]


class _Tagged(pa.ExtensionType):
    """Text of another kind."""

    def __init__(self) -> None:
        super().__init__(STRING, "xinguan.test")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""


def _hostile() -> dict[str, tuple[pa.Table, str]]:
    subject = pa.array(GOOD, STRING)
    extension = pa.ExtensionArray.from_storage(_Tagged(), subject)
    wrong_schema = "columns are"
    wrong_type = "of type string"
    return {
        "extra": (pa.table({"subject": subject, "phone": subject}), wrong_schema),
        "missing": (pa.table({"uscc": subject}), wrong_schema),
        "twice": (pa.Table.from_arrays([subject, subject], ["subject", "subject"]), wrong_schema),
        "dictionary": (pa.table({"subject": subject.dictionary_encode()}), wrong_type),
        "large": (pa.table({"subject": subject.cast(pa.large_string())}), wrong_type),
        "nested": (pa.table({"subject": pa.array([[x] for x in GOOD])}), wrong_type),
        "extension": (pa.table({"subject": extension}), wrong_type),
        "number": (pa.table({"subject": pa.array([1, 2])}), wrong_type),
        "null": (subjects_table([*GOOD[:2], None]), "row 3 has no subject"),
        "malformed": (subjects_table([*GOOD[:3], GOOD[3][:-1] + "I"]), "row 4 has a malformed"),
        "repeated": (subjects_table([*GOOD, GOOD[2]]), "row 7 repeats the subject of row 3"),
        "empty": (subjects_table([]), "no rows"),
        "late": (
            pa.table({"subject": subject[:1], "observed_on": pa.array([60_000], pa.date32())}),
            "row 1 has a date",
        ),
        "consent": (
            pa.table({"subject": subject[:2], "consent": pa.array([None, "a b"], STRING)}),
            "row 2 has a malformed consent",
        ),
        "metadata": (
            subjects_table(GOOD).replace_schema_metadata({"x": "y" * 40_000}),
            "not a schema",
        ),
    }


@pytest.mark.parametrize("name", sorted(_hostile()))
async def test_hostile_uploads(wide, bank, name):
    table, told = _hostile()[name]
    message = await refused_in_words(wide, upload(wide, bank.identity, table), "BAD_PORTFOLIO")
    assert told in message
    assert not any(subject in message for subject in GOOD)


def frames_of(table: pa.Table, **options) -> list[flight_pb2.FlightData]:
    """Return a table as frames of an upload, the descriptor on the first."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as out:
        out.write_table(table)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    frames = []
    for message in reader:
        frame = flight_pb2.FlightData(data_header=message.metadata.to_pybytes())
        frame.data_body = b"" if message.body is None else message.body.to_pybytes()
        frames.append(frame)
    frames[0].flight_descriptor.type = flight_pb2.FlightDescriptor.CMD
    frames[0].flight_descriptor.cmd = COMMAND
    return frames


async def put_frames(site: Site, who: Member, frames) -> list[flight_pb2.PutResult]:
    call = site.channel(who).stream_stream(
        f"/{SERVICE}/DoPut",
        flight_pb2.FlightData.SerializeToString,
        flight_pb2.PutResult.FromString,
    )
    return [result async for result in call(iter(frames))]


def _mutations() -> dict[str, list[flight_pb2.FlightData]]:
    good = frames_of(subjects_table(GOOD * 1))
    made = {
        "compressed": frames_of(subjects_table([uscc(n) for n in range(900)]), compression="zstd"),
        "a body cut short": [good[0], flight_pb2.FlightData(
            data_header=good[1].data_header, data_body=good[1].data_body[:-64])],
        "no body": [good[0], flight_pb2.FlightData(data_header=good[1].data_header)],
        "no schema": [flight_pb2.FlightData(
            flight_descriptor=good[0].flight_descriptor, data_header=good[1].data_header,
            data_body=good[1].data_body)],
        "two schemas": [good[0], flight_pb2.FlightData(data_header=good[0].data_header)],
        "no header": [good[0], flight_pb2.FlightData(data_body=b"x" * 100)],
        "garbage": [good[0], flight_pb2.FlightData(data_header=b"\xff" * 64, data_body=b"x" * 64)],
        "a long header": [good[0], flight_pb2.FlightData(data_header=bytes(70_000))],
        "schema alone": [good[0]],
    }  # fmt: skip
    offsets = bytearray(good[1].data_body)
    offsets[4:8] = (1 << 30).to_bytes(4, "little")
    made["offsets beyond the data"] = [good[0], flight_pb2.FlightData(
        data_header=good[1].data_header, data_body=bytes(offsets))]  # fmt: skip
    return made


@pytest.mark.parametrize("name", sorted(_mutations()))
async def test_frames_that_lie(wide, bank, name):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put_frames(wide, bank, _mutations()[name])
    assert caught.value.details().startswith("BAD_PORTFOLIO")
    reader = wide.desk.state.connect()
    query = "SELECT count(*) FROM portfolios WHERE party_id = ?"
    assert reader.execute(query, (bank.party_id,)).fetchone()[0] == 0
    reader.close()


async def test_every_flipped_byte_of_a_header_is_survived(wide, bank):
    good = frames_of(subjects_table(GOOD))
    for place in range(0, len(good[1].data_header), 3):
        header = bytearray(good[1].data_header)
        header[place] ^= 0xFF
        frame = flight_pb2.FlightData(data_header=bytes(header), data_body=good[1].data_body)
        code, result = "", None
        try:
            (result,) = await put_frames(wide, bank, [good[0], frame])
        except grpc.aio.AioRpcError as error:
            code = error.details().split(":")[0]
        assert code in {"", "BAD_PORTFOLIO", "BATCH_TOO_LARGE"}
        if result is not None:
            receipt = exchange_pb2.PortfolioReceipt.FromString(result.app_metadata)
            assert receipt.subjects == len(GOOD)
            await act(wide, bank.identity, "cancel", receipt.portfolio.encode())


async def test_an_upload_too_large(open_site):
    site = await open_site()
    bank = make_bank(site, pseudonymous=False)
    most = site.deployment.settings.limits.portfolio_bytes
    padding = flight_pb2.FlightData(app_metadata=bytes(3 << 20))
    good = frames_of(subjects_table(GOOD))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put_frames(site, bank, [good[0], *[padding] * (most // (3 << 20) + 1)])
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details().startswith("BATCH_TOO_LARGE")


async def test_persons_come_as_tokens_never_as_identity_numbers(wide, bank):
    command = exchange_pb2.PortfolioUpload(subject_kind=types_pb2.SUBJECT_KIND_NATURAL_PERSON)
    persons = flight.FlightDescriptor.for_command(command.SerializeToString())
    number = "11010519491231002X"
    call = upload(wide, bank.identity, subjects_table(["token-0001", number]), descriptor=persons)
    message = await refused_in_words(wide, call, "BAD_PORTFOLIO")
    assert "row 2" in message
    assert number not in message
    tokens = subjects_table([base64.b32encode(bytes([n]) * 10).decode() for n in range(12)])
    receipt = await upload(wide, bank.identity, tokens, descriptor=persons)
    call = ask(wide, bank.identity, receipt.portfolio)
    await refused_in_words(wide, call, "BAD_PORTFOLIO")  # another kind than the query's
