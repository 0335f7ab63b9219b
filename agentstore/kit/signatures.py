"""HTTP message signatures (RFC 9421) with P-256: signing our answers, verifying others' requests.

Keys are published as JWK (RFC 7517); bodies are covered by Content-Digest (RFC 9530, sha-256). No `alg`
parameter is sent or needed: the key's curve says it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from agentstore.kit.errors import Invalid, StoreError, Unauthenticated

Jwk = Mapping[str, Any]
# The order of the group of P-256 (SEC 2): a private key lies between 1 and this.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ALWAYS_COVERED: Final = ("@method", "@authority", "@path")
_COVERED_IF_SENT: Final = ("ucp-agent", "idempotency-key", "content-digest", "content-type")


class SignatureMissing(Unauthenticated):
    """A signature is needed and not there, or only half of it."""

    code = "signature_missing"


class SignatureInvalid(Unauthenticated):
    """The signature does not fit the request, or leaves out what it has to cover."""

    code = "signature_invalid"


class KeyNotFound(Unauthenticated):
    """The key that the signature names is not among its signer's."""

    code = "key_not_found"


class DigestMismatch(Invalid):
    """The body is not the one that Content-Digest speaks of."""

    code = "digest_mismatch"


class AlgorithmUnsupported(Invalid):
    """The named key is of a kind that is not verified here."""

    code = "algorithm_unsupported"


def signing_key() -> ec.EllipticCurvePrivateKey:
    """The store's key: `UCP_SIGNING_KEY` (PEM), or one that follows from SECRET_KEY, alike in every process."""
    return _key(settings.UCP_SIGNING_KEY, settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _key(pem: str, secret: str) -> ec.EllipticCurvePrivateKey:
    if pem:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("UCP_SIGNING_KEY is no P-256 private key")
        return key
    # 48 bytes, so that the remainder is as good as even (FIPS 186-5, A.2.1).
    seed = HKDF(algorithm=SHA256(), length=48, salt=None, info=b"agentstore ucp signing").derive(
        secret.encode()
    )
    return ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def public_jwk() -> dict[str, str]:
    """The public half of the signing key. Its `kid` is the thumbprint's beginning (RFC 7638)."""
    numbers = signing_key().public_key().public_numbers()
    x, y = (_base64url(part.to_bytes(32, "big")) for part in (numbers.x, numbers.y))
    thumbprint = hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest()
    kid = _base64url(thumbprint)[:16]
    return {"kid": kid, "kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "use": "sig"}


def sign_response(response: HttpResponse) -> HttpResponse:
    """Add Content-Digest, Signature-Input and Signature; covers status, body and its type."""
    message = SimpleNamespace(status_code=response.status_code, headers=dict(response.items()))
    signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_OwnKey())
    signer.sign(
        message,
        key_id=public_jwk()["kid"],
        label="sig1",
        include_alg=False,
        covered_component_ids=("@status", "content-type"),
        body=response.content,
    )
    for name in ("Content-Digest", "Signature-Input", "Signature"):
        response[name] = message.headers[name]
    return response


def sign_request(method: str, url: str, *, content: bytes, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request of the store's own with Content-Digest, Signature-Input and Signature.

    Covers method, host, path, query, body and those of the headers that UCP wants covered.
    """
    message = SimpleNamespace(method=method, url=url, headers=dict(headers))
    sent = {name.lower() for name in headers}
    covered = [*_ALWAYS_COVERED, *(name for name in _COVERED_IF_SENT if name in sent)]
    if urlsplit(url).query:
        covered.append("@query")
    signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_OwnKey())
    signer.sign(
        message,
        key_id=public_jwk()["kid"],
        label="sig1",
        include_alg=False,
        covered_component_ids=tuple(covered),
        body=content,
    )
    return dict(message.headers)


def is_signed(request: HttpRequest) -> bool:
    """Whether a request brings a signature, or part of one."""
    return "Signature" in request.headers or "Signature-Input" in request.headers


def verify_request(request: HttpRequest, *, keys: Callable[[], Sequence[Jwk]]) -> None:
    """Verify a signed request with its signer's public keys, which are asked for once.

    Raises SignatureMissing, SignatureInvalid, KeyNotFound, DigestMismatch, AlgorithmUnsupported.
    """
    headers = dict(request.headers)
    if "Signature" not in headers or "Signature-Input" not in headers:
        raise SignatureMissing("Signature and Signature-Input belong together.", hint="Send both (RFC 9421).")
    required = [*_ALWAYS_COVERED, *(name for name in _COVERED_IF_SENT if name in request.headers)]
    if request.META.get("QUERY_STRING"):
        required.append("@query")
    if request.body:
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        if f"sha-256=:{digest}:" not in headers.get("Content-Digest", ""):
            raise DigestMismatch("The body does not fit its Content-Digest.", hint="Use sha-256 (RFC 9530).")
    message = SimpleNamespace(
        method=request.method, url=request.build_absolute_uri(request.get_full_path()), headers=headers
    )
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=_TheirKeys(keys))
    # UCP's signatures need not say when they were made: replays are met by idempotency keys.
    verifier.require_created = False
    try:
        verifier.verify(message, max_age=None, require_components=required)
    except InvalidSignature as invalid:
        if isinstance(invalid.__cause__, StoreError):
            raise invalid.__cause__ from None
        raise SignatureInvalid(f"The signature does not verify. {invalid}".strip()[:300]) from invalid


class _OwnKey(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        return signing_key()


class _TheirKeys(HTTPSignatureKeyResolver):
    def __init__(self, keys: Callable[[], Sequence[Jwk]]) -> None:
        self._keys = keys

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey:
        key = next((key for key in self._keys() if key.get("kid") == key_id), None)
        if key is None:
            raise KeyNotFound(f"No key {key_id!r:.80} is known of this signer.", hint="Publish it first.")
        return public_key(key)


def public_key(jwk: Jwk) -> ec.EllipticCurvePublicKey:
    """A P-256 key from its JWK. Raises AlgorithmUnsupported for other kinds and for points off the curve."""
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise AlgorithmUnsupported("Only ES256, keys on P-256, is verified.", hint="Sign with such a key.")
    try:
        x, y = (int.from_bytes(_unbase64url(cast(str, jwk[name])), "big") for name in ("x", "y"))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except (KeyError, ValueError, TypeError) as broken:
        raise AlgorithmUnsupported("This is no point on P-256.", hint="See RFC 7518, 6.2.") from broken


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
