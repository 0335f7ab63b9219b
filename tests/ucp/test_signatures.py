"""Messages that are signed: the store's answers, and the requests of platforms whose keys it knows."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.test import Client
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from agentstore.kit.signatures import public_jwk, public_key
from marketplace.shopping.models import UcpPlatform
from tests.ucp.world import PROFILE, SHIPPING, SOMEBODY_ELSE, Platform, card

COVERED = ("@method", "@authority", "@path", "ucp-agent", "idempotency-key", "content-digest", "content-type")


def base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()


def jwk(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {"kid": kid, "kty": "EC", "crv": "P-256", "x": base64url(numbers.x), "y": base64url(numbers.y)}


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key) -> None:
        self.key = key

    def resolve_private_key(self, key_id):
        return self.key

    def resolve_public_key(self, key_id):
        return public_key(self.key)


class Signer:
    """A platform that signs what it sends."""

    def __init__(self, kid: str = "k1", profile: str = PROFILE) -> None:
        self.key, self.kid, self.profile = ec.generate_private_key(ec.SECP256R1()), kid, profile

    def send(self, method, path, body=None, *, covered=COVERED, kid="", change=lambda headers: None):
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"UCP-Agent": f'profile="{self.profile}"', "Idempotency-Key": str(uuid.uuid4())}
        if content:
            digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
            headers |= {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/json"}
        else:
            covered = [name for name in covered if not name.startswith("content-")]
        message = SimpleNamespace(method=method, url=f"http://testserver/ucp/{path}", headers=headers)
        signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys(self.key))
        signer.sign(
            message,
            key_id=kid or self.kid,
            label="sig1",
            include_alg=False,
            covered_component_ids=covered,
            use_existing_digest=bool(content),
        )
        change(message.headers)
        kind = message.headers.pop("Content-Type", "")
        return Client().generic(method, f"/ucp/{path}", content, content_type=kind, headers=message.headers)


@pytest.fixture
def signer(db):
    signer = Signer()
    UcpPlatform.objects.create(profile=PROFILE, keys=[jwk(signer.key, "k1")])
    return signer


def order(goods):
    return {"line_items": [{"item": {"id": goods.kettle.variant.public_id}, "quantity": 1}]}


def test_answers_are_signed_by_the_key_that_the_profile_publishes(platform, goods):
    keys = platform.client.get("/.well-known/ucp").json()["signing_keys"]
    assert keys == [public_jwk()]
    answer = platform.client.post(
        "/ucp/checkout-sessions", order(goods), content_type="application/json",
        headers={"UCP-Agent": f'profile="{PROFILE}"'},
    )  # fmt: skip
    message = SimpleNamespace(status_code=answer.status_code, headers=dict(answer.items()))
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys(keys[0]))
    needed = ("@status", "content-type", "content-digest")
    assert verifier.verify(message, require_components=needed, body=answer.content)
    message.status_code = 200
    with pytest.raises(InvalidSignature):
        verifier.verify(message, require_components=needed, body=answer.content)


def test_the_key_is_the_operators_where_there_is_one(settings):
    first = public_jwk()
    key = ec.generate_private_key(ec.SECP256R1())
    settings.UCP_SIGNING_KEY = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert public_jwk()["x"] == base64url(key.public_key().public_numbers().x)
    assert public_jwk()["kid"] != first["kid"]
    settings.UCP_SIGNING_KEY, settings.SECRET_KEY = "", "another"
    assert public_jwk()["kid"] != first["kid"]


def test_what_was_made_by_a_signature_answers_to_it_alone(signer, goods, processor):
    made = signer.send("POST", "checkout-sessions", order(goods))
    assert made.status_code == 201
    path = f"checkout-sessions/{made.json()['id']}"
    assert signer.send("GET", path).json()["id"] == made.json()["id"]
    unsigned = Platform().rest("GET", path)
    assert unsigned["messages"][0]["code"] == "not_found"
    charlie = Signer(profile=SOMEBODY_ELSE)
    UcpPlatform.objects.create(profile=SOMEBODY_ELSE, keys=[jwk(charlie.key, "k1")])
    assert charlie.send("GET", path).json()["messages"][0]["code"] == "not_found"


def test_a_signed_platform_is_told_where_its_order_goes(signer, goods, processor):
    made = signer.send("POST", "checkout-sessions", {**order(goods), "fulfillment": SHIPPING}).json()
    done = signer.send("POST", f"checkout-sessions/{made['id']}/complete", card()).json()
    shown = signer.send("GET", f"orders/{done['order']['id']}").json()
    assert shown["fulfillment"]["expectations"][0]["destination"]["street_address"] == "1 Main St"


def drop(*names):
    return lambda headers: [headers.pop(name) for name in names]


def swap(name, value):
    return lambda headers: headers.update({name: value})


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (drop("Signature"), 401, "signature_missing"),
        (drop("Signature-Input"), 401, "signature_missing"),
        (swap("Idempotency-Key", "another"), 401, "signature_invalid"),
        (swap("Signature", "sig1=:AAAA:"), 401, "signature_invalid"),
        (swap("Signature", "nonsense"), 401, "signature_invalid"),
        (swap("UCP-Agent", f'profile="{SOMEBODY_ELSE}"'), 401, "key_not_found"),
        (swap("Content-Digest", "sha-256=:AAAA:"), 400, "digest_mismatch"),
    ],
    ids=["no signature", "no input", "other key", "short", "unreadable", "other signer", "other body"],
)
def test_a_signature_that_does_not_hold_is_refused(signer, goods, change, status, code):
    answer = signer.send("POST", "carts", order(goods), change=change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["content"]


@pytest.mark.parametrize("left_out", ["@method", "@authority", "@path", "ucp-agent", "idempotency-key",
                                      "content-digest", "content-type"])  # fmt: skip
def test_a_signature_covers_all_that_counts(signer, goods, left_out):
    covered = [name for name in COVERED if name != left_out]
    answer = signer.send("POST", "carts", order(goods), covered=covered)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")


def test_a_key_of_another_kind_is_named_as_such(signer, goods):
    UcpPlatform.objects.update(keys=[{"kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": "AA"}])
    answer = signer.send("POST", "carts", order(goods), kid="ed")
    assert (answer.status_code, answer.json()["code"]) == (400, "algorithm_unsupported")


def test_a_platform_can_be_held_to_sign(signer, goods):
    UcpPlatform.objects.update(must_sign=True)
    refused = Platform().rest("POST", "carts", order(goods), status=401)
    assert refused["code"] == "signature_missing"
    assert signer.send("POST", "carts", order(goods)).status_code == 201
