"""Targets as they are set up: what is taken, what is refused, and that secrets are bound to their target."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from faxgw.delivery.targets import SETTINGS, MailTarget, SftpTarget, Target, TargetSecret
from faxgw.ids import new_id
from faxgw.keys.tokens import ServerKeys, SmallSealBroken

SFTP = {"kind": "sftp", "host": "files.example", "user": "fax", "host_keys": ["ssh-ed25519 AAAA"]}


@pytest.fixture
def keys(tmp_path: Path) -> ServerKeys:
    return ServerKeys(tmp_path / "server_keys")


def test_settings_come_back_from_their_row_as_what_they_were(keys: ServerKeys) -> None:
    settings = SETTINGS.validate_python(SFTP)
    assert isinstance(settings, SftpTarget)
    target_id, secret = new_id(), TargetSecret(password="correct horse")
    row = {"id": target_id, "tenant_id": new_id(), "name": "files", "settings": settings.model_dump(mode="json")}
    found = Target.of(row | {"secret": secret.sealed(keys, target_id)}, keys)
    assert (found.settings, found.secret, found.kind) == (settings, secret, "sftp")
    assert "horse" not in repr(found)


def test_a_secret_of_another_target_does_not_open(keys: ServerKeys) -> None:
    sealed = TargetSecret(password="correct horse").sealed(keys, new_id())
    with pytest.raises(SmallSealBroken):
        TargetSecret.opened(keys, new_id(), sealed)


@pytest.mark.parametrize(
    "settings",
    [
        SFTP | {"host_keys": []},
        SFTP | {"host": "files.example/../x"},
        SFTP | {"folder": "in\nout"},
        SFTP | {"verify": False},
        {"kind": "mail", "address": "fax"},
        {"kind": "mail", "address": "a@b c"},
        {"kind": "mail", "address": "a@b", "sealing": {"kind": "none"}},
    ],
)
def test_what_cannot_be_protected_is_no_target(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SETTINGS.validate_python(settings)


def test_a_mailbox_goes_by_the_policy_unless_it_says_otherwise() -> None:
    settings = SETTINGS.validate_python({"kind": "mail", "address": "fax@clinic.example"})
    assert isinstance(settings, MailTarget)
    assert (settings.protection, settings.baa_attested, settings.sealing) == (None, False, None)
