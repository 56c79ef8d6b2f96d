"""The configuration of the service: one model, read from a TOML file and the environment."""

from faxgw.config.line import LineSettings
from faxgw.config.model import Config
from faxgw.config.reading import ConfigError, Mistake, load

__all__ = ["Config", "ConfigError", "LineSettings", "Mistake", "load"]
