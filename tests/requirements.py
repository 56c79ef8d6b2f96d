"""``python -m tests.requirements``: which tests show which requirement, written to docs and into the package.

A test shows a requirement by the marker ``requirement``, by the end of its name (``..._xm_08``) or by the first line of
its docstring (``XM-08: ...``); a whole file by its module's docstring.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "requirements.md"
DATA = ROOT / "faxgw" / "exports" / "requirements.json"

PAGES = "the web page is not there yet"
SPLIT = "to have them apart, with mutual TLS between them, is not there yet"


class Requirement(NamedTuple):
    """What is asked for; ``lacks``: what of it is missing although there are tests."""

    text: str
    lacks: str = ""


REQUIREMENTS: dict[str, Requirement] = {
    "XM-01": Requirement("Every box has a data class, a purpose and an owner; records of processing are exported."),
    "XM-02": Requirement("Faxes lie in boxes; what is not one's own is not there."),
    "XM-03": Requirement(
        "A box can be delegated to read, send or manage, with an end; what is taken back stops at once."
    ),
    "XM-04": Requirement("A fax can be forwarded by hand and by rule, as a copy that is known."),
    "XM-05": Requirement("A tenant can switch delegation off, and with it what was delegated before."),
    "XM-06": Requirement("A tenant can switch forwarding off, and with it rules made before."),
    "XM-07": Requirement("What a tenant has switched off nobody in it can switch on for themselves."),
    "XM-08": Requirement("Tenants are apart: nothing of one is seen by another, on any way."),
    "XM-09": Requirement("One person may belong to several tenants, switches expressly, and sees one at a time."),
    "XM-10": Requirement("Retention is configured, holds to the day, and a change shows first what it would delete."),
    "XM-11": Requirement("Kinds of data have retentions of their own; the strictest holds, a legal hold before all."),
    "XM-12": Requirement("Retention covers every copy that left."),
    "XM-13": Requirement("The day when the last copy is gone is computed over all copies."),
    "XM-14": Requirement("Content lies nowhere in clear and travels nowhere in clear."),
    "XM-15": Requirement("What a browser reaches is HTTPS, hardened.", f"cookies of pages: {PAGES}"),
    "XM-16": Requirement("The mail server speaks TLS."),
    "XM-17": Requirement("All mail of the fax process takes verified TLS."),
    "XM-18": Requirement("Folders elsewhere are reached by SFTP, FTPS or SCP only."),
    "XM-19": Requirement("Stored faxes are encrypted with AES-256, a key each; one turned bit is found."),
    "XM-20": Requirement("Backups are encrypted and signed, and open with the right keys only."),
    "XM-21": Requirement("What is laid down elsewhere is encrypted first, or somebody attests that it is kept so."),
    "XM-22": Requirement("Every place on the disk that may hold fax data is named, and how it is protected."),
    "XM-23": Requirement("Version, parts and known faults are shown, from signed feeds; administrators are told."),
    "XM-24": Requirement("Administrators can have notices of new versions by mail."),
    "XM-25": Requirement("Every setting of a policy says what it does.", f"in the page: {PAGES}"),
    "FP-01": Requirement("Uploads come over TLS and are kept, sealed, as long as sending takes."),
    "FP-02": Requirement("Documents become fax pages; what is shown is what is sent."),
    "FP-03": Requirement("Exactly those pages are sent, and every call is recorded."),
    "FP-04": Requirement("All faxes lie in an encrypted archive and open for their owners only."),
    "FP-05": Requirement("Without a rule of retention nothing is ever deleted by time."),
    "FP-06": Requirement("Storing can be switched off: after the end there is only a minimal record."),
    "FP-07": Requirement("Owners and admins alone set retention."),
    "FP-08": Requirement("AES-256 at rest, with keys of each user's own."),
    "FP-09": Requirement("Whoever runs the machine has no keys: what is stored opens with a user's secret only."),
    "FP-10": Requirement("TLS 1.3 is spoken, 1.0 and 1.1 never."),
    "FP-11": Requirement("What a user deletes is gone at once, with a certificate, and no backup brings it back."),
    "FP-12": Requirement("Evidence for auditors: policies, access, keys, proofs of retention, tests."),
    "FP-13": Requirement("Wrong sign-ins are throttled; the audit log verifies offline, an altered row is found."),
    "FP-14": Requirement("A user can take their archive and their call records along, and delete what is theirs."),
    "WF-01": Requirement("A default installation connects to nobody; documents are read without a network."),
    "WF-02": Requirement("Two nodes: either may die at any moment, and no fax is lost or sent twice."),
    "WF-03": Requirement("Listeners bind where they are told to, and networks are checked before anything else."),
    "WF-04": Requirement("Malformed input is refused cleanly, guessing is slowed."),
    "WF-05": Requirement("The mail router keeps nothing."),
    "WF-06": Requirement("Which TLS a mail destination must have is a policy."),
    "WF-07": Requirement("The mail listener relays to nobody."),
    "WF-08": Requirement("Mail that became a fax is removed."),
    "WF-09": Requirement("Fax machines in offices submit by SMTP."),
    "WF-10": Requirement("Devices sign in to submit."),
    "WF-11": Requirement("Every hop has TLS 1.2 or newer."),
    "WF-12": Requirement("Mail that would go without TLS is not taken."),
    "WF-13": Requirement("Mail router and mailbox server are one process, with no link between them.", SPLIT),
    "WF-14": Requirement("Each device has its own user and password, by which its faxes are known."),
    "WF-15": Requirement("Agreements with processors are on record."),
    "WF-16": Requirement("Faxes that leave by mail are as protected as those that come."),
}
"""Id -> what it asks for, in our words. XM: handling of personal data; FP: life cycle of a fax; WF: fax and mail."""

_ID = re.compile(r"\b(?:XM|FP|WF)-\d\d\b")
_HINT = re.compile(r"(?:xm|fp|wf)[-_]?\d\d", re.IGNORECASE)
_CASE = re.compile(r"R\d\d")
"""Failures seen between real machines, which tests name too: no requirements."""
_IN_NAME = re.compile(r"_(xm|fp|wf)_?(\d\d)(?=_|$)")


@cache
def shown() -> dict[str, list[str]]:
    """Return requirement -> tests, as ``tests/path.py::name`` or a whole file, in the order of their names."""
    found: dict[str, set[str]] = {name: set() for name in REQUIREMENTS}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        place, text = path.relative_to(ROOT).as_posix(), path.read_text()
        if not _HINT.search(text):
            continue  # to parse them all takes seconds
        tree = ast.parse(text)
        for name in _named(ast.get_docstring(tree) or ""):
            found[name].add(place)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for name in _of_test(node):
                    found[name].add(f"{place}::{node.name}")
    return {name: sorted(tests) for name, tests in found.items()}


def state(name: str, tests: list[str]) -> str:
    """Return how far a requirement is met, as far as tests show it."""
    requirement = REQUIREMENTS[name]
    if not tests:
        return "open"
    return f"partly; {requirement.lacks}" if requirement.lacks else "met"


def as_json() -> str:
    """Return what the package brings along for evidence."""
    said = {
        name: {"text": REQUIREMENTS[name].text, "state": state(name, tests), "tests": tests}
        for name, tests in shown().items()
    }
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def as_markdown() -> str:
    """Return docs/requirements.md."""
    return _HEAD + "".join(_rows())


def _rows() -> Iterator[str]:
    for name, tests in shown().items():
        yield f"| {name} | {REQUIREMENTS[name].text} | {state(name, tests)} | {'<br>'.join(map(_short, tests))} |\n"


def _short(test: str) -> str:
    return f"`{test.removeprefix('tests/')}`"


def _of_test(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    yield from _named((ast.get_docstring(node) or "").partition("\n")[0])
    yield from (f"{kind.upper()}-{number}" for kind, number in _IN_NAME.findall(node.name))
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.requirement":
            named = (str(ast.literal_eval(each)) for each in decorator.args)
            yield from (name for name in named if not _CASE.fullmatch(name))


def _named(text: str) -> list[str]:
    return _ID.findall(text)


_HEAD = """# Requirements, and the tests that show them

Written by `python -m tests.requirements` from the tests themselves; a test keeps it in step. Paths are below `tests/`.
`met`: what is asked for is there, and the tests named show it. `open`: nothing shows it yet.

| id | what is asked for | state | tests |
|---|---|---|---|
"""


def main() -> None:
    """Write both."""
    PAGE.write_text(as_markdown())
    DATA.write_text(as_json())


if __name__ == "__main__":
    main()
