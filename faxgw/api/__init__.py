"""The REST API: what programs do with the gateway."""

from faxgw.api.app import create_app
from faxgw.api.serving import serve

__all__ = ["create_app", "serve"]
