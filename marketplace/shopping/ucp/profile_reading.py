"""What a platform's profile says, of all that anybody may have written there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError
from ucp_sdk.models.schemas.profile import UcpProfileDocument

from agentstore.kit.errors import Refused
from marketplace.shopping.ucp.addresses import is_platform_address
from marketplace.shopping.ucp.negotiation import ORDER

_MOST_CAPABILITIES: Final = 200
_MOST_KEYS: Final = 20
_LONGEST_NAME: Final = 200


class ProfileMalformed(Refused):
    """The platform's profile is no UCP profile."""

    code = "profile_malformed"


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """The part of a profile that the store goes by; `capabilities` has the versions of each by its name."""

    version: str
    capabilities: dict[str, list[str]]
    keys: list[dict[str, Any]] = field(default_factory=list)
    webhook_url: str = ""


def read_profile(content: bytes) -> ReadProfile:
    """Read a profile by UCP's schema. Raises ProfileMalformed."""
    try:
        document = json.loads(content)
        # What PostgreSQL would not keep: NUL here, halves of characters by the ValueError of encoding them.
        if b"\\u0000" in json.dumps(document, ensure_ascii=False).encode():
            raise ProfileMalformed("It holds a NUL character.")
        UcpProfileDocument.model_validate(document)
    except ValidationError as broken:
        first = broken.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the profile"
        raise ProfileMalformed(f"{where}: {first['msg']}"[:300]) from broken
    except (ValueError, RecursionError) as broken:
        raise ProfileMalformed("It is not JSON.") from broken
    said = document["ucp"]
    declared: dict[str, list[Any]] = said.get("capabilities") or {}
    if len(declared) > _MOST_CAPABILITIES:
        raise ProfileMalformed(f"It declares more than {_MOST_CAPABILITIES} capabilities.")
    keys = document.get("signing_keys") or document.get("keys") or []
    if not isinstance(keys, list):
        raise ProfileMalformed("signing_keys: this is no list.")
    return ReadProfile(
        version=said["version"],
        capabilities={
            name[:_LONGEST_NAME]: [str(entry["version"]) for entry in entries]
            for name, entries in declared.items()
        },
        keys=[key for key in keys[:_MOST_KEYS] if isinstance(key, dict) and "d" not in key],
        webhook_url=_webhook(declared.get(ORDER) or []),
    )


def _webhook(entries: list[Any]) -> str:
    """Where the newest of the order capability's entries wants events; empty for nowhere that the store sends to."""
    for entry in sorted(entries, key=lambda entry: str(entry["version"]), reverse=True):
        url = (entry.get("config") or {}).get("webhook_url")
        if isinstance(url, str) and len(url) <= 1000 and is_platform_address(url):
            return url
    return ""
