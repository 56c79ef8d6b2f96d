"""The conversation before STARTTLS: it leads to TLS, or to its end, and nothing said in it counts afterwards."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from faxgw.mail.submission.commands import Command, Misspelt, decoded, plain
from faxgw.mail.submission.limits import Limits
from faxgw.mail.submission.wire import Gone, Slow, Wire

MOST_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Exposed:
    """A credential that crossed the network in clear; ``secret`` is None where only the login did."""

    login: str
    secret: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a conversation in clear ended.

    Attributes:
        protect: TLS is to be begun; else the connection is to be closed.
        reason: why it is closed, as metrics have it; empty: the client is done.
    """

    protect: bool = False
    reason: str = ""
    exposed: Exposed | None = None


async def until_starttls(wire: Wire, name: str, limits: Limits) -> Ended:
    """Talk until the client wants TLS, or does what it must not.

    Raises:
        Gone: the client went away.
    """
    until = asyncio.get_running_loop().time() + limits.sign_in
    wire.say(f"220 {name} ESMTP")
    try:
        for _ in range(MOST_COMMANDS):
            command = Command.read(await wire.line(until=until))
            ended = await _obey(wire, command, name)
            if ended is not None:
                return ended
        wire.say("421 4.7.0 Too many commands")
        return Ended(reason="limit")
    except Misspelt as wrong:
        wire.say(f"{wrong.code} {wrong.enhanced} {wrong.text}")
        return Ended(reason="malformed")
    except Slow:
        wire.say("421 4.4.2 That took too long")
        return Ended(reason="slow")


async def _obey(wire: Wire, command: Command, name: str) -> Ended | None:
    match command.verb:
        case "EHLO":
            wire.say(f"250-{name}", "250-ENHANCEDSTATUSCODES", "250 STARTTLS")
        case "NOOP":
            wire.say("250 2.0.0 OK")
        case "QUIT":
            wire.say("221 2.0.0 Bye")
            return Ended()
        case "STARTTLS":
            wire.hold()
            if wire.waiting:  # said in clear, to be believed as if it had been said under TLS
                wire.say("554 5.5.1 Nothing may follow STARTTLS")
                return Ended(reason="injected")
            if command.argument:
                wire.say("501 5.5.4 STARTTLS stands alone")
                return Ended(reason="malformed")
            wire.say("220 2.0.0 Go ahead")
            return Ended(protect=True)
        case _:
            wire.say("530 5.7.0 STARTTLS comes first; this connection is closed")
            return Ended(reason="clear", exposed=await _exposed(wire, command))
    return None


async def _exposed(wire: Wire, command: Command) -> Exposed | None:
    """Return the credential that was said in clear, if there was one: nobody is asked for the rest of it."""
    if command.verb != "AUTH":
        return None
    mechanism, _, answer = command.argument.partition(" ")
    answers = [each for each in (answer.strip(), *await _said_already(wire)) if each]
    with suppress(Misspelt):
        if mechanism.upper() == "PLAIN" and answers:
            return Exposed(*plain(answers[0]))
        if mechanism.upper() == "LOGIN" and answers:
            login, *secret = map(decoded, answers[:2])
            return Exposed(login, secret[0] if secret else None)
    return None


async def _said_already(wire: Wire) -> list[str]:
    """Return two lines more, if they are here: some machines do not wait to be asked for their credential."""
    said: list[str] = []
    with suppress(Misspelt, Gone, Slow):
        while wire.waiting and len(said) < 2:
            said.append((await wire.line(until=0)).decode("ascii", "replace"))
    return said
