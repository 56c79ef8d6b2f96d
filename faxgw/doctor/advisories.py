"""Known faults of this version, by the configured feed."""

from collections.abc import Iterable
from datetime import UTC, datetime

from faxgw.advisories.board import known
from faxgw.config import Config
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok

AREA = "advisories"


def version(config: Config, _machine: Machine) -> Iterable[Finding]:
    """Say what is known of this version; nothing is fetched for it, and nothing written."""
    state = known(config, now=datetime.now(UTC))
    if state.advisories:
        worst = state.advisories[0]
        text = (
            f"This version has known faults: {', '.join(f'{each.id} ({each.severity})' for each in state.advisories)}."
        )
        way_out = f"Install {worst.fixed_in} or newer" if worst.fixed_in else "Do what the advisory says"
        yield bad(AREA, text, f"{way_out}{f': {worst.url}' if worst.url else ''}.")
    if state.fault:
        yield advice(AREA, state.text, "Put a feed there that is signed, current and believed; see `advisories`.")
    elif not state.source:
        yield ok(AREA, "No feed of advisories is configured: known faults of this version are not looked for.")
    elif not state.advisories:
        yield ok(AREA, state.text)
