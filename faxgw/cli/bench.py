"""``faxgw bench NAME``: figures of this machine, measured now, each beside its target."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from faxgw.cli import options
from faxgw.errors import RequestError

if TYPE_CHECKING:
    from faxgw.bench.api import Size
    from faxgw.bench.modem import Timed


class _Benches(TyperGroup):
    """The group of benchmarks (Any: Typer keeps its Click types private)."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the benchmark, or say which there are."""
        names = self.list_commands(ctx)
        if args[0] not in names:
            raise RequestError("usage", f"There is no benchmark {args[0]}; there is {', '.join(names)}.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Benches,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Figures of this machine, measured now, each beside its target.",
)


@app.callback()
def bench() -> None:
    """Keep the names of benchmarks, also while there is only one."""


@app.command()
def api(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=3600, help="How long to submit at each rate.")
    ] = 60,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Where the gateway's data lies meanwhile.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="Only this; may be repeated.")
    ] = None,
    faxes: Annotated[int, typer.Option("--faxes", metavar="N", min=1000, help="How long the list is.")] = 100_000,
    destinations: Annotated[
        int, typer.Option("--destinations", metavar="N", min=1, max=10_000, help="How large the batch is.")
    ] = 10_000,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure less often; do not wait until idle, do not search.")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure the gateway: starts, memory, submissions, lists, a batch, and what a call feels of it.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench.api import PARTS, Size  # noqa: PLC0415

    if unknown := set(only or ()) - set(PARTS):
        raise RequestError("usage", f"--only is one of {', '.join(PARTS)}, not {unknown.pop()}.")
    often = Size(seconds=seconds, faxes=faxes, destinations=destinations)
    size = replace(often, requests=20, settled=0.0, starts=1, searches=False) if quick else often
    result = _measured(only or (), size, data)
    if as_json:
        typer.echo(_as_json(result))
    else:
        _show(result)


@app.command()
def mail(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=1, max=3600, help="How long to submit at each rate.")
    ] = 30,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Where the gateway's data lies meanwhile.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="Only this; may be repeated.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer connections; do not search.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Measure mail that devices submit: how much, what a large message takes, and connections that say nothing.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench.mail import PARTS, Size, measure  # noqa: PLC0415

    if unknown := set(only or ()) - set(PARTS):
        raise RequestError("usage", f"--only is one of {', '.join(PARTS)}, not {unknown.pop()}.")
    size = Size(seconds, idle=100, searches=False) if quick else Size(seconds)
    result = _run(measure(only=only or (), size=size, under=data, say=_say))
    if as_json:
        typer.echo(_as_json(result))
    else:
        _show(result)


def _measured(only: Sequence[str], size: "Size", under: Path | None) -> dict[str, Any]:
    """Measure, or say why that cannot be, and leave."""
    from faxgw.bench.api import measure  # noqa: PLC0415

    return _run(measure(only=only, size=size, under=under, say=_say))


def _run(measuring: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    import uvloop  # noqa: PLC0415

    from faxgw.bench.figures import CannotMeasure  # noqa: PLC0415

    try:
        return uvloop.run(measuring)
    except CannotMeasure as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None


def _show(result: Mapping[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415

    from faxgw.bench.figures import print_table  # noqa: PLC0415

    console = Console(highlight=False, markup=False, soft_wrap=True)
    print_table(result["figures"], console)
    for name, said in result.items():
        if isinstance(said, dict):
            console.print(f"{name}: {', '.join(f'{key} {value}' for key, value in said.items())}")


def _as_json(result: Mapping[str, Any]) -> str:
    return json.dumps({**result, "figures": {each.name: each.as_json() for each in result["figures"]}})


@app.command()
def codec(
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=1000, help="How often to measure each page.")
    ] = 12,
    as_json: options.JsonOption = False,
) -> None:
    """Measure pages coded and decoded on one thread, beside libtiff in the same run.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench import codec as bench  # noqa: PLC0415
    from faxgw.bench import libtiff, machine  # noqa: PLC0415
    from faxgw.bench.figures import CannotMeasure  # noqa: PLC0415

    before = machine.load()
    try:
        about = {"libtiff": libtiff.version(), "machine": machine.described(), "load_before": before}
        said = bench.measure(rounds=rounds, say=_say)
    except CannotMeasure as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({**said, **about, "load_after": machine.load()}))
    else:
        _show({"figures": bench.figures(said), "pages": {"measured": said["pages"], "beside": about["libtiff"]}})


@app.command()
def render(
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, max=1000, help="How often to draw each page.")
    ] = 5,
    as_json: options.JsonOption = False,
) -> None:
    """Measure pages of PDFs made fax pages by a worker that waits, beside ghostscript in the same run.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench import machine  # noqa: PLC0415
    from faxgw.bench import render as bench  # noqa: PLC0415
    from faxgw.bench.figures import CannotMeasure  # noqa: PLC0415

    before = machine.load()
    try:
        about = {"ghostscript": bench.version(), "machine": machine.described(), "load_before": before}
        said = bench.measure(rounds=rounds, say=_say)
    except CannotMeasure as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({**said, **about, "load_after": machine.load()}))
    else:
        names = ("ghostscript_ms", "faxgw_ms", "pdfium_ms", "pdfium_ratio")
        milliseconds = {kind: {name: found[name] for name in names if name in found} for kind, found in said.items()}
        _show({"figures": bench.figures(said), **milliseconds, "beside": {"ghostscript": about["ghostscript"]}})


@app.command()
def seal(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.01, max=600, help="How long to measure in all.")
    ] = 5,
    as_json: options.JsonOption = False,
) -> None:
    """Measure how fast content is sealed and opened on one core, beside the cipher alone."""
    from faxgw.bench import machine  # noqa: PLC0415
    from faxgw.bench.sealing import measure  # noqa: PLC0415

    before = machine.load()
    figures = measure(seconds=seconds)
    if as_json:
        said = {"machine": machine.described(), "load_before": before, "load_after": machine.load()}
        typer.echo(_as_json({**said, "figures": figures}))
    else:
        _show({"figures": figures})


@app.command()
def t38(
    calls: Annotated[
        list[int] | None,
        typer.Option("--calls", metavar="N", min=1, max=5000, help="So many at once; may be repeated. [600 and 1000]"),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Measure packets, and calls at once through one process on one core, their far ends on another.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench import machine  # noqa: PLC0415
    from faxgw.bench import t38 as bench  # noqa: PLC0415
    from faxgw.bench.figures import CannotMeasure  # noqa: PLC0415

    before = machine.load()
    figures = bench.packets()
    try:
        for count in calls or (bench.REQUIRED, bench.AIM):
            _say(f"{count} calls at once")
            figures += asyncio.run(bench.calls(count))
    except CannotMeasure as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        said = {"machine": machine.described(), "load_before": before, "load_after": machine.load()}
        typer.echo(_as_json({**said, "figures": figures}))
    else:
        _show({"figures": figures})


@app.command()
def modem(
    pages: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TIFF]...", help="Fax pages, the first of each; else pages made here."),
    ] = None,
    latency: Annotated[
        float, typer.Option("--latency", metavar="MS", min=0, max=1000, help="From the modem's word until it is here.")
    ] = 5,
    as_json: options.JsonOption = False,
) -> None:
    """Measure how long a call takes through libspandsp's modem, beside two of its own fax machines, in samples.

    Exit code 0 when it was measured, whatever came out; 1 when it could not be.
    """
    from faxgw.bench import modem as bench  # noqa: PLC0415
    from faxgw.bench.figures import CannotMeasure  # noqa: PLC0415

    try:
        times = bench.line_times(pages or (), latency=latency / 1000)
    except (CannotMeasure, OSError) as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None
    figures = bench.figures(times)
    if as_json:
        typer.echo(_as_json({"latency_ms": latency, "figures": figures}))
    else:
        _show({"figures": figures})
        _show_times(times)


def _show_times(times: "Sequence[Timed]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title in ("page", "libspandsp alone", "we send", "ratio", "we receive", ""):
        table.add_column(title, justify="left" if title in ("page", "") else "right")
    for each in times:
        seconds = [
            f"{each.alone:.1f} s",
            f"{each.sends:.1f} s",
            f"{each.sends / each.alone:.3f}",
            f"{each.receives:.1f} s",
        ]
        table.add_row(each.page, *seconds, "" if each.whole else "NOT WHOLE")
    Console(highlight=False, markup=False).print(table)


def _say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)
