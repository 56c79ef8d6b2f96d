"""SIP trunks: does their URL make sense, is the trunk found, does it answer."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from drivers.registry import LineUrl
from faxgw.config import Config, LineSettings
from faxgw.doctor.finding import Finding, Machine, bad, ok
from t30.line import LineError


def urls(config: Config, machine: Machine) -> Iterator[Finding]:  # noqa: ARG001
    """Read the URL of each trunk without asking anybody."""
    for line in _trunks(config):
        from drivers.sip.options import TrunkOptions  # noqa: PLC0415

        try:
            options = TrunkOptions.of(LineUrl.parse(line.url))
        except LineError as fault:
            yield bad("lines", f"Line {line.name}: {fault}.", "Correct its url; docs/trunks.md has every option.")
            continue
        many = f"{line.channels} calls at once" if line.channels > 1 else "one call at once"
        yield ok("lines", f"Line {line.name} is a trunk at {options.host} over {options.transport.value}, {many}.")


def answers(config: Config, machine: Machine) -> Iterator[Finding]:  # noqa: ARG001
    """Ask each trunk whether it lives, from a port of our own."""
    for line in _trunks(config):
        try:
            seconds = asyncio.run(_asked(line))
        except LineError as fault:
            yield bad("lines", f"Line {line.name}: {fault}.", "Check its address, the network and the firewall.")
            continue
        yield ok("lines", f"Line {line.name}: the trunk answers within {seconds * 1000:.0f} ms.")


def _trunks(config: Config) -> Iterator[LineSettings]:
    return (line for line in config.lines if line.scheme == "sip")


async def _asked(line: LineSettings) -> float:
    """Return the seconds until a trunk answered an OPTIONS."""
    from drivers.sip.options import TrunkOptions  # noqa: PLC0415
    from drivers.sip.trunk import Trunk  # noqa: PLC0415

    options = TrunkOptions.of(LineUrl.parse(line.url))
    trunk = await Trunk.shared(f"doctor {line.url}", replace(options, local=(options.local[0], 0), register=False))
    try:
        return await trunk.answered_within()
    finally:
        await trunk.release()
