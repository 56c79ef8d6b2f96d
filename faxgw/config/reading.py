"""The configuration file and the environment, read into the model; every mistake is told at once."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from faxgw.config.model import Config
from faxgw.config.names import PREFIX, settings
from faxgw.errors import RequestError

FILE_VARIABLE = "FAXGW_CONFIG"
OTHERS = {
    FILE_VARIABLE: "the configuration file",
    "FAXGW_SERVER": "the gateway that submit, list, watch and cancel talk to",
    "FAXGW_API_KEY": "the key that they show",
    "FAXGW_CA": "the certificate that they trust",
}
"""Variables that are no settings of the service: name to meaning."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with a configuration.

    Attributes:
        setting: its path, such as ``api.port`` or ``lines.0.url``; empty if it is about the whole file.
        wrong: what is wrong.
        right: what would be right; may be empty.
    """

    setting: str
    wrong: str
    right: str = ""

    def __str__(self) -> str:
        where = f"{self.setting}: " if self.setting else ""
        return f"{where}{self.wrong}{f' ({self.right})' if self.right else ''}"


class ConfigError(RequestError):
    """A configuration that cannot be used; ``mistakes`` has all that is wrong with it."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("config.invalid", "the configuration cannot be used:\n" + "\n".join(map(str, mistakes)))
        self.mistakes = mistakes


class _Environment(BaseSettings, Config):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1)


class _Variables(EnvSettingsSource):
    """Lists and tables are JSON; what is not JSON goes on as it is, and the model says what it should be."""

    def __init__(self) -> None:
        super().__init__(_Environment)
        self.env_vars = {name: value for name, value in self.env_vars.items() if name.upper() not in OTHERS}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def load(file: Path | None = None, *, data_dir: Path | None = None) -> Config:
    """Read the configuration: environment before file before defaults; ``data_dir`` before all.

    Args:
        file: the configuration file; if None, the one that ``FAXGW_CONFIG`` names, or none at all.
        data_dir: what ``--data`` said.

    Raises:
        ConfigError: if there is anything wrong with it.
    """
    if file is None and os.environ.get(FILE_VARIABLE):
        file = Path(os.environ[FILE_VARIABLE])
    given = _merged(_from_file(file) if file else {}, _from_environment())
    if data_dir is not None:
        given["data_dir"] = data_dir
    try:
        return Config.model_validate(given)
    except ValidationError as error:
        raise ConfigError(tuple(_mistakes(error))) from None


def strange_variables() -> list[Mistake]:
    """Return the variables of the environment that look like settings and are none; nothing refuses them."""
    known = {each.variable for each in settings()} | {f"{PREFIX}{name.upper()}" for name in Config.model_fields}
    found = []
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known and name not in OTHERS:
            close = difflib.get_close_matches(name, known, n=1)
            found.append(Mistake(name, "is no setting and does nothing", f"did you mean {close[0]}?" if close else ""))
    return found


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError((Mistake("", f"{file} cannot be read: {error.strerror}"),)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError((Mistake("", f"{file} is not TOML: {error}"),)) from None


def _from_environment() -> dict[str, Any]:
    return _Variables()()


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(under)
    for name, value in over.items():
        below = both.get(name)
        both[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both


def _mistakes(error: ValidationError) -> Iterator[Mistake]:
    for each in error.errors(include_url=False):
        path = [str(part) for part in each["loc"]]
        if each["type"] == "default_factory_not_called":
            continue  # what it is made from is wrong, and told
        if each["type"] == "extra_forbidden":
            yield Mistake(".".join(path), "there is no such setting", _nearest(path))
        else:
            yield Mistake(".".join(path), each["msg"].removeprefix("Value error, "))


def _nearest(path: list[str]) -> str:
    model = _model_at(path[:-1])
    names = list(model.model_fields)
    close = difflib.get_close_matches(path[-1], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {'.'.join([*path[:-1], *close])}?"
    return f"there are {', '.join(names)}"


def _model_at(path: list[str]) -> type[BaseModel]:
    model: type[BaseModel] = Config
    for part in path:
        if part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    """Return the model that an annotation holds: itself, or the item of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(each for each in get_args(annotation) if isinstance(each, type) and issubclass(each, BaseModel))
