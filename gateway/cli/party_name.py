"""How a party is named on the command line, and what its folder is called."""

import re

from gateway.domain.party import parse_party_id

_BARE_CODE = re.compile(r"[0-9A-Za-z]{18}")


def canonical_id(text: str) -> str:
    """Return a party id; 18 bare characters are taken for a unified social credit code.

    Raises:
        InvalidRequestError: `BAD_ID`.
    """
    bare = text.strip()
    return parse_party_id(f"uscc:{bare}" if _BARE_CODE.fullmatch(bare) else bare)


def folder_name(party_id: str) -> str:
    """Return the name of the folder that holds what was made for a party."""
    return party_id.replace(":", "-").lower()
