"""Every setting of the service. Descriptions, limits and defaults here are the documentation: nothing repeats them."""

import os
import socket
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import httpx
from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, IPvAnyNetwork, SecretStr, model_validator

from faxgw.config.folders import DeliverySettings, SftpSettings
from faxgw.config.line import LineSettings
from faxgw.config.mail import MailSettings
from faxgw.config.oidc import OidcSettings
from faxgw.config.submission import SubmissionSettings, SubmissionsSettings
from faxgw.documented import Documented

KIB, MIB, GIB = 2**10, 2**20, 2**30

Port = Annotated[int, Field(ge=0, le=65535)]


def _postgresql(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith("postgresql://"):
        raise ValueError("it begins with postgresql://, as in postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


def _object_store(url: str) -> str:
    if url and not url.startswith(OBJECT_STORES):
        raise ValueError(f"it begins with one of {', '.join(OBJECT_STORES)}, as in s3://BUCKET/PREFIX")
    return url


def _ed25519(key: str) -> str:
    try:
        if len(b64decode(key, validate=True)) == 32:
            return key
    except ValueError:
        pass
    raise ValueError("it is 32 octets in base 64, as `faxgw advisories new-key` prints it")


def _size(least: int, most: int) -> Any:
    return Field(ge=least, le=most)


OBJECT_STORES = ("s3://", "gs://", "az://", "file:///")

PostgresUrl = Annotated[SecretStr, AfterValidator(_postgresql)]


def _role(name: str) -> Any:
    return Field(examples=[f"postgresql://{name}:PASSWORD@db.example/faxgw?sslmode=verify-full"])


class _Settings(Documented, BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DatabaseSettings(_Settings):
    """The PostgreSQL (15 or newer) to use: all three URLs, or none for a private one under the data directory."""

    url: Annotated[PostgresUrl | None, _role("faxgw_app")] = None
    """As the role that serves requests; row-level security must bind it."""
    owner_url: Annotated[PostgresUrl | None, _role("faxgw_owner")] = None
    """As the role that owns the tables and migrates them."""
    dispatcher_url: Annotated[PostgresUrl | None, _role("faxgw_dispatcher")] = None
    """As the role that claims calls for every tenant (BYPASSRLS)."""
    pool: Annotated[int, Field(ge=2, le=200)] = 10
    """The most connections that this node opens for each of these roles; as many again are for requests."""

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        if len({each is None for each in (self.url, self.owner_url, self.dispatcher_url)}) > 1:
            raise ValueError("url, owner_url and dispatcher_url belong together: give all three or none")
        return self

    @property
    def private(self) -> bool:
        """Whether the gateway runs its own PostgreSQL."""
        return self.url is None


class ObjectSettings(_Settings):
    """Where sealed documents and pages lie."""

    url: Annotated[str, AfterValidator(_object_store), Field(examples=["s3://fax/gateway"])] = ""
    """An object store: s3://, gs://, az:// or file:///; if empty, the folder "objects" of the data directory."""
    options: Annotated[dict[str, SecretStr], Field(examples=[{"aws_region": "eu-central-1"}])] = {}
    """Options of that store, such as aws_region, aws_access_key_id and aws_secret_access_key."""


class ApiSettings(_Settings):
    """The HTTPS API."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on; 0.0.0.0 or :: for all of this machine's."""
    port: Port = 8443
    """The port to listen on; 0 for any free one, which is printed at the start."""
    tls_minimum: Literal["1.2", "1.3"] = "1.3"
    """The oldest TLS version to accept. With 1.2, only AEAD ciphers with forward secrecy are."""
    certificate: Annotated[Path | None, Field(examples=["/etc/faxgw/cert.pem"])] = None
    """Certificate chain in PEM; if not given, one is made for this machine on the first start."""
    certificate_key: Annotated[Path | None, Field(examples=["/etc/faxgw/key.pem"])] = None
    """The certificate's private key in PEM, not encrypted; given if and only if the certificate is."""
    allowed: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.0.0.0/8", "2001:db8::/32"]])] = ()
    """Networks whose machines may connect; any, if none is named."""
    max_body: Annotated[ByteSize, _size(KIB, 10 * GIB)] = ByteSize(64 * MIB)
    """The largest document that may be uploaded."""
    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 500
    """How many requests one API key may make in a second; more get 429."""
    failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = 20
    """How many requests with a wrong key one address may make in a minute; then it gets 429."""

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.certificate_key is None):
            raise ValueError("certificate and certificate_key belong together: give both or none")
        return self


def _web_address(url: str) -> str:
    parts = httpx.URL(url)
    if url and (
        parts.scheme != "https" or not parts.host or parts.userinfo or str(parts.copy_with(raw_path=b"/")) != f"{url}/"
    ):
        raise ValueError("it is https://HOST or https://HOST:PORT and nothing more")
    return url


class PeopleSettings(_Settings):
    """How people reach this gateway in a browser: what passkeys and identity providers go by."""

    url: Annotated[str, AfterValidator(_web_address), Field(examples=["https://fax.example.com"])] = ""
    """The address that people see, without a path; while it is empty, there are neither passkeys nor providers."""
    rp_id: Annotated[str, Field(pattern=r"^[a-z0-9.-]*$", examples=["example.com"])] = ""
    """The host that passkeys belong to: that of the url, if empty, or one above it. Change it, and none fits."""

    @model_validator(mode="after")
    def _above(self) -> Self:
        if self.rp_id and not f".{httpx.URL(self.url).host}".endswith(f".{self.rp_id}"):
            raise ValueError("url and rp_id belong together: fax.example.com may have example.com, or none")
        return self

    @property
    def passkey_host(self) -> str:
        """The host that passkeys belong to; empty: there are none."""
        return self.rp_id or httpx.URL(self.url).host


class PrivateSettings(_Settings):
    """The listener for health and metrics: plain HTTP without a password, for this machine's own eyes."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on."""
    port: Port = 8444
    """The port to listen on; 0 for any free one, which is printed at the start."""


class SandboxSettings(_Settings):
    """The simulated exchange behind sim: lines."""

    speed: Annotated[float, Field(gt=0, le=1000)] = 10
    """How many times faster than real its clock runs."""


class RenderingSettings(_Settings):
    """How documents become fax pages: in worker processes with these limits."""

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Documents that are converted at the same time."""
    seconds: Annotated[float, Field(ge=1, le=3600)] = 300
    """The longest that one document may take."""
    memory: Annotated[ByteSize, _size(256 * MIB, 64 * GIB)] = ByteSize(GIB)
    """The most memory that one worker may use."""
    max_pages: Annotated[int, Field(ge=1, le=10_000)] = 500
    """The most pages that one document may have."""


class DispatchSettings(_Settings):
    """How calls are handed to lines."""

    lease: Annotated[float, Field(ge=1, le=3600)] = 60
    """Seconds after which another node takes over the calls of one that is silent."""
    renew: Annotated[float, Field(ge=0.1, le=1200)] = 10
    """Seconds between two signs of life of this node."""
    max_call: Annotated[float, Field(ge=60, le=86_400)] = 3600
    """The longest that a call may last, in seconds of the line's clock."""

    @model_validator(mode="after")
    def _renewed_in_time(self) -> Self:
        if self.renew * 3 > self.lease:
            raise ValueError("renew must be at most a third of lease, so that one lost sign of life costs no call")
        return self


class WebhookSettings(_Settings):
    """Messages to other programs."""

    allow_private: Annotated[tuple[IPvAnyNetwork, ...], Field(examples=[["10.1.2.0/24"]])] = ()
    """Private or local networks that webhooks may reach all the same."""
    timeout: Annotated[float, Field(ge=1, le=60)] = 15
    """The longest that a receiver may take to answer, in seconds."""
    trust: Annotated[Path | None, Field(examples=["/etc/faxgw/company-ca.pem"])] = None
    """Certificate authorities in PEM that receivers may have besides the public ones, such as a company's own."""


class TaskSettings(_Settings):
    """Work in the background: webhooks, deletion of what is due."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """Background tasks that run at the same time on this node."""


class StorageSettings(_Settings):
    """What is kept, and the disk under the data directory."""

    reserve: Annotated[Annotated[ByteSize, _size(MIB, 1024 * GIB)] | None, Field(examples=["512MiB"])] = None
    """Free space under which nothing new is taken; if not given, a twentieth of the disk, 4 MiB to 1 GiB."""
    keep_events_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long the single steps of a finished fax are kept, in days."""

    def keep_free(self, disk: int) -> int:
        """Return the free bytes under which nothing new is taken, of a disk of ``disk`` bytes."""
        return self.reserve if self.reserve is not None else min(max(disk // 20, 4 * MIB), GIB)


class AdvisorySettings(_Settings):
    """Where to look, at the start and every day, for known faults of this version; nowhere by default."""

    file: Annotated[Path | None, Field(examples=["/etc/faxgw/advisories.json"])] = None
    """A signed feed in a file; not looked at when there is a url."""
    url: Annotated[str, Field(examples=["https://updates.example/faxgw-advisories.json"])] = ""
    """The address of a signed feed, fetched by the rules for webhooks; nothing is ever fetched while it is empty."""
    keys: Annotated[
        tuple[Annotated[str, AfterValidator(_ed25519)], ...],
        Field(examples=[["/eeA3s7B4Zy8YVd9tUu2mOqJzr4N1h0cVb5gKxW6iD8="]]),
    ] = ()
    """Public keys (Ed25519, base 64) whose feeds are believed besides the project's."""


class LogSettings(_Settings):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important thing to log."""
    format: Literal["auto", "json", "console"] = "auto"
    """One JSON object per line, or text for people; auto: text where a person looks at a terminal."""


def _data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/faxgw")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "faxgw"


def _whole_path(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (resolve() would follow links)


def _beside(values: dict[str, Any]) -> Path:
    data_dir: Path = values["data_dir"]
    return data_dir.with_name(f"{data_dir.name}.spool_keys")


def _node() -> str:
    return socket.gethostname()[:63] or "node"


class Config(_Settings):
    """The configuration of one node. ``Config()`` is a working service with a simulated line."""

    data_dir: Annotated[Path, AfterValidator(_whole_path)] = Field(default_factory=_data_dir, examples=["/srv/faxgw"])
    """Where everything is stored but the spool keys; if not given, /var/lib/faxgw for root, else
    ~/.local/share/faxgw."""
    spool_keys: Annotated[Path, AfterValidator(_whole_path)] = Field(
        default_factory=_beside, examples=["/srv/faxgw.spool_keys"]
    )
    """Where the keys to faxes under way lie: outside the data directory, never in a backup; if not given,
    beside the data directory with ".spool_keys" after its name."""
    server_keys: Annotated[Path, AfterValidator(_whole_path)] = Field(
        default_factory=lambda values: values["data_dir"] / "server_keys", examples=["/srv/faxgw/server_keys"]
    )
    """Where the keys lie that API keys and webhooks are checked with, and that open numbers and names in the database,
    which are lost without them: the same files on every node of a database, and in its backups; if not given,
    "server_keys" in the data directory."""
    node: Annotated[str, Field(pattern=r"^[^\s/]{1,63}$", examples=["fax-1"])] = Field(default_factory=_node)
    """What this node is called in the log and in metrics; if not given, the machine's name."""
    database: DatabaseSettings = DatabaseSettings()
    objects: ObjectSettings = ObjectSettings()
    api: ApiSettings = ApiSettings()
    people: PeopleSettings = PeopleSettings()
    oidc: tuple[OidcSettings, ...] = ()
    private: PrivateSettings = PrivateSettings()
    submission: SubmissionSettings = SubmissionSettings()
    submissions: SubmissionsSettings = SubmissionsSettings()
    lines: tuple[LineSettings, ...] = (LineSettings(name="sim", url="sim:15550199", ident="+1 555 0199"),)
    sandbox: SandboxSettings = SandboxSettings()
    rendering: RenderingSettings = RenderingSettings()
    dispatch: DispatchSettings = DispatchSettings()
    webhooks: WebhookSettings = WebhookSettings()
    delivery: DeliverySettings = DeliverySettings()
    mail: MailSettings = MailSettings()
    sftp: SftpSettings = SftpSettings()
    tasks: TaskSettings = TaskSettings()
    storage: StorageSettings = StorageSettings()
    advisories: AdvisorySettings = AdvisorySettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _keys_elsewhere(self) -> Self:
        if self.spool_keys.is_relative_to(self.data_dir):
            raise ValueError("spool_keys must lie outside data_dir: a copy of data_dir would open the faxes under way")
        return self

    @model_validator(mode="after")
    def _providers_can_be_used(self) -> Self:
        names = [each.name for each in self.oidc]
        if len(set(names)) < len(names):
            raise ValueError("two identity providers have the same name")
        if names and not self.people.url:
            raise ValueError("an identity provider sends people back to people.url: give it")
        if any(each.invite and len(each.tenants) > 1 for each in self.oidc):
            raise ValueError("an identity provider with invite has one tenant")
        return self

    @model_validator(mode="after")
    def _lines_differ(self) -> Self:
        for what, given in (
            ("name", [line.name for line in self.lines]),
            ("port", [f"{line.scheme}:{line.address}" for line in self.lines if line.scheme != "sip"]),
            ("url", [line.url for line in self.lines if line.scheme == "sip"]),
        ):
            twice = sorted({each for each in given if given.count(each) > 1})
            if twice:
                raise ValueError(f"two lines have the same {what}: {', '.join(twice)}")
        return self

    @property
    def has_sandbox(self) -> bool:
        """Whether there is a simulated line, and with it the sandbox."""
        return any(line.scheme == "sim" for line in self.lines)
