"""Targets: mailboxes and folders outside that faxes are delivered to, as a tenant sets them up.

``Target.settings`` is what anybody who manages targets may see; secrets are apart, sealed under the server's key, and
are never shown again.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from faxgw.delivery.naming import FIELDS, check_template
from faxgw.errors import RequestError
from faxgw.keys.tokens import ServerKeys
from faxgw.rules.model import Rules

Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$", examples=["sftp.example.com"])]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f\\]*$", examples=["in/fax"])]
Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Pem = Annotated[str, Field(max_length=20_000)]

TEMPLATE = "{received:%Y%m%d-%H%M%S}_{fax}"
"""The name of a file, where a target has no template of its own: it names nobody."""


class ByAge(Rules):
    """Encrypt what is laid down with age."""

    kind: Literal["age"] = Field(description="With age.")
    recipients: tuple[Annotated[str, Field(max_length=5000)], ...] = Field(
        min_length=1, max_length=20, description="Public keys of those who may open it: age1..., or of SSH."
    )


class BySmime(Rules):
    """Encrypt with S/MIME: a message whole, a file as CMS."""

    kind: Literal["smime"] = Field(description="With S/MIME.")
    certificates: tuple[Pem, ...] = Field(
        min_length=1, max_length=20, description="Certificates, in PEM, of those who may open it."
    )


class ByPdf(Rules):
    """Encrypt the PDF itself with AES-256; its password is the target's secret `pdf_password`."""

    kind: Literal["pdf"] = Field(description="The PDF itself.")


Sealing = Annotated[ByAge | BySmime | ByPdf, Field(discriminator="kind")]


class _Place(Rules):
    """What all targets have."""

    sealing: Sealing | None = Field(
        default=None,
        description="Encrypt each file before it leaves; null: the way there is protected, the file is not.",
    )
    attested: bool = Field(
        default=False,
        description="Somebody has attested that what is kept there is encrypted; without that, boxes with personal "
        "data deliver only what is encrypted.",
    )


class MailTarget(_Place):
    """A mailbox."""

    kind: Literal["mail"] = Field(description="A mailbox.")
    address: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$", examples=["fax@clinic.example"])] = (
        Field(description="Whose it is.")
    )
    protection: Literal["require-verified", "require-encrypted", "link-only"] | None = Field(
        default=None, description="How the way there must be protected; null: as the tenant's policy says."
    )
    baa_attested: bool = Field(
        default=False, description="Whoever runs the mailbox has signed a business associate agreement (HIPAA)."
    )
    link_hours: int = Field(default=72, ge=1, le=24 * 90, description="How long a link in a mail opens the fax.")
    link_openings: int = Field(default=5, ge=1, le=100, description="How many times it does.")


class _FolderPlace(_Place):
    """What all folders have."""

    folder: Folder = Field(default="", description="The folder; it must be there.")
    template: Annotated[str, Field(max_length=200), AfterValidator(check_template)] = Field(
        default=TEMPLATE,
        description="The name of a file, without its ending: letters, digits, _ - + and the fields "
        f"{', '.join(FIELDS)} in braces; {{received}} in UTC, by %Y %m %d %H %M %S. Without {{fax}}, that is added, "
        "and so is {target} where the files are encrypted.",
        examples=[TEMPLATE],
    )
    sidecar: bool = Field(default=True, description="Lay a JSON file beside each fax that says what it is.")
    full_numbers: bool = Field(
        default=False,
        description="Whether names and sidecars have telephone numbers whole, or masked. Where files are encrypted, "
        "names have them masked and sidecars not at all.",
    )


class SftpTarget(_FolderPlace):
    """A folder reached by SFTP."""

    kind: Literal["sftp"] = Field(description="A folder reached by SFTP.")
    host: Host = Field(description="Its name or address.")
    port: Port = Field(default=22, description="Its port.")
    user: Words = Field(description="Who signs in there.")
    host_keys: tuple[Annotated[str, Field(max_length=5000)], ...] = Field(
        min_length=1, max_length=20, description="Public keys of that host, as in known_hosts; no other is taken."
    )


class ScpTarget(_FolderPlace):
    """A folder reached by SCP."""

    kind: Literal["scp"] = Field(description="A folder reached by SCP.")
    host: Host = Field(description="Its name or address.")
    port: Port = Field(default=22, description="Its port.")
    user: Words = Field(description="Who signs in there.")
    host_keys: tuple[Annotated[str, Field(max_length=5000)], ...] = Field(
        min_length=1, max_length=20, description="Public keys of that host, as in known_hosts; no other is taken."
    )


class FtpsTarget(_FolderPlace):
    """A folder reached by FTP over TLS; there is no FTP without."""

    kind: Literal["ftps"] = Field(description="A folder reached by FTP over TLS.")
    host: Host = Field(description="Its name or address.")
    port: Port = Field(default=21, description="Its port.")
    implicit: bool = Field(default=False, description="TLS from the first octet on, as on port 990.")
    user: Words = Field(description="Who signs in there.")
    authorities: Pem = Field(
        default="", description="Certificate authorities in PEM besides the public ones, or the server's certificate."
    )


class LocalTarget(_FolderPlace):
    """A folder of the gateway's machine, or mounted there, below one that its operator has opened for this."""

    kind: Literal["local"] = Field(description="A folder of the gateway's machine.")
    readable_by: Literal["owner", "group"] = Field(
        default="owner",
        description="Who may read what is put down: the gateway's own user, or the folder's group, too.",
    )


class S3Target(_FolderPlace):
    """A bucket of an S3-compatible store."""

    kind: Literal["s3"] = Field(description="A bucket of an S3-compatible store.")
    bucket: Annotated[str, Field(min_length=3, max_length=63, pattern=r"^[a-z0-9.-]+$")] = Field(
        description="Its name."
    )
    endpoint: Annotated[str, Field(max_length=500)] = Field(
        default="", description="https://HOST of the store; empty: AWS.", examples=["https://s3.example.com"]
    )
    region: Words = Field(default="us-east-1", description="Of the bucket.")
    access_key_id: Words = Field(default="", description="Who signs in there; the secret key is the secret `password`.")
    authorities: Pem = Field(
        default="", description="Certificate authorities in PEM besides the public ones, or the server's certificate."
    )
    server_encryption: Literal["", "AES256", "aws:kms"] = Field(
        default="", description="Have the store encrypt, too; empty: as the bucket is set."
    )


Settings = MailTarget | SftpTarget | ScpTarget | FtpsTarget | LocalTarget | S3Target


def _no_plain_ftp(given: Any) -> Any:
    if isinstance(given, dict) and (
        given.get("kind") == "ftp" or any(str(given.get(name)).startswith("ftp://") for name in ("host", "endpoint"))
    ):
        raise RequestError(
            "target.plain_ftp",
            "FTP sends passwords and faxes in clear, so it does not exist here: use sftp, ftps or scp.",
        )
    return _with_tuples(given)


def _with_tuples(given: Any) -> Any:
    """Return what was read from JSON with tuples for lists: once looked at, it is held strictly to Python's types."""
    if isinstance(given, dict):
        return {name: _with_tuples(each) for name, each in given.items()}
    return tuple(map(_with_tuples, given)) if isinstance(given, list) else given


AnySettings = Annotated[Annotated[Settings, Field(discriminator="kind")], BeforeValidator(_no_plain_ftp)]
SETTINGS: TypeAdapter[Settings] = TypeAdapter(AnySettings)
"""Reads settings back from a row."""


class TargetSecret(Rules):
    """What opens a target, and what only its readers have besides."""

    password: Annotated[str, Field(max_length=1000, repr=False, description="Of the user; of S3, the secret key.")] = ""
    private_key: Annotated[str, Field(max_length=20_000, repr=False, description="In OpenSSH's form, not locked.")] = ""
    pdf_password: Annotated[
        str, Field(max_length=127, repr=False, description="That opens the PDF, where it is encrypted.")
    ] = ""

    @model_validator(mode="after")
    def _no_lines(self) -> Self:
        if any(sign in self.password + self.pdf_password for sign in "\r\n\0"):
            raise ValueError("a password has no line breaks")
        return self

    def sealed(self, keys: ServerKeys, target_id: UUID) -> bytes:
        """Return what is stored."""
        return keys.seal_small(self.model_dump_json(exclude_defaults=True).encode(), context=_context(target_id))

    @classmethod
    def opened(cls, keys: ServerKeys, target_id: UUID, stored: bytes | None) -> "TargetSecret":
        """Return it from what is stored; from nothing, an empty one.

        Raises:
            SmallSealBroken: if it was sealed for another target, or by another server.
        """
        if not stored:
            return cls()
        return cls.model_validate_json(keys.open_small(stored, context=_context(target_id)))


def _context(target_id: UUID) -> bytes:
    return b"target" + target_id.bytes


@dataclass(frozen=True, slots=True)
class Target:
    """One target, ready to be used."""

    id: UUID
    tenant_id: UUID
    name: str
    settings: Settings
    secret: TargetSecret = field(default_factory=TargetSecret, repr=False)

    @property
    def kind(self) -> str:
        """Which kind of place it is."""
        return self.settings.kind

    @classmethod
    def of(cls, row: Any, keys: ServerKeys) -> "Target":
        """Return a row of ``targets`` as what it is.

        Raises:
            SmallSealBroken: if its secret cannot be opened with these keys.
        """
        secret = TargetSecret.opened(keys, row["id"], row["secret"])
        return cls(row["id"], row["tenant_id"], row["name"], SETTINGS.validate_python(row["settings"]), secret)
