"""What this installation is made of: a bill of materials (CycloneDX 1.6), from what is installed."""

import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any
from uuid import NAMESPACE_URL, uuid5

NAME = "faxgw"
_REQUIRED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@cache
def bill() -> dict[str, Any]:
    """Return the bill: faxgw, and every distribution that it needs and that is installed, each with what it needs."""
    found, needs = _needed()
    own = found.pop(NAME)
    parts = [_component(each) for _, each in sorted(found.items())]
    depends = [
        {"ref": _ref(each), "dependsOn": sorted(map(_ref, needs[each.metadata["Name"]]))} for each in _all(own, found)
    ]
    content = ",".join(part["bom-ref"] for part in parts) + own.version
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {"component": _component(own) | {"type": "application"}},
        "components": parts,
        "dependencies": depends,
    }


def _all(own: Distribution, found: dict[str, Distribution]) -> list[Distribution]:
    return [own, *(each for _, each in sorted(found.items()))]


def _needed() -> tuple[dict[str, Distribution], dict[str, list[Distribution]]]:
    """Return the distributions by their normal name, and what each needs of them by its own name."""
    found: dict[str, Distribution] = {}
    needs: dict[str, list[Distribution]] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(NAME, frozenset())]
    looked: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in looked:
            continue
        looked.add((name, extras))
        try:
            here = found.setdefault(name, distribution(name))
        except PackageNotFoundError:
            continue  # for another system, or another Python
        mine = needs.setdefault(here.metadata["Name"], [])
        for other, wanted in _requirements(here, extras):
            try:
                there = distribution(other)
            except PackageNotFoundError:
                continue
            if all(_ref(each) != _ref(there) for each in mine):
                mine.append(there)
            waiting.append((other, wanted))
    return found, needs


def _requirements(of: Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    found = []
    for line in of.requires or ():
        match, asked = _REQUIRED.match(line), _EXTRA.search(line)
        if match and (asked is None or asked[1] in extras):
            wanted = frozenset(each.strip() for each in (match[2] or "").split(",") if each.strip())
            found.append((_normal(match[1]), wanted))
    return found


def _component(of: Distribution) -> dict[str, Any]:
    said: Any = of.metadata  # its type hides that it is a message
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(of),
        "name": said["Name"],
        "version": of.version,
        "purl": _ref(of),
    }
    licence = said.get("License-Expression") or said.get("License") or ""
    if licence and len(licence) < 100:  # some have the whole text there
        of_form = "expression" if said.get("License-Expression") else "name"
        component["licenses"] = [{"expression": licence} if of_form == "expression" else {"license": {"name": licence}}]
    return component


def _ref(of: Distribution) -> str:
    return f"pkg:pypi/{_normal(of.metadata['Name'])}@{of.version}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
