"""The log: one stream for everything, no telephone number, secret or content in it, and no wait for who reads it."""

import io
import json
import logging
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import BaseModel, SecretStr, ValidationError

from faxgw.config.model import LogSettings
from faxgw.logs import MOST_WAITING, logging_to
from faxgw.redaction import LONGEST, redacted, scrubbed

log = structlog.get_logger("faxgw.test")
JSON = LogSettings(level="debug", format="json")


def logged(do: Callable[[], object], settings: LogSettings = JSON) -> list[dict[str, Any]]:
    """Return the entries that ``do`` logs."""
    stream = io.StringIO()
    with logging_to(settings, stream):
        do()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_words_and_those_of_libraries_come_in_one_stream_in_their_order() -> None:
    def work() -> None:
        log.info("one", fax=1)
        logging.getLogger("uvicorn.error").warning("two %s", "things")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("three", stacklevel=1)
        with structlog.contextvars.bound_contextvars(tenant="acme"):
            log.error("four")

    entries = logged(work)
    assert [each["event"] for each in entries[:2]] == ["one", "two things"]
    assert "three" in entries[2]["event"]
    assert entries[3]["tenant"] == "acme"
    assert [each["level"] for each in entries] == ["info", "warning", "warning", "error"]
    assert entries[0] == {**entries[0], "logger": "faxgw.test", "fax": 1}
    assert entries[0]["at"].endswith("Z")


def test_what_is_less_important_than_asked_for_is_not_logged() -> None:
    def work() -> None:
        log.info("too little")
        logging.getLogger("drivers.any").info("too little")
        log.warning("enough")

    assert [each["event"] for each in logged(work, LogSettings(level="warning", format="json"))] == ["enough"]


def test_afterwards_logging_is_as_it_was() -> None:
    before = (logging.root.level, list(logging.root.handlers))
    logged(lambda: None)
    assert (logging.root.level, list(logging.root.handlers)) == before


def test_the_text_for_people_has_the_same_masks() -> None:
    stream = io.StringIO()
    with logging_to(LogSettings(format="console"), stream):
        log.info("dialling", to="+4930123456789", fax=7)
    assert "dialling" in stream.getvalue() and "fax=7" in stream.getvalue()
    assert "123456" not in stream.getvalue()


CANARY = "+4930987654321"


@pytest.mark.parametrize(
    "fields",
    [
        {"to": CANARY},
        {"remote_id": "+49 30 987 654 321"},
        {"numbers": [CANARY, "030987654321"]},
        {"call": {"caller": CANARY}},
        {"reason": f"no route to {CANARY}, nor to 0309876-54321"},
        {"path": "/v1/faxes?to=%2B4930987654321"},
        {"line": "sip:4930987654321@trunk"},
        {"number": 4930987654321},
        {"text": "call (030) 987654321 or 30/4930987654321"},
        {"error": ValueError(f"bad number {CANARY}")},
    ],
)
def test_no_telephone_number_is_shown(fields: dict[str, Any]) -> None:
    shown = json.dumps(redacted(fields))
    assert not any(part in shown for part in ("30987", "98765", "54321", "987 654"))


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "CANARY"},
        {"api_key": "CANARY"},
        {"headers": {"Authorization": "Bearer CANARY", "Cookie": "a=CANARY"}},
        {"webhook-secret": "CANARY"},
        {"url": "postgresql://faxgw:CANARY@db/faxgw"},
        {"text": "Authorization: Bearer CANARY"},
        {"text": "connect with password='CANARY' host=db"},
        {"text": "signed with whsec_CANARYCANARY"},
        {"text": "GET /?key=fgw_01934930CANARY_CANARY"},
        {"recovery_code": "CANARY"},
        {"subaddress": "CANARY"},
        {"secret": SecretStr("CANARY")},
    ],
)
def test_no_secret_is_shown(fields: dict[str, Any]) -> None:
    assert "CANARY" not in json.dumps(redacted(fields))


class _Page:
    def __repr__(self) -> str:
        return "_Page(octets=CANARY)"


class _Model(BaseModel):
    body: int


def _invalid() -> ValidationError:
    try:
        _Model.model_validate({"body": "CANARY CANARY"})
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "fields",
    [
        {"octets": "CANARY"},
        {"page": b"CANARY"},
        {"page": bytearray(b"CANARY")},
        {"page": _Page()},
        {"pages": [_Page(), {"x": _Page()}]},
        {"content": {"any": "CANARY"}},
        {"text": repr(b"CANARY CANARY")},
        {"error": ValueError(b"CANARY CANARY")},
        {"error": RuntimeError("[SQL: UPDATE x]\n[parameters: {'octets': 'CANARY]'}]\n(more)")},
        {"error": RuntimeError("DETAIL:  Failing row contains (1, CANARY, (null)).")},
        {"error": _invalid()},
        {"text": "x" * LONGEST + "CANARY"},
    ],
)
def test_no_content_is_shown(fields: dict[str, Any]) -> None:
    assert "CANARY" not in json.dumps(redacted(fields))


def test_what_helps_to_find_a_fault_is_left_alone() -> None:
    fax = uuid.uuid4()
    fields = {
        "fax": fax,
        "at": "2026-11-22T10:11:12.123456Z",
        "page": 3,
        "rate": 14400,
        "file": Path("/var/lib/faxgw/objects/0193c1b2"),
        "api_key_id": "7f",
        "reason": f"lease of {fax} lost after 60.0 s on 127.0.0.1:8443, PostgreSQL 15.10",
        "hash": "9b74c9897bac770ffc029102a200c5de12345678",
        "nothing": None,
        "done": True,
    }
    assert redacted(fields) == {**fields, "fax": str(fax), "file": str(fields["file"])}


def test_a_uuid_of_digits_only_is_no_telephone_number() -> None:
    assert scrubbed("fax 01934930-1234-7567-8901-493098765432") == "fax 01934930-1234-7567-8901-493098765432"


def test_an_exception_is_shown_with_its_causes_and_without_numbers() -> None:
    def work() -> None:
        try:
            try:
                raise ValueError(f"cannot dial {CANARY}")
            except ValueError as error:
                raise RuntimeError("password=CANARY") from error
        except RuntimeError:
            log.exception("call failed")
            logging.getLogger("drivers").exception("and here")

    for entry in logged(work):
        assert "ValueError: cannot dial +49…21" in entry["exception"]
        assert "RuntimeError: password=[hidden]" in entry["exception"]
        assert "test_logs.py" in entry["exception"]


class SlowReader(io.StringIO):
    """A stream that takes nothing until its reader wakes up."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = threading.Event()

    def write(self, text: str) -> int:
        assert self.awake.wait(60)
        return super().write(text)


def test_who_logs_never_waits_and_what_is_lost_is_told() -> None:
    stream, too_many = SlowReader(), 500
    with logging_to(JSON, stream) as running:
        begun = time.process_time()
        for number in range(MOST_WAITING + too_many):
            log.info("much to say", entry=number)
        spent = (time.process_time() - begun) / (MOST_WAITING + too_many)
        lost = running.lost
        stream.awake.set()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    print(f"{spent * 1e6:.1f} us for each entry")
    assert too_many - 1 <= lost <= too_many
    assert [each["lost"] for each in lines if each["event"] == "log entries were lost"] == [lost]
    assert len(lines) == MOST_WAITING + too_many - lost + 1
    assert spent < 100e-6


def test_a_stream_that_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError), os.fdopen(writing, "w") as stream:
        with logging_to(JSON, stream) as running:
            log.info("nobody reads this")
        assert running.lost


class _Odd(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("CANARY")


def test_an_entry_that_cannot_be_shown_does_not_end_the_log() -> None:
    def work() -> None:
        log.info("odd", error=_Odd())
        log.info("next")

    assert [each["event"] for each in logged(work)] == ["a log entry cannot be shown", "next"]
