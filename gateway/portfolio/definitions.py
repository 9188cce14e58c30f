"""The definitions of a feature product, from the tables of `policies/data`, checked as a whole.

`feature_sources.json` says of each record product which day a record happened on;
`<product>.json` gives for each feature the records it is about and its expression
(`gateway.portfolio.expressions`). Whatever the contract of the feature product has between its
keys and its envelope needs a definition of the right type, and nothing else may have one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785

from gateway.decision.tables import read_table
from gateway.domain.product import Product
from gateway.portfolio.expressions import Expression, ExpressionError, parse_expression
from gateway.registry.catalogue import Catalogue
from gateway.registry.periods import POLICIES

FEATURES = "credit_loan_features"
SOURCES = "feature_sources"
_TYPES = {"count": "integer", "exists": "boolean", "months_since": "integer"}
_TAG = "xinguan/feature-definitions/v1"


class DefinitionError(ValueError):
    """A definition is missing, malformed or of another type than the contract says."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Args:
        name: Its field in the contract.
        product: The record product that it is about.
        text: Its definition as written.
        expression: The same, ready to be computed.
        type: Type of the field in the contract.
    """

    name: str
    product: str
    text: str
    expression: Expression
    type: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """All features of one product.

    Args:
        product: Contract of the feature product.
        features: In the order of the contract.
        events: Record product to the column with the day on which a record happened.
        digest: SHA-256 of the definitions, hex.
    """

    product: Product
    features: tuple[Feature, ...]
    events: Mapping[str, str]
    digest: str

    def of(self, product: str) -> tuple[Feature, ...]:
        """Return the features about one record product."""
        return tuple(feature for feature in self.features if feature.product == product)


def load_definitions(
    catalogue: Catalogue, name: str = FEATURES, directory: Path = POLICIES / "data"
) -> Definitions:
    """Return the definitions of a feature product.

    Args:
        catalogue: Contracts of the feature product and of the records.
        name: Name of the feature product, and of the table with its definitions.
        directory: Where the tables are.

    Raises:
        DefinitionError: They can't be used; the message names the feature.
    """
    target = catalogue.product(name)
    events = {key: str(e.get("event")) for key, e in read_table(directory, SOURCES).items()}
    table = read_table(directory, name)
    features = []
    for field in target.fields.values():
        if not field.basis:
            continue
        entry = table.get(field.name)
        if entry is None:
            raise DefinitionError(f"{field.name}: the contract has it and the table doesn't")
        features.append(
            _feature(catalogue, events, field.name, field.type, entry["product"], entry["value"])
        )
    if unknown := sorted(set(table) - {feature.name for feature in features}):
        raise DefinitionError(f"{unknown[0]}: the table has it and the contract doesn't")
    used = {feature.product for feature in features}
    plain: dict[str, Any] = {
        "tag": _TAG,
        "features": {feature.name: [feature.product, feature.text] for feature in features},
        "events": {product: events[product] for product in used},
    }
    digest = hashlib.sha256(rfc8785.dumps(plain)).hexdigest()
    return Definitions(
        target, tuple(features), {p: e for p, e in events.items() if p in used}, digest
    )


def _feature(
    catalogue: Catalogue,
    events: Mapping[str, str],
    name: str,
    kind: str,
    product: object,
    text: object,
) -> Feature:
    if not isinstance(product, str) or product not in events or product not in catalogue.products:
        raise DefinitionError(f"{name}: its records are not among the sources of features")
    records = catalogue.product(product)
    event = records.fields.get(events[product])
    if event is None or event.type != "date":
        raise DefinitionError(f"{name}: the records have no such date of the event")
    try:
        expression = parse_expression(str(text), records)
    except ExpressionError as error:
        raise DefinitionError(f"{name}: {error}") from None
    if expression.aggregate == "ratio":
        right = kind.startswith("decimal")
    else:
        column = records.fields.get(expression.column)
        right = kind == _TYPES.get(expression.aggregate, "" if column is None else column.type)
    if not right:
        raise DefinitionError(f"{name}: the contract says another type")
    return Feature(name, product, str(text), expression, kind)
