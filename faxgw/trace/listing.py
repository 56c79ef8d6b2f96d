"""A recorded call in words, one line per signal: for terminals."""

import textwrap
from collections.abc import Iterator

from rich.text import Text

from faxgw.trace import words
from faxgw.trace.record import Trace
from faxgw.trace.signalling import datagrams, with_network
from faxgw.trace.signals import party
from faxgw.trace.story import Kind, Party, Signal
from faxgw.trace.summary import summary
from t30.outcome import Direction, PageResult

MORE = 96
"""Letters in a line of what is told to those who want to know everything."""
_ARROWS = {Party.CALLER: "──▶", Party.ANSWERER: "◀──"}
_COLOURS = {
    Kind.FRAMES: "cyan",
    Kind.TRAINING: "yellow",
    Kind.PAGE: "green",
    Kind.TONE: "magenta",
    Kind.SIP: "blue",
    Kind.MARK: "bold",
}


def listing(trace: Trace) -> Iterator[Text]:
    """Yield the lines: what the call was and came to, each signal with start and duration in seconds, each page."""
    yield Text(title(trace), "bold")
    if trace.unknown:
        yield Text(f"not told, since this version does not know it: {words.shortened(list(trace.unknown))}", "red")
    about = ""
    for point in summary(trace):
        colour = "" if point.good is None else "green" if point.good else "red"
        label = "" if point.about == about else point.about
        about = point.about
        yield Text.assemble((f"{label:<11}", "bold"), (point.words, colour))
    yield Text(f"\n{'start':>8}{'seconds':>9}  caller   answerer", "dim")
    for signal in with_network(trace):
        yield from _signal(signal)
    if trace.outcome is not None and trace.outcome.pages:
        yield Text("")
        yield from (Text(page(each), "" if each.confirmed else "red") for each in trace.outcome.pages)
    if told := datagrams(trace):
        yield Text(told, "dim")


def title(trace: Trace) -> str:
    """Say in one sentence what call this is."""
    return f"{headline(trace)}, {source(trace)}"


def headline(trace: Trace) -> str:
    """Say from whom to whom the fax goes, as far as the machines have said so."""
    own, other = trace.header.station.ident, trace.outcome.remote_id if trace.outcome else ""
    direction = trace.outcome.direction if trace.outcome else trace.header.direction  # who waits does not know it yet
    sender, receiver = (own, other) if direction is Direction.OUT else (other, own)
    return f"Fax{f' from {sender}' if sender else ''}{f' to {receiver}' if receiver else ''}"


def source(trace: Trace) -> str:
    """Say when and by whom the call was recorded."""
    header = trace.header
    over = f" over {header.line}" if header.line else ""
    started = header.started.replace("T", " ")
    return f"{started}{over}, recorded by the {party(trace).value} with {header.product}"


def page(result: PageResult) -> str:
    """Say in one line what became of a page."""
    bad = f", {result.bad_rows:,} of them bad" if result.bad_rows else ""
    size = f"{words.counted(result.rows, 'row')}{bad}, {words.counted(result.octets, 'octet')}"
    end = "confirmed" if result.confirmed else "not confirmed"
    return (
        f"page {result.index + 1}: {words.page_format(result.format)}, {size}, {words.seconds(result.seconds)}, {end}"
    )


def _signal(signal: Signal) -> Iterator[Text]:
    duration = signal.end - signal.start
    lasted = f"{duration:.2f}" if duration >= 0.005 else ""
    arrow = _ARROWS[signal.by] if signal.travels else "   "
    indent = "" if signal.travels and signal.by is Party.CALLER else "  "
    for number, line in enumerate(signal.lines):
        when = f"{signal.start:8.2f}{lasted:>9}" if number == 0 else " " * 17
        name = f"{line.name}: " if line.name and line.words else line.name
        text = Text(f"{when}  {arrow if number == 0 else '   '}  {indent}", "dim")
        text.append(name, _COLOURS.get(signal.kind, ""))
        yield text.append(line.words, "red" if line.bad else "")
        for more in textwrap.wrap(line.more, MORE, break_on_hyphens=False):
            yield Text(f"{' ' * 24}{indent}  {more}", "dim")
