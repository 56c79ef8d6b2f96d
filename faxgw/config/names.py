"""Every setting by name: its path in the file, its variable in the environment, what it means and what it may be."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from faxgw.config.model import Config

PREFIX = "FAXGW_"
LISTS = frozenset({"lines", "oidc"})
"""Sections of which there may be several."""
_UNITS = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        section: the table that it is in; empty at the top.
        variable: its name in the environment; empty for a setting of a line, which has none of its own.
        limits: what it may be, in words; empty when its description says it all.
        default: as TOML; empty when there is none, or it depends on the machine.
        example: as TOML; the default where there is one.
    """

    section: str
    name: str
    variable: str
    description: str
    limits: str
    default: str
    example: str

    @property
    def path(self) -> str:
        """Section and name, as mistakes are told."""
        return f"{self.section}.{self.name}" if self.section else self.name


def sections() -> Iterator[tuple[str, str]]:
    """Return the tables of the file in its order, each with what it is about; the first is the top."""
    yield "", ""
    for name, field in Config.model_fields.items():
        model = _model(field)
        if model is not None:
            yield name, (model.__doc__ or "").strip()


def settings() -> Iterator[Setting]:
    """Return every setting, in the order of the file."""
    for name, field in Config.model_fields.items():
        model = _model(field)
        if model is None:
            yield _setting("", name, field)
        else:
            yield from (_setting(name, each, inner) for each, inner in model.model_fields.items())


def toml(value: Any) -> str:
    """Return a value as TOML.

    >>> toml(ByteSize(64 * 2**20)), toml(["a", 1.5]), toml({"b": True})
    ('"64MiB"', '["a", 1.5]', '{ b = true }')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, ByteSize):
        return f'"{size(value)}"'
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, dict):
        named = (f"{_key(name)} = {toml(each)}" for name, each in value.items())
        return "{ " + ", ".join(named) + " }" if value else "{}"
    if isinstance(value, set | frozenset):
        return toml(sorted(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def size(octets: int) -> str:
    """Return a size in the largest unit that shows it exactly."""
    for unit, factor in _UNITS:
        if octets and octets % factor == 0:
            return f"{octets // factor}{unit}"
    return str(octets)


def _model(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((each for each in get_args(annotation) if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _setting(section: str, name: str, field: FieldInfo) -> Setting:
    fixed = field.default is not PydanticUndefined and field.default is not None
    default = toml(field.default) if fixed else ""
    shown = field.examples[0] if field.examples and (not default or not field.default) else field.default
    return Setting(
        section=section,
        name=name,
        variable="" if section in LISTS else PREFIX + "_".join(filter(None, (section, name))).upper(),
        description=" ".join((field.description or "").split()),
        limits=_limits(field),
        default=default,
        example=toml(shown),
    )


def _limits(field: FieldInfo) -> str:
    choices = _choices(field.annotation)
    if choices:
        several = get_origin(field.annotation) is not Literal
        return f"{'any' if several else 'one'} of {', '.join(map(str, choices))}"
    kinds, metadata = [field.annotation, *get_args(field.annotation)], list(field.metadata)
    for each in list(kinds):
        metadata += getattr(each, "__metadata__", ())
        kinds += get_args(each)
    shown = size if ByteSize in kinds else str
    lowest = next((shown(each.ge) for each in metadata if isinstance(each, Ge)), "")  # type: ignore[arg-type]
    above = next((f"more than {each.gt}" for each in metadata if isinstance(each, Gt)), "")
    highest = next((shown(each.le) for each in metadata if isinstance(each, Le)), "")  # type: ignore[arg-type]
    below = next((f"less than {each.lt}" for each in metadata if isinstance(each, Lt)), "")
    return " to ".join(filter(None, (lowest or above, highest or below)))


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    inner = [_choices(each) for each in get_args(annotation)]
    return next(filter(None, inner), ())


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
