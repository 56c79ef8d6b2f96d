"""A client of FTP over TLS (RFC 4217) by what the standard library has, with every way protected or none used."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ftplib import FTP, FTP_TLS, error_perm, error_proto, error_reply, error_temp, parse227, parse229
from hashlib import sha256

from faxgw.folders.folder import AT_ONCE, Hop

SECONDS = 30.0
"""Without an octet, before a connection is given up."""
MOST_LINES = 100_000
"""Of answers in one connection: a server that talks without end is no use."""


class NoTls(Exception):
    """The server will not have it protected; the text says what."""


class OtherCertificate(Exception):
    """The way for files leads to somebody else than the one for commands."""


class FtpsClient(FTP_TLS):
    """One connection; it blocks, and ends whatever it is doing when it is cut."""

    def __init__(self, made: socket.socket, host: str, context: ssl.SSLContext) -> None:
        """Take a connection that nothing was said on yet."""
        super().__init__(context=context, timeout=SECONDS)
        made.setblocking(True)
        made.settimeout(SECONDS)
        self.sock, self.host, self.af = made, host, made.family
        self._switches = [made.dup()]
        self._lines = 0
        self._features = ""

    def protect(self, *, at_once: bool) -> None:
        """Have the commands go over TLS, and the files, too, before anybody signs in.

        Raises:
            NoTls: if the server will not; nothing was said but that it should.
            ssl.SSLError: if it cannot, or is not who it should be.
        """
        assert self.sock is not None
        if at_once:
            self.sock = self.context.wrap_socket(self.sock, server_hostname=self.host)
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        if not at_once:
            self._authenticate()
        self._protected_before = self._protect_files()

    def sign_in(self, user: str, password: str) -> None:
        """Sign in, and have files go as they are."""
        self.login(user, password)
        if not self._protected_before and not self._protect_files():
            raise NoTls("files")
        self.voidcmd("TYPE I")
        with suppress(error_perm):
            self._features = self.sendcmd("FEAT").upper()

    @property
    def hop(self) -> Hop:
        """How the connection is protected."""
        secured = self._secured
        cipher = secured.cipher()
        return Hop(
            protocol=secured.version() or "",
            decision="require-verified",
            cipher=cipher[0] if cipher else "",
            peer=_certificate(secured),
        )

    def read(self, name: str) -> Iterator[bytes]:
        """Read a file, piece by piece."""
        with self._transfer(f"RETR {name}") as data:
            while octets := data.recv(AT_ONCE):
                yield octets

    def write(self, name: str, content: bytes) -> None:
        """Write a file anew."""
        with self._transfer(f"STOR {name}") as data:
            data.sendall(content)

    def is_there(self, name: str) -> bool:
        """Tell whether something has that name."""
        if "MLST" in self._features:
            try:
                self.sendcmd(f"MLST {name}")
            except error_perm:
                return False
            return True
        return name in self._names()

    def cut(self) -> None:
        """End the connections, whichever thread waits for them."""
        for switch in self._switches:
            with suppress(OSError):
                switch.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of everything, without a word."""
        super().close()
        for switch in self._switches:
            switch.close()

    def makepasv(self) -> tuple[str, int]:
        """Ask for a port; its host is the one that we have reached, whatever the server says."""
        assert self.sock is not None
        peer = self.sock.getpeername()
        try:
            return parse229(self.sendcmd("EPSV"), peer)
        except error_perm:
            return peer[0], parse227(self.sendcmd("PASV"))[1]

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[ssl.SSLSocket, int | None]:
        """Begin a transfer, in the same TLS session, as many servers want it."""
        data, size = FTP.ntransfercmd(self, cmd, rest)
        self._switches.append(data.dup())
        protected = self.context.wrap_socket(data, server_hostname=self.host, session=self._secured.session)
        if _certificate(protected) != _certificate(self._secured):
            protected.close()
            raise OtherCertificate
        return protected, size

    def getline(self) -> str:
        """Read one line of an answer."""
        self._lines += 1
        if self._lines > MOST_LINES:
            raise error_proto("too many lines")
        return super().getline()

    @property
    def _secured(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def _authenticate(self) -> None:
        clear = self.file
        try:
            self.auth()
        except (error_perm, error_temp, error_reply) as error:
            raise NoTls("anything") from error
        if clear is not None:
            clear.close()  # with what came in clear after the answer

    def _protect_files(self) -> bool:
        """Have files go over TLS; return False if the server wants to know first who asks."""
        try:
            self.prot_p()
        except error_perm as error:
            if str(error)[:3] in ("503", "530"):
                return False
            raise NoTls("files") from error
        return True

    def _names(self) -> set[str]:
        try:
            return {line.rpartition("/")[2] for line in self.nlst()}
        except error_perm:
            return set()

    @contextmanager
    def _transfer(self, command: str) -> Iterator[ssl.SSLSocket]:
        data, _ = self.ntransfercmd(command)
        switch = self._switches[-1]
        try:
            yield data
            # What the other side says of the end of TLS tells nothing: the answer below does, and the hash after it.
            with suppress(OSError):
                data.unwrap()
        finally:
            data.close()
            self._switches.remove(switch)
            switch.close()
        self.voidresp()


def _certificate(connection: ssl.SSLSocket) -> str:
    return sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
