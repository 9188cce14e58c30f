"""What an issuer publishes besides its status lists: itself, its keys, its types of credential."""

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from gateway.credential.encoding import to_json
from gateway.credential.jws import Jwk
from gateway.credential.mint import claim_name
from gateway.domain.product import Product

ISSUER_PATH: Final = ".well-known/jwt-vc-issuer"
KEYS_PATH: Final = "jwks.json"
LISTS_PATH: Final = "statuslists"
_TYPES_PATH: Final = "vct"


def type_path(product: Product) -> str:
    """Return where the type of a product's credentials is, below the issuer."""
    return f"{_TYPES_PATH}/{product.name}/{product.version}"


def type_url(issuer: str, product: Product) -> str:
    """Return the `vct` of a product's credentials."""
    return f"{issuer}/{type_path(product)}"


def list_url(issuer: str, number: int) -> str:
    """Return where a status list is, as credentials name it."""
    return f"{issuer}/{LISTS_PATH}/{number}"


def type_document(issuer: str, product: Product) -> bytes:
    """Return the type metadata of a product's credentials: what each claim is, in two languages."""
    return to_json(
        {
            "vct": type_url(issuer, product),
            "name": product.title_en,
            "description": f"Released fields of one record of {product.name}",
            "display": [
                {"locale": "en", "name": product.title_en},
                {"locale": "zh-CN", "name": product.title_zh},
            ],
            "claims": [
                {
                    "path": [claim_name(field.name)],
                    "display": [
                        {"locale": "en", "label": field.title_en},
                        {"locale": "zh-CN", "label": field.title_zh},
                    ],
                    "sd": "always",
                }
                for field in product.fields.values()
            ],
        }
    )


def integrity(document: bytes) -> str:
    """Return the digest of a document as subresource integrity states it."""
    return f"sha256-{b64encode(sha256(document).digest()).decode()}"


def issuer_document(issuer: str, keys: list[Jwk]) -> bytes:
    """Return the issuer metadata; its keys stand in it, so that one file is enough offline."""
    return to_json({"issuer": issuer, "jwks": {"keys": keys}})


def documents(issuer: str, keys: list[Jwk], products: Iterable[Product]) -> dict[str, bytes]:
    """Return every document that doesn't change while a gateway serves, by its path."""
    return {
        ISSUER_PATH: issuer_document(issuer, keys),
        KEYS_PATH: to_json({"keys": keys}),
        **{type_path(product): type_document(issuer, product) for product in products},
    }
