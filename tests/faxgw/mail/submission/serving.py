"""``python -m tests.faxgw.mail.submission.serving FOLDER``: the server alone in a process, in front of an empty desk.

Says its ports as ``STARTTLS TLS`` on one line, and serves until its standard input ends.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from faxgw.config import Config
from faxgw.config.model import LogSettings
from faxgw.logs import logging_to
from faxgw.mail.submission.port import Submission
from faxgw.mail.submission.server import Ports, SubmissionServer
from faxgw.tls import ServerTls
from tests.faxgw.mail.submission.listening import Book


class Empty(Book):
    """A desk that keeps nothing."""

    async def take(self, submission: Submission) -> str:
        return f"{len(submission.content)} octets"


async def main(folder: Path) -> None:
    many = {"connections": 5000, "connections_per_address": 5000}
    config = Config(data_dir=folder, submission={"port": 0, **many}, submissions={"port": 0})  # type: ignore[arg-type]

    def say(ports: Ports) -> None:
        print(ports.starttls, ports.tls, flush=True)

    serving = asyncio.create_task(SubmissionServer(config, Empty(), ServerTls(config.api, folder)).serve(say))
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()
    await asyncio.wait({serving})


if __name__ == "__main__":
    with logging_to(LogSettings(), sys.stderr):
        uvloop.run(main(Path(sys.argv[1])))
