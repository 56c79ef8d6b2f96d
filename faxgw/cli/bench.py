"""``faxgw bench NAME``: figures of this machine, measured now, each beside its target."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from faxgw.cli import options
from faxgw.errors import RequestError


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
    import uvloop  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from faxgw.bench.api import PARTS, SETTLED, STARTS, Size, measure  # noqa: PLC0415
    from faxgw.bench.figures import CannotMeasure, print_table  # noqa: PLC0415

    if unknown := set(only or ()) - set(PARTS):
        raise RequestError("usage", f"--only is one of {', '.join(PARTS)}, not {unknown.pop()}.")
    size = Size(
        seconds=seconds,
        faxes=faxes,
        destinations=destinations,
        requests=20 if quick else 200,
        settled=0.0 if quick else SETTLED,
        starts=1 if quick else STARTS,
        searches=not quick,
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        result = uvloop.run(measure(only=only or (), size=size, under=data, say=_say))
    except CannotMeasure as trouble:
        typer.echo(f"faxgw: {trouble}", err=True)
        raise typer.Exit(1) from None
    figures = result.pop("figures")
    if as_json:
        typer.echo(json.dumps(result | {"figures": {each.name: each.as_json() for each in figures}}))
        return
    print_table(figures, console)
    for name, said in result.items():
        if isinstance(said, dict):
            console.print(f"{name}: {', '.join(f'{key} {value}' for key, value in said.items())}")


@app.command()
def seal(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0.01, max=600, help="How long to measure in all.")
    ] = 5,
    as_json: options.JsonOption = False,
) -> None:
    """Measure how fast content is sealed and opened on one core, beside the cipher alone."""
    from rich.console import Console  # noqa: PLC0415

    from faxgw.bench import machine  # noqa: PLC0415
    from faxgw.bench.figures import print_table  # noqa: PLC0415
    from faxgw.bench.sealing import measure  # noqa: PLC0415

    before = machine.load()
    figures = measure(seconds=seconds)
    if as_json:
        said = {"machine": machine.described(), "load_before": before, "load_after": machine.load()}
        typer.echo(json.dumps(said | {"figures": {each.name: each.as_json() for each in figures}}))
        return
    print_table(figures, Console(highlight=False, markup=False, soft_wrap=True))


def _say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)
