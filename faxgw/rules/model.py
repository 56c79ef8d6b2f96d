"""What everything that a tenant or an operator may set has in common."""

from pydantic import BaseModel, ConfigDict


class Rules(BaseModel):
    """Settings as data: never changed in place, unknown fields refused, every field described."""

    model_config = ConfigDict(frozen=True, extra="forbid")
