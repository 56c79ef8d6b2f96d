"""Bodies of requests as OpenAPI shows them; a test sends each of them."""

from typing import Any

DOCUMENT = "0196a5e0-1c2d-7abc-8def-0123456789ab"
BOX = "0196a5e0-1c2d-7abc-8def-0123456789ac"
OTHER_BOX = "0196a5e0-1c2d-7abc-8def-0123456789ad"
COLLEAGUE = "0196a5e0-1c2d-7abc-8def-0123456789ae"
TARGET = "0196a5e0-1c2d-7abc-8def-0123456789b0"
OTHER_COLLEAGUE = "0196a5e0-1c2d-7abc-8def-0123456789af"

_CLIENT_DATA = "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0"
_CREDENTIAL = {"id": "c2Vjb25k", "rawId": "c2Vjb25k", "type": "public-key", "clientExtensionResults": {}}
_ASSERTION = {
    **_CREDENTIAL,
    "response": {"clientDataJSON": _CLIENT_DATA, "authenticatorData": "AAAA", "signature": "AAAA"},
}
_ATTESTATION = {**_CREDENTIAL, "response": {"clientDataJSON": _CLIENT_DATA, "attestationObject": "AAAA"}}

EXAMPLES: dict[str, dict[str, Any]] = {
    "create_session": {"email": "a@example.com", "password": "correct horse battery"},
    "recover_session": {
        "email": "a@example.com",
        "recovery_code": "000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR",
        "new_password": "battery horse correct",
    },
    "switch_tenant": {"tenant": DOCUMENT},
    "set_up_person": {
        "set_up_code": "fgi_02zpzhXBMPiA20dMSmx9K7_0029sS3yqsuDyR1vGFhTuuRAq1b12YuO0",
        "password": "correct horse battery",
    },
    "unlock_session": {"password": "correct horse battery"},
    "create_passkey_session": {"passkey": _ASSERTION},
    "create_passkey": {"password": "correct horse battery", "name": "My telephone", "credential": _ATTESTATION},
    "rename_passkey": {"name": "My old telephone"},
    "remove_passkey": {"password": "correct horse battery"},
    "remove_own_password": {"password": "correct horse battery"},
    "change_password": {"old": "correct horse battery", "new": "battery horse correct"},
    "renew_recovery_code": {"password": "correct horse battery"},
    "enrol_totp": {"password": "correct horse battery"},
    "confirm_totp": {"code": "123456"},
    "remove_totp": {"password": "correct horse battery", "code": "123456"},
    "recover_keys": {"secret": "000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR"},
    "renew_keys": {"password": "correct horse battery"},
    "choose_notices": {"update": True, "result": False},
    "find_colleague": {"email": "b@example.com"},
    "invite_user": {"email": "b@example.com", "role": "member"},
    "change_user": {"role": "owner"},
    "create_fax": {
        "to": "+15550100",
        "documents": [DOCUMENT],
        "cover": {"to_name": "Ms Example", "subject": "Your order"},
        "labels": {"order": "4711"},
    },
    "create_batch": {
        "name": "Price list",
        "documents": [DOCUMENT],
        "to": ["+15550100", {"to": "+15550101", "to_name": "Mr Example", "labels": {"customer": "12"}}],
    },
    "render_documents": {"documents": [DOCUMENT], "resolution": "fine", "paper": "a4"},
    "create_box": {"name": "Sales"},
    "change_box": {"name": "Service"},
    "create_grant": {"user": COLLEAGUE, "rights": ["read", "manage"], "expires_at": "2099-01-31T00:00:00Z"},
    "hand_over_box": {"user": COLLEAGUE},
    "set_escrow": {"trustees": [COLLEAGUE, OTHER_COLLEAGUE], "threshold": 2},
    "create_escrow_request": {
        "box": BOX,
        "ground": "illness",
        "reason": "Ms Example is in hospital, and an order is due today.",
        "hours": 24,
    },
    "create_forwarding_rule": {"prefix": "+4930", "to": OTHER_BOX},
    "forward_fax": {"box": OTHER_BOX},
    "create_target": {
        "name": "Records office",
        "settings": {
            "kind": "sftp",
            "host": "files.example.com",
            "user": "fax",
            "folder": "in",
            "host_keys": [
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFbHv5j8VYpHHrqX4cz1kZKzq0sTqpkHWHiPGfbWbaT files.example.com"
            ],
        },
        "secret": {"password": "correct horse battery"},
    },
    "change_target": {"name": "Records", "settings": {"kind": "mail", "address": "fax@clinic.example"}, "secret": {}},
    "create_delivery_rule": {"prefix": "+4930", "target": TARGET},
    "deliver_fax": {"target": TARGET, "format": "tiff"},
    "create_number": {"number": "+15550199", "box": BOX},
    "change_number": {"number": "+15550199", "subaddress": "12", "box": BOX},
    "create_number_rule": {"direction": "out", "action": "deny", "pattern": "+1900*", "note": "expensive"},
    "create_route": {"prefix": "+1", "lines": ["sim"], "cost": 0.5},
    "change_route": {"prefix": "+1", "lines": ["sim"], "cost": 1.5},
    "simulate_routes": {"to": "+15550100"},
    "change_destination": {"override": {"no_v17": True, "max_bps": 9600}},
    "change_machine": {"verdicts": {"no_v17": {"say": "never"}}},
    "create_device": {"name": "Copier, 2nd floor", "numbers": ["+4930"], "networks": ["192.0.2.0/24"]},
    "change_device": {"name": "Copier, 3rd floor", "faxes_per_day": 200},
    "create_webhook": {"url": "https://example.com/hooks/fax", "events": ["fax.delivered", "fax.failed"]},
    "change_webhook": {"url": "https://example.com/hooks/fax", "events": ["fax.*"], "full": True},
    "rotate_webhook": {"hours": 24},
    "replay_webhook": {"since": "2026-01-31T12:00:00Z"},
    "change_policy": {"region": "DE", "header": {"on": True, "text": "Example Ltd."}, "misdirect": "hold"},
    "preview_policy": {"retention": {"days": 365, "classes": {"medical": {"days": 30}}}},
    "create_hold": {"name": "Example v. Example", "boxes": [BOX], "since": "2026-01-01T00:00:00Z"},
    "create_erasure": {"number": "+15550142", "reason": "asked for by letter"},
    "create_api_key": {"name": "ERP", "scopes": ["faxes:send", "faxes:read"]},
    "call_in": {"to": "+15550199", "document": DOCUMENT},
}
"""Operation -> a body that it takes, given that there are such a document, box and line."""
