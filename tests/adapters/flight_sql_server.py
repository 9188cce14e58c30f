"""A small Flight SQL server for tests: the protocol's statements, answered by DuckDB.

It implements what a client of tables needs: statements and prepared statements with bound
parameters, their schemas, and streams. `break_after` lets a stream end with an error half way;
`let` is asked before each batch, and may keep it waiting. What it was asked is kept in `asked`.
"""

import itertools

import duckdb
from pyarrow import flight

_PREFIX = b"type.googleapis.com/arrow.flight.protocol.sql."


def fields(message):
    """Return the length-delimited fields of a protobuf message, by number."""
    found, place = {}, 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            found[tag >> 3] = bytes(message[place : place + size])
            place += size
        else:
            assert tag & 7 == 0
            varint()
    return found


def message(**parts):
    """Return a protobuf message of length-delimited fields, given as `_1=b"..."`."""
    whole = b""
    for name, content in parts.items():
        size, length = len(content), b""
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        whole += bytes([int(name[1:]) << 3 | 2]) + length + bytes([size]) + content
    return whole


def packed(kind, content):
    return message(_1=_PREFIX + kind, _2=content)


def unpacked(content):
    whole = fields(content)
    return whole[1].removeprefix(_PREFIX).decode(), fields(whole.get(2, b""))


class FlightSqlServer(flight.FlightServerBase):
    def __init__(self, token="", **words):
        checks = {"token": _TokenCheck(token)} if token else {}
        super().__init__("grpc://127.0.0.1:0", middleware=checks, **words)
        self.database = duckdb.connect(":memory:")
        self.prepared = {}
        self.numbers = itertools.count()
        self.asked = []
        self.streams = 0
        self.break_after = None
        self.let = lambda number: None
        self.batch_rows = 100

    @property
    def address(self):
        return f"grpc+tcp://127.0.0.1:{self.port}"

    def _run(self, cursor, sql, params):
        self.asked.append((sql, params))
        try:
            return cursor.sql(sql, params=params or None).to_arrow_reader(self.batch_rows)
        except duckdb.Error as error:
            raise flight.FlightServerError(f"secret detail: {sql} {error}") from None

    def _schema(self, sql):
        marks = sql.count("?")
        kinds = "NULL," * marks
        with self.database.cursor() as cursor:
            return self._run(cursor, sql, [None] * marks if kinds else None).schema

    def _statement(self, kind, parts):
        if kind in ("CommandStatementQuery", "TicketStatementQuery"):
            return parts[1].decode(), None
        if kind == "CommandPreparedStatementQuery":
            return self.prepared[parts[1]]
        raise flight.FlightServerError(f"{kind} is not supported")

    def get_schema(self, context, descriptor):
        sql, _ = self._statement(*unpacked(descriptor.command))
        return flight.SchemaResult(self._schema(sql))

    def get_flight_info(self, context, descriptor):
        kind, parts = unpacked(descriptor.command)
        sql, _ = self._statement(kind, parts)
        ticket = descriptor.command
        if kind == "CommandStatementQuery":
            ticket = packed(b"TicketStatementQuery", message(_1=parts[1]))
        endpoint = flight.FlightEndpoint(ticket, [])
        return flight.FlightInfo(self._schema(sql), descriptor, [endpoint], -1, -1)

    def do_action(self, context, action):
        content = action.body.to_pybytes()
        if action.type == "CreatePreparedStatement":
            _, parts = unpacked(content)
            handle = b"p%d" % next(self.numbers)
            sql = parts[1].decode()
            self.prepared[handle] = (sql, None)
            schema = self._schema(sql).serialize().to_pybytes()
            made = message(_1=handle, _2=schema)
            return [packed(b"ActionCreatePreparedStatementResult", made)]
        if action.type == "ClosePreparedStatement":
            _, parts = unpacked(content)
            self.prepared.pop(parts[1], None)
            return []
        raise NotImplementedError(action.type)

    def do_put(self, context, descriptor, reader, writer):
        _, parts = unpacked(descriptor.command)
        sql, _ = self.prepared[parts[1]]
        rows = [list(row.values()) for row in reader.read_all().to_pylist()]
        assert len(rows) == 1
        self.prepared[parts[1]] = (sql, rows[0])

    def do_get(self, context, ticket):
        sql, params = self._statement(*unpacked(ticket.ticket))
        cursor = self.database.cursor()
        reader = self._run(cursor, sql, params)
        return flight.GeneratorStream(reader.schema, self._batches(context, cursor, reader))

    def _batches(self, context, cursor, reader):
        self.streams += 1
        try:
            for number, batch in enumerate(reader):
                if number == self.break_after:
                    raise flight.FlightServerError("secret detail: 示例 records.db 127.0.0.1")
                self.let(number)
                if context.is_cancelled():
                    return
                yield batch
        finally:
            self.streams -= 1
            cursor.close()

    def put(self, table):
        self.database.register("incoming", table)
        self.database.execute('CREATE OR REPLACE TABLE "records" AS SELECT * FROM incoming')
        self.database.unregister("incoming")

    def close(self):
        self.shutdown()
        self.database.close()


class _TokenCheck(flight.ServerMiddlewareFactory):
    def __init__(self, token):
        self.token = token

    def start_call(self, info, headers):
        if headers.get("authorization") != [self.token]:
            raise flight.FlightUnauthenticatedError("who are you")
