"""What a platform's profile says, of all that anybody may have written there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from agentstore.kit.errors import Refused
from marketplace.shopping.ucp.addresses import is_platform_address
from marketplace.shopping.ucp.negotiation import CAPABILITIES, ORDER

_MOST_VERSIONS: Final = 20
_MOST_KEYS: Final = 20
_KEY_MEMBERS: Final = ("kid", "kty", "crv", "x", "y", "alg", "use")
_LONGEST_MEMBER: Final = 200
_LONGEST_WEBHOOK: Final = 1000
_VERSION: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class ProfileMalformed(Refused):
    """The platform's profile is no UCP profile."""

    code = "profile_malformed"


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """The part of a profile that the store goes by; `capabilities` has the versions of those that it has too."""

    version: str
    capabilities: dict[str, list[str]]
    keys: list[dict[str, str]] = field(default_factory=list)
    webhook_url: str = ""


def read_profile(content: bytes) -> ReadProfile:
    """Read a profile by UCP's schema. Raises ProfileMalformed."""
    # Its schemas take as long to import as all our own models, and every process comes by this module.
    from ucp_sdk.models.schemas.profile import UcpProfileDocument

    try:
        document = json.loads(content, parse_constant=_no_number)
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
    if not _is_version(said["version"]):
        raise ProfileMalformed("ucp.version: this is no version.")
    declared: dict[str, list[Any]] = said.get("capabilities") or {}
    keys = document.get("signing_keys") or document.get("keys") or []
    if not isinstance(keys, list):
        raise ProfileMalformed("signing_keys: this is no list.")
    return ReadProfile(
        version=said["version"],
        capabilities={name: _versions(declared[name]) for name in CAPABILITIES if name in declared},
        keys=[kept for key in keys[:_MOST_KEYS] if (kept := _public_part(key))],
        webhook_url=_webhook(declared.get(ORDER) or []),
    )


def _versions(entries: list[Any]) -> list[str]:
    return [entry["version"] for entry in entries if _is_version(entry["version"])][:_MOST_VERSIONS]


def _is_version(said: Any) -> bool:
    return isinstance(said, str) and _VERSION.fullmatch(said) is not None


def _public_part(key: Any) -> dict[str, str]:
    """What verifying takes of a key; nothing of one that is private, has no name, or is not like a key."""
    if not isinstance(key, dict) or "d" in key or "kid" not in key:
        return {}
    kept = {name: key[name] for name in _KEY_MEMBERS if name in key}
    fits = all(isinstance(value, str) and len(value) <= _LONGEST_MEMBER for value in kept.values())
    return kept if fits else {}


def _no_number(text: str) -> None:
    raise ValueError(text)


def _webhook(entries: list[Any]) -> str:
    """Where the newest of the order capability's entries wants events; empty for nowhere that the store sends to."""
    for entry in sorted(entries, key=lambda entry: str(entry["version"]), reverse=True):
        config = entry.get("config")
        url = config.get("webhook_url") if isinstance(config, dict) else None
        if not isinstance(url, str) or len(url) > _LONGEST_WEBHOOK or not url.isprintable():
            continue
        if is_platform_address(url):
            return url
    return ""
