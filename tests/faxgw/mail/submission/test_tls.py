"""Every cipher that OpenSSL knows, resumption and certificates; ``test_versions.py`` has the versions on both ports."""

import ssl
import subprocess
import warnings
from pathlib import Path

import pytest

from faxgw.config import Config
from faxgw.tls import ServerTls, listener_context, make_certificate
from tests.faxgw.mail.submission.listening import Listening, listening
from tests.faxgw.mail.submission.probe import Probe, protected, trusting
from tests.faxgw.test_tls import certificate_of, client, handshake

pytestmark = pytest.mark.requirement("WF-11")

V = ssl.TLSVersion
GOOD_1_2 = {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}
GOOD_1_3 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


def offered(version: ssl.TLSVersion, ciphers: str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0") -> ssl.SSLContext:
    """Return a client that offers one version, and all ciphers or one, however bad."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def reached(listening: Listening, context: ssl.SSLContext, *, implicit: bool) -> str | None:
    """Return the version that was agreed on; None: the connection was closed."""
    with Probe(listening.ports.tls if implicit else listening.ports.starttls) as probe:
        if not implicit:
            probe.hear()
            probe.ask("EHLO a")
            probe.ask("STARTTLS")
        try:
            probe.wrap(context)
        except (ssl.SSLError, ConnectionError):
            return None
        assert isinstance(probe.socket, ssl.SSLSocket)
        return probe.socket.version()


def test_of_all_ciphers_that_openssl_knows_only_aead_with_forward_secrecy_pass(tmp_path: Path) -> None:
    tls = ServerTls(Config(data_dir=tmp_path).api, tmp_path)
    context = listener_context("1.2")
    tls.certify(context)
    passed = set()
    for each in offered(V.TLSv1_2).get_ciphers():
        if each["name"].startswith("TLS_"):
            continue
        try:
            passed.add(handshake(offered(V.TLSv1_2, f"{each['name']}:@SECLEVEL=0"), context)[1])
        except ssl.SSLError:
            continue
    assert passed == GOOD_1_2


@pytest.mark.parametrize("suite", sorted(GOOD_1_3))
def test_each_suite_of_1_3_passes(server: Listening, suite: str) -> None:
    where = f"127.0.0.1:{server.ports.tls}"
    command = ["openssl", "s_client", "-connect", where, "-tls1_3", "-ciphersuites", suite, "-brief"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=20, check=False)
    assert suite in done.stderr.decode(), done.stderr


def test_only_1_3_where_the_settings_say_so(tmp_path: Path) -> None:
    with listening(tmp_path, tls_minimum="1.3") as server:
        assert reached(server, offered(V.TLSv1_2), implicit=True) is None
        assert reached(server, offered(V.TLSv1_3), implicit=True) == "TLSv1.3"


def test_a_session_is_resumed(server: Listening) -> None:
    context = trusting(server.certificate)
    context.maximum_version = V.TLSv1_2
    with Probe(server.ports.tls) as first:
        first.wrap(context)
        first.hear()
        assert isinstance(first.socket, ssl.SSLSocket)
        session = first.socket.session
    with Probe(server.ports.tls) as second:
        second.socket = context.wrap_socket(second.socket, server_hostname="localhost", session=session)
        assert second.hear().startswith("220 ")
        assert isinstance(second.socket, ssl.SSLSocket) and second.socket.session_reused


def test_a_certificate_of_its_own_is_shown_and_otherwise_that_of_the_api_renewed_with_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "own" / "cert.pem", tmp_path / "own" / "key.pem"
    make_certificate(certificate, key)
    with listening(tmp_path, certificate=certificate, certificate_key=key) as server:
        with Probe(server.ports.tls) as probe:
            probe.wrap(trusting(certificate))
            assert probe.hear().startswith("220 ")
        assert server.server.tls.certificate == certificate
    tls = ServerTls(Config(data_dir=tmp_path).api, tmp_path)
    context = listener_context("1.2")
    tls.certify(context)
    anyone = offered(V.TLSv1_3, "ALL:@SECLEVEL=0")
    before = certificate_of(anyone, context)
    make_certificate(tls.certificate, tls.key)
    assert tls.refresh()
    after = certificate_of(client(tls.certificate, at_least=V.TLSv1_3, at_most=V.TLSv1_3), context)
    assert before and after and before != after


def test_the_certificate_is_one_that_a_strict_client_takes(server: Listening) -> None:
    with protected(server, implicit=True) as probe:
        assert isinstance(probe.socket, ssl.SSLSocket)
        assert probe.socket.getpeercert()
