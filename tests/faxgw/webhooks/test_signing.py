"""Signatures of the Standard Webhooks form, checked by its own library and by the published keys."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from faxgw.webhooks import signing

BODY = json.dumps({"type": "fax.delivered"}).encode()


def signed(*secrets: bytes, at: datetime | None = None) -> dict[str, str]:
    signers = [signing.by_secret(secret) for secret in secrets]
    return dict(signing.headers("msg_1", BODY, at=at or datetime.now(UTC), signers=signers))


def test_the_library_of_the_standard_takes_our_signature() -> None:
    secret = signing.new_secret()
    assert Webhook(signing.shown(secret)).verify(BODY, signed(secret)) == {"type": "fax.delivered"}


def test_it_refuses_another_body_another_secret_and_an_old_message() -> None:
    secret = signing.new_secret()
    for headers, body, key in (
        (signed(secret), BODY + b" ", secret),
        (signed(secret), BODY, signing.new_secret()),
        (signed(secret, at=datetime.now(UTC) - timedelta(minutes=6)), BODY, secret),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(signing.shown(key)).verify(body, headers)


def test_while_a_secret_is_rotated_receivers_with_either_take_the_message() -> None:
    old, new = signing.new_secret(), signing.new_secret()
    headers = signed(new, old)
    assert Webhook(signing.shown(old)).verify(BODY, headers)
    assert Webhook(signing.shown(new)).verify(BODY, headers)


def test_a_receiver_checks_v1a_with_nothing_but_the_published_key() -> None:
    key = Ed25519PrivateKey.generate()
    headers = signing.headers("msg_1", BODY, at=datetime.now(UTC), signers=[signing.by_key(key)])
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1a"
    (published,) = signing.public_keys(key.public_key())["keys"]
    content = f"msg_1.{headers['webhook-timestamp']}.".encode() + BODY
    raw = base64.urlsafe_b64decode(published["x"] + "=")
    assert base64.b64decode(published["whpk"].removeprefix("whpk_")) == raw
    Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature), content)
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(signature), content + b" ")


def test_the_id_of_a_published_key_is_its_thumbprint() -> None:
    # RFC 8037, appendix A.3
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    assert signing.public_keys(key)["keys"][0]["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
