"""Reads the periods of the law from `policies/periods.yaml`; unknown keys are refused."""

import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.domain.period import BasisLevel, PeriodBasis, PeriodTable, Severity, Term

POLICIES = Path(__file__).resolve().parents[2] / "policies"


class PeriodTableError(Exception):
    """The table of periods is missing, unreadable or malformed."""


class _Term(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    min_months: int | None = Field(ge=0)
    max_months: int = Field(gt=0)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1]
    terms: dict[Severity, _Term]
    default_basis: PeriodBasis
    bases: dict[str, PeriodBasis]
    override_levels: frozenset[BasisLevel]
    unlabelled_before: dt.date
    validities: dict[str, str] = Field(default_factory=dict)


def load_periods(path: Path) -> PeriodTable:
    """Return the table of periods in the file.

    Raises:
        PeriodTableError: When it can't be read or doesn't have the expected shape.
    """
    try:
        document = _Document.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PeriodTableError(f"{path.name}: not a readable YAML file") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise PeriodTableError(f"{path.name}: {field}: {first['msg']}") from error
    return PeriodTable(
        terms={name: Term(t.min_months, t.max_months) for name, t in document.terms.items()},
        bases=document.bases,
        default_basis=document.default_basis,
        override_levels=document.override_levels,
        unlabelled_before=document.unlabelled_before,
        validities=document.validities,
    )


@lru_cache(maxsize=1)
def lawful_periods() -> PeriodTable:
    """Return the table that ships with the policies, read once."""
    return load_periods(POLICIES / "periods.yaml")
