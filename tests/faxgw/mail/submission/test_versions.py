"""Which TLS the submission server speaks, on both of its ports: every version, with good ciphers and with bad ones."""

import socket
import ssl

import pytest

from tests.faxgw.mail.submission.listening import Listening

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion")

V = ssl.TLSVersion
OLD, CBC, NO_SECRECY, GOOD = "ALL:@SECLEVEL=0", "ECDHE+AES+SHA256:ECDHE+SHA1", "RSA+AESGCM", "ECDHE+AESGCM"
MATRIX = [
    (V.TLSv1, OLD, False),
    (V.TLSv1_1, OLD, False),
    (V.TLSv1_2, CBC, False),
    (V.TLSv1_2, NO_SECRECY, False),
    (V.TLSv1_2, GOOD, True),
    (V.TLSv1_2, "ECDHE+CHACHA20", True),
    (V.TLSv1_3, GOOD, True),
]


@pytest.mark.requirement("FP-10", "WF-11", "XM-16")
@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "TLS"])
@pytest.mark.parametrize(("version", "ciphers", "taken"), MATRIX, ids=lambda value: getattr(value, "name", str(value)))
def test_only_tls_1_2_with_aead_and_forward_secrecy_and_1_3_are_spoken(
    server: Listening, version: ssl.TLSVersion, ciphers: str, taken: bool, implicit: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    port = server.ports.tls if implicit else server.ports.starttls
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        if not implicit:
            _begin(plain)
        try:
            with context.wrap_socket(plain) as protected:
                assert protected.recv(3) == b"220" if implicit else protected.version()
                said = protected.version()
        except (ssl.SSLError, ConnectionError):
            said = None
    assert (said is not None) is taken


def _begin(plain: socket.socket) -> None:
    for command in (None, b"EHLO me\r\n", b"STARTTLS\r\n"):
        if command:
            plain.sendall(command)
        assert plain.recv(1000)[:3] in (b"220", b"250")
