"""The settings of a product's source: where its records are; never how to log in there."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_\-]{0,63}$")]
# Parts are quoted in SQL whatever they hold; these characters would only be mistakes.
_TABLE = r'^([^\x00-\x1f"\'.;]{1,63}(\.[^\x00-\x1f"\'.;]{1,63}){0,2})?$'


class SourceKind(StrEnum):
    """What kind of place it is."""

    FILES = "files"  # Parquet, CSV or IPC; local or S3
    POSTGRESQL = "postgresql"
    DUCKDB = "duckdb"
    FLIGHT_SQL = "flight_sql"


class SourceSettings(BaseModel):
    """One source. Credentials stand in a private file or in the environment.

    Names of files are absolute, or relative to the deployment.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: SourceKind = Field(strict=False)
    product: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,63})?$")  # empty: the name
    location: str = ""  # files and duckdb: a path; flight_sql: grpc+tls://HOST:PORT
    table: str = Field(default="", pattern=_TABLE)  # of a database: [schema.]table, a view too
    # postgresql: libpq's connection string; flight_sql: the value of the authorization header.
    credential_file: str = ""  # mode 0600
    credential_env: str = Field(default="", pattern=r"^([A-Z_][A-Z0-9_]*)?$")
    ca_file: str = ""  # flight_sql: PEM to verify the server by; empty: the machine's
    certificate_file: str = ""  # flight_sql: PEM of our certificate towards it
    key_file: str = ""  # flight_sql: PEM of its key, mode 0600
    deadline_s: int = Field(default=3_600, ge=1, le=86_400)  # of one statement
    memory_mib: int = Field(default=256, ge=32, le=65_536)  # duckdb: of its engine

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a source that doesn't say where it is, or says what its kind doesn't know."""
        postgres = self.kind is SourceKind.POSTGRESQL
        flight = self.kind is SourceKind.FLIGHT_SQL
        if postgres and self.location:
            raise ValueError("a postgresql source has no location: its credential says where")
        if not postgres and not self.location:
            raise ValueError("it needs a location")
        if bool(self.table) is (self.kind is SourceKind.FILES):
            raise ValueError("a database needs a table; files have none")
        if self.credential_file and self.credential_env:
            raise ValueError("its credential stands in credential_file or credential_env, not both")
        given = bool(self.credential_file or self.credential_env)
        if (postgres and not given) or (given and not (postgres or flight)):
            raise ValueError("postgresql needs a credential; files and duckdb take none")
        if (self.ca_file or self.certificate_file or self.key_file) and not flight:
            raise ValueError("only flight_sql takes certificates")
        if bool(self.certificate_file) is not bool(self.key_file):
            raise ValueError("certificate_file and key_file go together")
        return self
