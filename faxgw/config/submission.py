"""The settings of the listeners that devices submit mail to."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, IPvAnyNetwork, model_validator

from faxgw.documented import Documented

KIB, MIB, GIB = 2**10, 2**20, 2**30

Port = Annotated[int, Field(ge=0, le=65535)]


def _domain(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", name):
        raise ValueError("it is what stands after the @ of mail addresses, in small letters")
    return name


def _word(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9._-]{0,63}", name):
        raise ValueError("it is what stands before the @ of a mail address, in small letters, and no number")
    return name


class _Settings(Documented, BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class SubmissionSettings(_Settings):
    """Mail that devices submit, to be sent as faxes: the listener with STARTTLS, and what holds for both listeners."""

    enabled: bool = True
    """Whether faxes can be submitted by mail at all."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address that both listen on; 0.0.0.0 or :: for all of this machine's."""
    port: Port = 8587
    """The port to listen on with STARTTLS, which is required; 0 for any free one."""
    tls_minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS version to accept; with 1.2, only AEAD ciphers with forward secrecy are."""
    certificate: Annotated[Path | None, Field(examples=["/etc/faxgw/mail-cert.pem"])] = None
    """Certificate chain in PEM; if not given, that of the API."""
    certificate_key: Annotated[Path | None, Field(examples=["/etc/faxgw/mail-key.pem"])] = None
    """The certificate's private key in PEM, not encrypted; given if and only if the certificate is."""
    allowed: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.0.0.0/8", "2001:db8::/32"]])] = ()
    """Networks whose machines may connect; any, if none is named."""
    domains: Annotated[tuple[Annotated[str, AfterValidator(_domain)], ...], Field(examples=[["fax.example.com"]])] = ()
    """Domains that stand after the number in recipients; any, if none is named. Mail is never passed on to one."""
    subject_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(_word)], ...], Field(examples=[["fax", "send"]])
    ] = ("fax",)
    """What stands before the @ of recipients for which the number to call is the subject of the message."""
    max_message: Annotated[ByteSize, Field(ge=KIB, le=GIB)] = ByteSize(64 * MIB)
    """The largest message that may be submitted; base 64 makes a third more of a document."""
    max_memory: Annotated[ByteSize, Field(ge=KIB, le=64 * GIB)] = ByteSize(256 * MIB)
    """The most memory for messages that are just coming in; above it, devices are asked to come again later."""
    max_recipients: Annotated[int, Field(ge=1, le=1000)] = 100
    """The most recipients that one message may have."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """The most connections at the same time, of both listeners."""
    connections_per_address: Annotated[int, Field(ge=1, le=100_000)] = 100
    """The most connections at the same time from one address (IPv6: from one network /64)."""
    failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 20
    """How many times one address may fail to sign in, in a minute; then it is refused for a while."""
    slowest: Annotated[int, Field(ge=1, le=10**9)] = 1024
    """The least octets per second at which a message must come in, after half a minute; slower ones are cut off."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key belong together: give both or none")
        return self

    @model_validator(mode="after")
    def _memory_for_one(self) -> Self:
        if self.max_message > self.max_memory:
            raise ValueError("max_memory must be at least max_message: no message of that size could come in")
        return self


class SubmissionsSettings(_Settings):
    """The listener that begins with TLS; all else is as in `[submission]`."""

    port: Port = 8465
    """The port to listen on; 0 for any free one."""
