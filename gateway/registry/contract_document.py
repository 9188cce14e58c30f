"""The shape of a data contract file (Open Data Contract Standard v3), read strictly.

This is the edge: YAML text becomes a validated document or a list of problems that name the
field. Duplicate keys and keys that the standard's part used here doesn't know are refused,
because a misspelt `classification` would otherwise pass as "none".
"""

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError


class ContractFormatError(Exception):
    """The file is no contract; `field` says where and the message what is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        """Keep the place apart from the problem."""
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CustomProperty(_Strict):
    """One entry of `customProperties`."""

    property: str
    value: JsonValue


class Description(_Strict):
    """`description` of a contract."""

    purpose: str
    limitations: str = ""
    usage: str = ""


class Property(_Strict):
    """One field of the contract's table."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    business_name: str = Field(alias="businessName", min_length=1)
    description: str = Field(min_length=1)
    logical_type: str = Field(alias="logicalType")
    physical_type: str = Field(alias="physicalType")
    classification: str
    required: bool = False
    unique: bool = False
    primary_key: bool = Field(default=False, alias="primaryKey")
    custom_properties: list[CustomProperty] = Field(alias="customProperties")


class SchemaObject(_Strict):
    """The contract's one table."""

    name: str
    logical_type: Literal["object"] = Field(alias="logicalType")
    physical_type: Literal["table"] = Field(alias="physicalType")
    business_name: str = Field(alias="businessName")
    description: str
    properties: list[Property] = Field(min_length=1)


class ContractDocument(_Strict):
    """One file of `policies/catalogue`."""

    api_version: Literal["v3.0.0", "v3.0.1", "v3.0.2"] = Field(alias="apiVersion")
    kind: Literal["DataContract"]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    status: Literal["proposed", "draft", "active", "deprecated", "retired"]
    domain: Literal["PUBLIC", "MARKET"]
    description: Description
    custom_properties: list[CustomProperty] = Field(alias="customProperties")
    schema_: list[SchemaObject] = Field(alias="schema", min_length=1, max_length=1)


class _ContractLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml is there or not only at run time
    """A safe loader that refuses a mapping with the same key twice and keeps dates as text."""


def _unique_mapping(loader: Any, node: yaml.MappingNode) -> dict[object, object]:
    mapping: dict[object, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_ContractLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
_ContractLoader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: str(node.value))


def parse_contract(text: str) -> tuple[ContractDocument, dict[str, Any]]:
    """Return the validated document and the plain values whose canonical form is digested.

    Raises:
        ContractFormatError: When the text is not YAML, has a key twice, or a field is missing,
            unknown or of the wrong type.
    """
    try:
        plain = yaml.load(text, _ContractLoader)  # noqa: S506 - it is a safe loader's child
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else "file"
        raise ContractFormatError(place, getattr(error, "problem", None) or "not YAML") from error
    if not isinstance(plain, dict):
        raise ContractFormatError("file", "the document is not a mapping")
    try:
        return ContractDocument.model_validate(plain), plain
    except ValidationError as error:
        first = error.errors()[0]
        raise ContractFormatError(_place(plain, first["loc"]), first["msg"]) from error


def _place(plain: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """Write a location with the names of fields instead of their numbers."""
    node: Any = plain
    parts: list[str] = []
    for step in location:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            node = None
        if isinstance(step, int):
            label = node.get("name") or node.get("property") if isinstance(node, dict) else None
            parts.append(str(label) if isinstance(label, str) else str(step))
        else:
            parts.append(step)
    return ".".join(parts)
