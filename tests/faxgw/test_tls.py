"""The HTTPS listener's certificate and TLS: what may be spoken (FP-10, WF-11), what is made, what is renewed."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from faxgw.config.model import ApiSettings
from faxgw.errors import RequestError
from faxgw.tls import RENEW, VALID, ServerTls, make_certificate

V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
REFUSED = r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL"


def client(
    certificate: Path, *, at_least: ssl.TLSVersion, at_most: ssl.TLSVersion, ciphers: str = ""
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.minimum_version, context.maximum_version = at_least, at_most
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> tuple[str, str]:
    """Let the two agree over memory; return the version and the cipher."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    cipher = ends[0].cipher()
    assert cipher is not None
    return ends[0].version() or "", cipher[0]


def certificate_of(client: ssl.SSLContext, server: ssl.SSLContext) -> bytes:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far, near):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return near.getpeercert(binary_form=True) or b""


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    return ServerTls(ApiSettings(), tmp_path)


def test_fp10_tls_1_3_is_spoken_with_a_certificate_that_a_strict_client_takes(tls: ServerTls) -> None:
    for name in ("localhost", "127.0.0.1", "::1"):
        newest = client(tls.certificate, at_least=V1_3, at_most=V1_3)
        assert handshake(newest, tls.context, name)[0] == "TLSv1.3"


def test_fp10_tls_1_2_is_refused_by_default(tls: ServerTls) -> None:
    with pytest.raises(ssl.SSLError, match=REFUSED):
        handshake(client(tls.certificate, at_least=V1_2, at_most=V1_2), tls.context)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.parametrize("minimum", ["1.2", "1.3"])
def test_wf11_older_versions_are_refused_whatever_is_configured(
    tmp_path: Path, version: ssl.TLSVersion, minimum: str
) -> None:
    tls = ServerTls(ApiSettings.model_validate({"tls_minimum": minimum}), tmp_path)
    old = client(tls.certificate, at_least=version, at_most=version, ciphers="ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=REFUSED):
        handshake(old, tls.context)


@pytest.mark.parametrize(
    ("ciphers", "works"),
    [
        ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-ECDSA-AES256-SHA384", False),  # CBC
        ("ECDHE-ECDSA-AES128-SHA", False),  # CBC
    ],
)
def test_wf11_tls_1_2_by_opt_in_is_aead_with_forward_secrecy_only(tmp_path: Path, ciphers: str, works: bool) -> None:
    tls = ServerTls(ApiSettings(tls_minimum="1.2"), tmp_path)
    near = client(tls.certificate, at_least=V1_2, at_most=V1_2, ciphers=ciphers)
    if works:
        assert handshake(near, tls.context) == ("TLSv1.2", ciphers)
    else:
        with pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|NO_SHARED_CIPHER"):
            handshake(near, tls.context)


def test_wf11_every_cipher_offered_is_aead_with_forward_secrecy(tmp_path: Path) -> None:
    for cipher in ServerTls(ApiSettings(tls_minimum="1.2"), tmp_path).context.get_ciphers():
        assert cipher["aead"] and cipher["kea"] in ("kx-any", "kx-ecdhe"), cipher["name"]


def test_the_key_is_readable_for_us_alone(tls: ServerTls) -> None:
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(tls.key.parent.stat().st_mode) == 0o700


def test_the_certificate_stays_from_start_to_start(tls: ServerTls, tmp_path: Path) -> None:
    before = tls.certificate.read_bytes()
    assert ServerTls(ApiSettings(), tmp_path).certificate.read_bytes() == before


@pytest.mark.parametrize("lost", ["cert.pem", "key.pem"])
def test_half_a_pair_left_by_a_crash_is_made_anew(tls: ServerTls, tmp_path: Path, lost: str) -> None:
    make_certificate(tmp_path / "other" / "cert.pem", tmp_path / "other" / "key.pem")
    (tmp_path / "other" / lost).replace(tmp_path / "tls" / lost)
    again = ServerTls(ApiSettings(), tmp_path)
    handshake(client(again.certificate, at_least=V1_3, at_most=V1_3), again.context)


def test_our_own_certificate_is_renewed_before_its_end_and_new_connections_get_it(tls: ServerTls) -> None:
    before = tls.certificate.read_bytes()
    almost = datetime.now(UTC) + VALID - RENEW
    assert not tls.refresh(almost - timedelta(days=1))
    assert tls.refresh(almost + timedelta(days=1))
    after = tls.certificate.read_text()
    assert after.encode() != before
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    assert certificate_of(anyone, tls.context) == ssl.PEM_cert_to_DER_cert(after)


def test_a_given_certificate_is_used_taken_up_when_it_changes_and_kept_while_the_new_one_is_broken(
    tmp_path: Path,
) -> None:
    certificate, key = tmp_path / "given.pem", tmp_path / "given.key"
    make_certificate(certificate, key)
    tls = ServerTls(ApiSettings(certificate=certificate, certificate_key=key), tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert not tls.refresh()
    first = tmp_path / "first.pem"
    first.write_bytes(certificate.read_bytes())

    make_certificate(tmp_path / "next.pem", tmp_path / "next.key")
    (tmp_path / "next.pem").replace(certificate)
    with pytest.raises(RequestError, match="no certificate with its key"):
        tls.refresh()
    handshake(client(first, at_least=V1_3, at_most=V1_3), tls.context)

    (tmp_path / "next.key").replace(key)
    assert tls.refresh()
    handshake(client(certificate, at_least=V1_3, at_most=V1_3), tls.context)


def test_a_given_key_with_a_password_is_said_so_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "given.pem", tmp_path / "given.key"
    make_certificate(certificate, key)
    clear = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(clear.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(RequestError, match="the key is encrypted"):
        ServerTls(ApiSettings(certificate=certificate, certificate_key=key), tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_given_key_that_cannot_be_used_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    certificate, key = tmp_path / "given.pem", tmp_path / "given.key"
    make_certificate(certificate, key)
    key.unlink()
    if content is not None:
        key.write_bytes(content)
    with pytest.raises(RequestError, match=r"given\.key"):
        ServerTls(ApiSettings(certificate=certificate, certificate_key=key), tmp_path)
