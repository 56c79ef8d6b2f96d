"""Bodies of requests as OpenAPI shows them; a test sends each of them."""

from typing import Any

DOCUMENT = "0196a5e0-1c2d-7abc-8def-0123456789ab"
BOX = "0196a5e0-1c2d-7abc-8def-0123456789ac"

EXAMPLES: dict[str, dict[str, Any]] = {
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
    "create_number": {"number": "+15550199", "box": BOX},
    "change_number": {"number": "+15550199", "subaddress": "12", "box": BOX},
    "create_number_rule": {"direction": "out", "action": "deny", "pattern": "+1900*", "note": "expensive"},
    "create_route": {"prefix": "+1", "lines": ["sim"], "cost": 0.5},
    "change_route": {"prefix": "+1", "lines": ["sim"], "cost": 1.5},
    "simulate_routes": {"to": "+15550100"},
    "change_destination": {"override": {"no_v17": True, "max_bps": 9600}},
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
