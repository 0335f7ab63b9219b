"""Which platform a request speaks for, and what it may touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import http_sf
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from agentstore.kit.errors import Invalid, NotFound, Refused
from agentstore.kit.signatures import Jwk, KeyNotFound, SignatureMissing, is_signed, verify_request
from marketplace.catalog.ucp.versions import VERSIONS
from marketplace.shopping.models import UcpPlatform
from marketplace.shopping.ucp import discovery
from marketplace.shopping.ucp.addresses import is_platform_address

M = TypeVar("M", bound=Model)
_LONGEST_PROFILE: Final = 300
_LONGEST_KEY: Final = 200


class InvalidProfileUrl(Invalid):
    """The platform's profile is not named, or not by an https address."""

    code = "invalid_profile_url"


class VersionUnsupported(Refused):
    """The platform speaks a version that this store does not."""

    code = "version_unsupported"


class InvalidKey(Invalid):
    """An idempotency key is too long."""

    code = "invalid_idempotency_key"


@dataclass(frozen=True, slots=True)
class Caller:
    """The platform behind a request: its profile's address, and whether its signature proved it.

    `platform` is empty for callers that do not say who they are: they can read the catalogue. `version` is the one
    that they asked for, empty for none; `address` is where the request came from.
    """

    platform: str = ""
    signed: bool = False
    key: str = ""
    version: str = ""
    address: str = ""

    def require_platform(self) -> None:
        """Raises InvalidProfileUrl for a caller that names no platform, SignatureMissing for one that must sign."""
        if not self.platform:
            raise InvalidProfileUrl(
                "Say which platform is calling.",
                hint='Send UCP-Agent: profile="https://…", or meta.ucp-agent.',
            )
        if not self.signed and UcpPlatform.objects.filter(profile=self.platform, must_sign=True).exists():
            raise SignatureMissing("This platform's requests are signed.", hint="Sign it (RFC 9421).")

    def own(self, rows: QuerySet[M], pk: str) -> M:
        """The caller's own row. Raises NotFound for everybody else's, as for one that never was.

        What a signed request made answers to signed requests of the same platform alone.
        """
        rows = rows.filter(platform=self.platform)
        if not self.signed:
            rows = rows.filter(signed=False)
        found = rows.filter(pk=pk).first() if "\0" not in pk else None
        if found is None:
            raise NotFound(
                f"There is no {rows.model._meta.verbose_name} {pk!r:.60}.", hint="It may have expired."
            )
        return found


def read_caller(request: HttpRequest) -> Caller:
    """The caller by the headers `UCP-Agent` and `Idempotency-Key`; a signature, if there is one, is verified.

    Raises InvalidProfileUrl, VersionUnsupported, InvalidKey, and what verify_request raises.
    """
    platform, version = _agent(request.headers.get("UCP-Agent", ""))
    address = request.META.get("REMOTE_ADDR", "")
    signed = is_signed(request)
    if signed:
        _verify(request, platform, address)
    key = checked_key(request.headers.get("Idempotency-Key", ""))
    return Caller(platform, signed, key, _known_version(version), address)


def _verify(request: HttpRequest, platform: str, address: str) -> None:
    """Keys change: one that its profile did not have a while ago is looked for once more."""
    try:
        verify_request(request, keys=lambda: known_keys(platform, address=address))
    except KeyNotFound:
        if not discovery.look_again(platform, address=address):
            raise
        verify_request(request, keys=lambda: known_keys(platform, address=address))


def meta_caller(caller: Caller, meta: Mapping[str, Any]) -> Caller:
    """The caller of an MCP tool: `meta` says what headers say elsewhere. A signature's word goes first.

    Raises InvalidProfileUrl, VersionUnsupported, InvalidKey.
    """
    agent = meta.get("ucp-agent")
    if not isinstance(agent, dict):
        agent = {}
    version = _known_version(agent.get("version")) or caller.version
    named = agent.get("profile")
    platform = caller.platform if caller.signed or named is None else require_https(named)
    key = caller.key if (sent := meta.get("idempotency-key")) is None else checked_key(str(sent))
    return Caller(platform, caller.signed, key, version, caller.address)


def known_keys(platform: str, *, address: str = "") -> Sequence[Jwk]:
    """The public keys that the operator entered for a platform, else those of its profile.

    Raises ProfileUnreachable, ProfileMalformed, DiscoveryBusy, TooManyCalls.
    """
    found = UcpPlatform.objects.filter(profile=platform).values_list("keys", flat=True).first()
    if found is None and platform:
        profile = discovery.find_profile(platform, address=address)
        found = profile.keys if profile else []
    return [key for key in found or [] if isinstance(key, dict)]


def require_https(profile: Any) -> str:
    """A profile's address as it was given. Raises InvalidProfileUrl unless it is https."""
    if isinstance(profile, str) and len(profile) <= _LONGEST_PROFILE and is_platform_address(profile):
        return profile
    raise InvalidProfileUrl(f"{profile!r:.80} is no https address of a profile.", hint="Use https.")


def checked_key(key: str) -> str:
    """An idempotency key. Raises InvalidKey."""
    if len(key) > _LONGEST_KEY or not key.isprintable():
        raise InvalidKey(f"An idempotency key has at most {_LONGEST_KEY} printable characters.")
    return key


def _agent(header: str) -> tuple[str, str | None]:
    if not header:
        return "", None
    try:
        fields: Any = http_sf.parse(header.encode(), tltype="dictionary")
        profile, parameters = fields["profile"]
        # `version` is another member, or, as many write it, a parameter of the profile.
        version = fields["version"][0] if "version" in fields else parameters.get("version")
    except (KeyError, ValueError, TypeError) as broken:
        raise InvalidProfileUrl("UCP-Agent is not readable.", hint='Write profile="https://…".') from broken
    return require_https(profile), str(version) if version is not None else None


def require_spoken(declared: str) -> None:
    """Raises VersionUnsupported for a profile of a version newer than all that are spoken here."""
    if declared > VERSIONS[-1]:
        raise _not_spoken(declared)


def _known_version(named: Any) -> str:
    """The version that a caller asked for, empty when it named none or one older than all: it gets the oldest.

    Raises VersionUnsupported.
    """
    wanted = "" if named is None else str(named)
    if wanted > VERSIONS[0] and wanted not in VERSIONS:
        raise _not_spoken(wanted)
    return wanted if wanted in VERSIONS else ""


def _not_spoken(wanted: str) -> VersionUnsupported:
    return VersionUnsupported(
        f"This store speaks UCP {' and '.join(VERSIONS)}, not {wanted!r:.40}.", hint="See /.well-known/ucp."
    )
