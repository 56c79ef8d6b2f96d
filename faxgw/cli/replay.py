"""``faxgw replay``: run the engine over a recorded call."""

import json
import textwrap
from pathlib import Path

import typer

from faxgw.replay import Difference, replay
from faxgw.trace.reading import read
from faxgw.trace.record import Trace
from faxgw.trace.values import plain
from faxgw.trace.words import frames_of
from t30 import ENGINE
from t30.line import Action
from t30.outcome import Outcome

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_CALL = typer.Argument(metavar="CALL.jsonl", help="What --trace of send or receive has written.")


@app.command("replay")
def command(call: Path = _CALL) -> None:
    """Run the engine over a recorded call; exit code 1 at the first action that differs."""
    recorded = read(call)
    difference = replay(recorded)
    if difference is not None:
        typer.echo(_told(call, recorded, difference))
        raise typer.Exit(1)
    end = "and came to the same end" if recorded.outcome else "as far as the recording goes"
    by = f"; {recorded.header.writer} did it then" if recorded.header.engine != ENGINE else ""
    typer.echo(f"{call}: the engine did the same {len(recorded.steps):,} times, {end}{by}")


def _told(call: Path, trace: Trace, difference: Difference) -> str:
    where = f"line {difference.line}" if difference.line else "the end"
    writer = trace.header.writer
    told = f"the engine leaves the recording, which {writer} wrote"
    if trace.header.engine != ENGINE:
        told = f"here this engine ({ENGINE}) does something else than that of {writer}, which wrote the recording"
    return "\n".join(
        (
            f"{call}, {where}: {told}",
            f"  recorded: {_short(difference.recorded)}",
            f"  engine:   {_short(difference.engine)}",
            f"  in:       {difference.path or 'the end of the call'}",
        )
    )


def _short(what: Action | Outcome | None) -> str:
    if what is None:
        return "nothing"
    told = "; ".join(frames_of(what)) or json.dumps(plain(what), ensure_ascii=False)
    return textwrap.shorten(f"{type(what).__name__} {told}", 200, placeholder=" ...")
