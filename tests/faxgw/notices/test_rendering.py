"""What notices say: every template, with all that it may say and with the least."""

from typing import Any

import pytest

from faxgw.notices.kinds import KINDS, checked
from faxgw.notices.rendering import rendered

AT = "2026-11-22 10:00 UTC"
FAX: dict[str, Any] = {"fax": "0190", "number": "+49301234567"}
ADVISORY = {
    "id": "F-1",
    "severity": "high",
    "title": "Pages may be cut off",
    "fixed_in": "0.1.1",
    "url": "https://x.example",
}
CASES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    (
        "result",
        FAX | {"state": "delivered", "at": AT, "pages": 3, "tries": 1, "device": "Front desk", "code": ""},
        "Fax to +49…67: delivered",
        ["has been delivered.", "  Pages:   3", "  Sent by: Front desk"],
    ),
    (
        "result",
        FAX | {"state": "failed", "at": AT, "reason": "The line was busy."},
        "Fax to +49…67: failed",
        ["has not been delivered (failed).", "  Reason:  The line was busy."],
    ),
    (
        "result",
        {"state": "partially_sent", "at": AT, "batch": "0192", "count": 3, "delivered": 2, "device": "Front desk"}
        | {"others": [{"number": "+49301234567", "state": "failed", "reason": "The line was busy."}]},
        "Fax to several numbers: partially_sent",
        ["  Numbers: 3, delivered to 2", "  +49…67: failed", "  Reason:  The line was busy."],
    ),
    (
        "failure",
        FAX | {"reason": "busy", "at": AT, "tries": 5, "code": "line.busy"},
        "A fax could not be sent",
        ["A fax to +49…67 has failed", "  Tries:   5"],
    ),
    (
        "failure",
        FAX | {"direction": "in", "target": "a folder (sftp)", "reason": "full", "at": AT},
        "A fax could not be handed over",
        ["A fax from +49…67", "  Target:  a folder (sftp)"],
    ),
    (
        "held",
        {"target": "0191", "kind": "mail", "code": "delivery.no_tls", "reason": "no STARTTLS", "at": AT, "waiting": 4},
        "Deliveries wait: the way there is not protected",
        ["Nothing of them has left", "  Waiting: 4"],
    ),
    ("retention", {"count": 1, "at": AT, "done": True}, "Faxes were deleted", ["1 fax was deleted"]),
    (
        "retention",
        {"count": 22, "at": AT, "done": False, "boxes": 2},
        "Faxes are about to be deleted",
        ["22 faxes will be deleted", "  Boxes: 2"],
    ),
    ("recall", FAX | {"received": AT}, "Please delete a fax that was sent to you by mail", ["  From:     +49…67"]),
    (
        "policy",
        {"at": AT, "changes": [{"name": "allow_forwarding", "old": "true", "new": "false"}]},
        "Your organisation's fax policy was changed",
        ["  allow_forwarding\n    before: true\n    now:    false"],
    ),
    (
        "certificate",
        {"what": "the API", "subject": "fax.example.com", "expires": AT, "days": 1},
        "A certificate expires in 1 day",
        ["refuse to connect"],
    ),
    (
        "certificate",
        {"what": "S/MIME", "subject": "b", "expires": AT, "days": -1, "target": "0191"},
        "A certificate has expired",
        ["  Target:  0191", "its deliveries fail"],
    ),
    (
        "update",
        {
            "version": "0.1.0",
            "release": "",
            "advisories": [ADVISORY, ADVISORY | {"id": "F-2", "fixed_in": "", "url": ""}],
        },
        "faxgw 0.1.0 has known faults",
        ["  F-1 (high)\n    Pages may be cut off\n    Install 0.1.1 or newer.", "No version without it"],
    ),
    (
        "update",
        {"version": "0.1.0", "release": "0.2.0", "advisories": [], "url": "https://x.example/0.2.0"},
        "There is a new version of faxgw: 0.2.0",
        ["Version 0.2.0 is there."],
    ),
    (
        "exposed",
        {"device": "Front desk", "protocol": "SMTP", "at": AT, "revoked": True, "peer": "192.0.2.7"},
        "A device has sent its password without protection",
        ["has been revoked", "  From:   192.0.2.7"],
    ),
    (
        "exposed",
        {"device": "Front desk", "protocol": "SMTP", "at": AT, "revoked": False},
        "A device has sent its password without protection",
        ["still counts"],
    ),
]


@pytest.mark.parametrize(("kind", "data", "subject", "words"), CASES)
def test_a_notice_says_what_it_is_told_in_plain_lines(
    kind: str, data: dict[str, Any], subject: str, words: list[str]
) -> None:
    said = rendered(kind, checked(kind, data), organisation="Clinic")
    assert said.subject == subject
    for each in words:
        assert each in said.text
    assert "1234567" not in said.text + said.subject
    assert "\n\n\n" not in said.text
    assert max(map(len, said.text.splitlines())) <= 100
    assert said.text.rstrip("\n").rpartition("\n-- \n")[2].startswith("This is a notice of the fax gateway of Clinic")


def test_every_kind_is_shown_with_all_that_it_may_say_and_with_the_least() -> None:
    for kind, known in KINDS.items():
        given = [set(data) for name, data, _, _ in CASES if name == kind]
        assert set().union(*given) == known.needs | known.may
        least = next(data for name, data, _, _ in CASES if name == kind)
        assert rendered(kind, {name: least[name] for name in known.needs}, organisation="C").subject


def test_the_address_to_stop_it_is_there_only_for_what_can_be_stopped() -> None:
    stop = "https://fax.example.com/notices/stop/x"
    said = {kind: rendered(kind, checked(kind, data), organisation="C", stop=stop).text for kind, data, _, _ in CASES}
    assert {kind for kind, text in said.items() if stop in text} == {n for n, kind in KINDS.items() if kind.chosen}
