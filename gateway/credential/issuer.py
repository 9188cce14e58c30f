"""The issuer: keys, times and addresses of one deployment, as the credentials of it need them."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.credential.keyring import Keyring
from gateway.credential.metadata import documents, integrity, list_url, type_document, type_url
from gateway.credential_settings import CredentialSettings
from gateway.domain.product import Product


@dataclass(frozen=True, slots=True)
class CredentialType:
    """The type of a product's credentials: its URL and the digest of its metadata."""

    url: str
    integrity: str


class Issuer:
    """Who issues credentials here. Immutable after it was made; used by many tasks."""

    def __init__(
        self, keyring: Keyring, settings: CredentialSettings, products: Mapping[str, Product]
    ) -> None:
        """Make the types of all products.

        Args:
            keyring: The keys.
            settings: Issuer, times, lists.
            products: The catalogue.
        """
        self.signer = keyring.signer
        self.settings = settings
        self.documents = documents(settings.issuer, keyring.published(), products.values())
        self._types = {
            name: CredentialType(
                type_url(settings.issuer, product),
                integrity(type_document(settings.issuer, product)),
            )
            for name, product in products.items()
        }

    def type_of(self, product: str) -> CredentialType:
        """Return the type of a product's credentials."""
        return self._types[product]

    def list_url(self, number: int) -> str:
        """Return where a status list is."""
        return list_url(self.settings.issuer, number)
