"""The catalogue: every data contract of `policies/catalogue`, checked and ready to use.

A contract says for each field who manages it, how sensitive it is and whether it may cross
the border. A contract that leaves one of these open is refused, with the file and the field
in the error: nothing unnamed leaves the gateway, so nothing unclear may enter its catalogue.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import rfc8785

from gateway.domain.product import Product
from gateway.registry.contract_checks import Problem, Unit, read_product
from gateway.registry.contract_document import ContractFormatError, parse_contract

POLICY_CATALOGUE = Path(__file__).resolve().parents[2] / "policies" / "catalogue"


class CatalogueError(Exception):
    """The catalogue can't be used; every problem names its file and field.

    Args:
        problems: At least one.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Join the problems into one message, a line each."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class UnknownProductError(KeyError):
    """No contract has this name."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All products and the units that manage their fields.

    Args:
        products: Product name to product.
        units: USCC to unit.
    """

    products: Mapping[str, Product]
    units: Mapping[str, Unit]

    @classmethod
    def load(cls, directory: Path = POLICY_CATALOGUE) -> "Catalogue":
        """Read and check every `*.yaml` of the directory.

        Args:
            directory: By default the catalogue that ships with the policies.

        Raises:
            CatalogueError: When a contract is refused, or there is none.
        """
        products: dict[str, Product] = {}
        units: dict[str, Unit] = {}
        problems: list[Problem] = []
        for path in sorted(directory.glob("*.yaml")):
            found = tuple(_load_one(path, products, units))
            problems.extend(found)
        if not products and not problems:
            problems.append(Problem(directory.name, "directory", "it holds no contract"))
        if problems:
            raise CatalogueError(tuple(problems))
        return cls(MappingProxyType(products), MappingProxyType(units))

    def names(self) -> tuple[str, ...]:
        """Return the names of all products, sorted."""
        return tuple(sorted(self.products))

    def product(self, name: str) -> Product:
        """Return the product.

        Raises:
            UnknownProductError: When there is none of this name.
        """
        try:
            return self.products[name]
        except KeyError:
            raise UnknownProductError(name) from None

    def unit(self, uscc: str) -> Unit:
        """Return the unit that a field or a product names; every such unit is known."""
        return self.units[uscc]


def _load_one(
    path: Path, products: dict[str, Product], units: dict[str, Unit]
) -> Iterator[Problem]:
    """Add the contract of one file, or yield what is wrong with it."""
    try:
        document, plain = parse_contract(path.read_text(encoding="utf-8"))
    except OSError:
        yield Problem(path.name, "file", "it can't be read")
        return
    except UnicodeDecodeError:
        yield Problem(path.name, "file", "it is not UTF-8 text")
        return
    except ContractFormatError as error:
        yield Problem(path.name, error.field, error.problem)
        return
    digest = hashlib.sha256(rfc8785.dumps(plain)).hexdigest()
    product, own_units, problems = read_product(path.name, document, digest)
    yield from problems
    if document.name in products:
        yield Problem(path.name, "name", "another contract has this name already")
    if path.stem != document.name:
        yield Problem(path.name, "name", "it differs from the name of the file")
    for unit in own_units:
        known = units.setdefault(unit.uscc, unit)
        if known != unit:
            yield Problem(path.name, "units", "a unit has another name in another contract")
    if product is not None:
        products.setdefault(product.name, product)
