"""Every operation with whatever its description allows, and with what it forbids (schemathesis)."""

from typing import TypeVar

T = TypeVar("T")
