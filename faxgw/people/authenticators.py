"""What the webauthn library makes of authenticators: what they are asked, and what their answers are worth.

It takes a tenth of a second to import, which a start need not wait for: it is imported when the first passkey comes.
What is no answer at all makes it raise whatever it will; callers take any exception for a refusal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What an authenticator's answer claims; nothing of it is proven."""

    raw_id: bytes
    challenge: bytes
    origin: str
    rp_id_hash: bytes
    user_handle: bytes | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey, proven.

    Attributes:
        public_key: in COSE form.
        backed_up: whether it may be on several devices.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool


def options_to_register(
    *, host: str, name: str, user: str, user_id: bytes, challenge: bytes, known: Iterable[bytes]
) -> dict[str, Any]:
    """Return what ``navigator.credentials.create`` is given; the person must show a PIN or a finger."""
    from webauthn import generate_registration_options  # noqa: PLC0415
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import (  # noqa: PLC0415
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=host,
        rp_name=name,
        user_name=user,
        user_id=user_id,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
    )
    return options_to_json_dict(options)


def options_to_sign_in(*, host: str, challenge: bytes) -> dict[str, Any]:
    """Return what ``navigator.credentials.get`` is given."""
    from webauthn import generate_authentication_options  # noqa: PLC0415
    from webauthn.helpers import options_to_json_dict  # noqa: PLC0415
    from webauthn.helpers.structs import UserVerificationRequirement  # noqa: PLC0415

    options = generate_authentication_options(
        rp_id=host, challenge=challenge, user_verification=UserVerificationRequirement.REQUIRED
    )
    return options_to_json_dict(options)


def read_new(credential: Mapping[str, Any]) -> Answer:
    """Read the answer of an authenticator that registers."""
    from webauthn.helpers import (  # noqa: PLC0415
        parse_attestation_object,
        parse_client_data_json,
        parse_registration_credential_json,
    )

    given = parse_registration_credential_json(dict(credential))
    client = parse_client_data_json(given.response.client_data_json)
    rp_id_hash = parse_attestation_object(given.response.attestation_object).auth_data.rp_id_hash
    return Answer(given.raw_id, client.challenge, client.origin, rp_id_hash)


def read(credential: Mapping[str, Any]) -> Answer:
    """Read the answer of an authenticator that somebody signs in with."""
    from webauthn.helpers import (  # noqa: PLC0415
        parse_authentication_credential_json,
        parse_authenticator_data,
        parse_client_data_json,
    )

    given = parse_authentication_credential_json(dict(credential))
    client = parse_client_data_json(given.response.client_data_json)
    rp_id_hash = parse_authenticator_data(given.response.authenticator_data).rp_id_hash
    return Answer(given.raw_id, client.challenge, client.origin, rp_id_hash, given.response.user_handle)


def verified_new(credential: Mapping[str, Any], *, challenge: bytes, host: str, origin: str) -> Registered:
    """Return the passkey that an answer proves."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers.structs import CredentialDeviceType  # noqa: PLC0415

    verified = verify_registration_response(
        credential=dict(credential),
        expected_challenge=challenge,
        expected_rp_id=host,
        expected_origin=origin,
        require_user_verification=True,
    )
    return Registered(
        verified.credential_id,
        verified.credential_public_key,
        verified.sign_count,
        verified.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
    )


def verified_count(
    credential: Mapping[str, Any], *, challenge: bytes, host: str, origin: str, public_key: bytes
) -> int:
    """Return the authenticator's counter, if the answer proves that it has the passkey of ``public_key``."""
    from webauthn import verify_authentication_response  # noqa: PLC0415

    verified = verify_authentication_response(
        credential=dict(credential),
        expected_challenge=challenge,
        expected_rp_id=host,
        expected_origin=origin,
        credential_public_key=public_key,
        credential_current_sign_count=0,  # whoever asks compares it, in the database
        require_user_verification=True,
    )
    return verified.new_sign_count
