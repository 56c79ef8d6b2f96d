"""``faxgw simulate``: Class 1 modems on pseudo-terminals, with a simulated fax machine or each other at the far end."""

import asyncio
import json as json_text
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from faxgw.calls import result
from faxgw.cli import options
from faxgw.cli.conduct import in_words
from faxgw.cli.far_machine import LOOK_AGAIN, FarMachine, hung_up, load_codec, loaded
from faxgw.cli.machines import machines
from faxgw.errors import RequestError
from simulators.exchange import Exchange
from simulators.faults import Faults
from simulators.modem import CARRIER_TAIL, LIES, Firmware, lying
from simulators.numbers import WAYS
from simulators.pty import PseudoTerminal, linked
from simulators.tray import Tray
from t30.capabilities import Offer
from t30.line import LineClock
from t30.outcome import Outcome
from t30.rates import Modulation

FAR_NUMBER = "15550100"
"""The fax machine's; whatever the modem dials, it is reached."""
REAL = Firmware(tail=CARRIER_TAIL)
TIME_TO_READ = 2.0
"""Real seconds that it then has to read the modem's last answer and close the terminal."""

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Simulated modems, on a simulated telephone line.",
)

SpeedOption = Annotated[
    float, typer.Option("--speed", metavar="X", min=0.1, max=1000, help="Line clock, as a multiple of real time.")
]


def _share(name: str, text: str) -> Any:
    return typer.Option(name, min=0, max=1, metavar="P", help=text)


@app.command()
def modem(
    link: Annotated[Path | None, typer.Option("--link", metavar="PATH", help="Name for the terminal.")] = None,
    number: Annotated[str, typer.Option("--number", metavar="N", help="The modem's own number.")] = "15550199",
    answer: Annotated[
        Path | None, typer.Option("--answer", metavar="OUT.tif", help="The far machine answers and stores the fax.")
    ] = None,
    call_with: Annotated[
        Path | None, typer.Option("--call-with", metavar="IN.tif", help="The far machine calls and sends this.")
    ] = None,
    offer: Annotated[
        Path | None, typer.Option("--offer", metavar="IN.tif", help="The far machine answers and offers this: polling.")
    ] = None,
    fetch: Annotated[
        Path | None,
        typer.Option(
            "--fetch", metavar="OUT.tif", help="The far machine calls and stores what it is offered: polling."
        ),
    ] = None,
    ring_after: Annotated[
        float, typer.Option("--ring-after", metavar="S", min=0, help="Seconds from +FCLASS=1 to that call.")
    ] = 2.0,
    calls: Annotated[
        int | None, typer.Option("--calls", metavar="N", min=1, help="End after so many calls; else on SIGINT.")
    ] = None,
    ident: options.IdentOption = "+1 555 0100",
    ecm: options.EcmOption = options.Switch.ON,
    modems: options.ModemsOption = None,
    max_rate: options.RateOption = 14400,
    coding: options.CodingOption = None,
    lies: Annotated[
        list[str] | None,
        typer.Option(
            "--lie", metavar="|".join(LIES), help="How the modem's firmware lies; may be given more than once."
        ),
    ] = None,
    no_train: Annotated[
        list[int] | None,
        typer.Option(
            "--no-train",
            parser=options.rate,
            metavar="BPS",
            help="A rate that never trains; may be given more than once.",
        ),
    ] = None,
    lose: Annotated[float, _share("--lose", "Share of signals that are lost.")] = 0.0,
    corrupt: Annotated[float, _share("--corrupt", "Share of signals that are damaged.")] = 0.0,
    errors: Annotated[float, _share("--errors", "Share of the octets of a damaged signal that are wrong.")] = 0.002,
    late: Annotated[float, _share("--late", "Share of signals that come late.")] = 0.0,
    echo: Annotated[float, _share("--echo", "Share of V.21 signals that are echoed.")] = 0.0,
    dropouts: Annotated[float, _share("--dropouts", "Share of signals that are away for a moment.")] = 0.0,
    drop_after: Annotated[
        float | None, typer.Option("--drop-after", metavar="S", min=0, help="Drop every call after S seconds.")
    ] = None,
    delay: Annotated[
        float, typer.Option("--delay", metavar="S", min=0, max=2, help="Seconds from one end to the other.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of everything that goes wrong by chance.")] = 0,
    speed: SpeedOption = 1.0,
    json: options.JsonOption = False,
) -> None:
    """Put a Class 1 modem on a pseudo-terminal; whatever it dials, a simulated fax machine is at the other end.

    Prints the terminal's path first (with --json on standard error), then what each call came to for that machine. Ends
    after N calls or on SIGINT, with exit code 0. OUT.tif is the last call that brought pages, whole as soon as it ends.
    """
    if sum(each is not None for each in (answer, call_with, offer, fetch)) > 1:
        raise RequestError(
            "usage", "The far machine does one thing: give one of --answer, --call-with, --offer and --fetch."
        )
    if unknown := set(lies or ()) - set(LIES):
        raise RequestError("usage", f"--lie is one of {', '.join(LIES)}, not {unknown.pop()}.")
    faults = Faults(
        seed=seed,
        lost=lose,
        corrupted=corrupt,
        error_density=errors,
        delayed=late,
        echoed=echo,
        dropouts=dropouts,
        untrainable=frozenset(one for one in Modulation if one.bps in (no_train or ())),
        drop_at=drop_after,
    )
    out = answer or fetch
    if out and not out.absolute().parent.is_dir():
        raise RequestError("usage", f"{out.absolute().parent} is no folder to store a fax in.")
    station = options.station(ident=ident, ecm=ecm, modems=modems, max_rate=max_rate, coding=coding)
    if offer:
        station = replace(station, receives=False, offer=Offer())
    outcomes: list[Outcome] = []

    def report(outcome: Outcome) -> None:
        outcomes.append(outcome)
        typer.echo(in_words(outcome), err=json)

    async def simulate() -> None:
        await load_codec()
        exchange = Exchange(LineClock(asyncio.get_running_loop().time, speed), faults=faults, delay=delay)
        terminal = exchange.modem(number, firmware=lying(*lies or (), firmware=REAL), leads_to=FAR_NUMBER)
        far = FarMachine(exchange.machine(FAR_NUMBER, station, Tray()), terminal, calls, report)
        async with loaded(call_with or offer) as source:
            if call_with and source:
                work = partial(far.call, partial(far.send, source), after=ring_after)
            elif fetch:
                work = partial(far.call, partial(far.fetch, fetch), after=ring_after)
            else:
                work = partial(far.answer, partial(far.give, source) if source else partial(far.take, answer))
            await _run(exchange, [link], work, to_stderr=json)

    asyncio.run(simulate())
    if json:
        typer.echo(json_text.dumps({"calls": [result(outcome) for outcome in outcomes], "seed": seed}))


@app.command()
def exchange(
    modems: Annotated[
        list[str],
        typer.Option(
            "--modem", metavar="PATH=NUMBER", help="A modem's terminal and number; may be given more than once."
        ),
    ],
    folders: Annotated[
        list[str] | None,
        typer.Option(
            "--machine",
            metavar="NUMBER=FOLDER",
            help="Fax machines answer at NUMBER and keep each call as FOLDER/NUMBER-K.tif; FOLDER/calls.jsonl tells of "
            "calls and confirmed pages. May be given more than once.",
        ),
    ] = None,
    ways: Annotated[
        list[str] | None,
        typer.Option(
            "--answer-with",
            metavar="NUMBER=WAY",
            help=f"What happens at NUMBER instead: {', '.join(WAYS)}, drops-after-K; may be given more than once.",
        ),
    ] = None,
    lines: Annotated[
        int | None,
        typer.Option("--lines", metavar="N", min=1, help="Calls at a time to a number with machines; else any number."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="CALLS.jsonl", help="The log of all machines, in one file.")
    ] = None,
    delay: Annotated[
        float, typer.Option("--delay", metavar="S", min=0, max=2, help="Seconds from one end to the other.")
    ] = 0.0,
    speed: SpeedOption = 1.0,
) -> None:
    """Put several modems on one exchange, where they call each other, and fax machines, by number.

    Prints the terminals' paths first. Ends on SIGINT, with exit code 0.
    """
    plugs = [_plug(text) for text in modems]
    answering = machines(folders or [], ways or [], log)

    async def simulate() -> None:
        exchange = Exchange(LineClock(asyncio.get_running_loop().time, speed), delay=delay)
        try:
            for _, number in plugs:
                exchange.modem(number, firmware=REAL)
            for each in answering:
                each.attach(exchange, lines=lines)
        except ValueError as error:
            raise RequestError("usage", f"--modem, --machine: {error}.") from None
        if answering:
            await load_codec()
        await _run(exchange, [link for link, _ in plugs], to_stderr=False)

    asyncio.run(simulate())


# ------------------------------------------------------------------------------------------------------------ running

Work = Callable[[], Coroutine[Any, Any, None]]


async def _run(exchange: Exchange, links: Sequence[Path | None], work: Work | None = None, *, to_stderr: bool) -> None:
    """Run until the work is done and the modems are free again, or SIGINT or SIGTERM."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    tasks = {loop.create_task(exchange.run()), loop.create_task(_stopped(stop))}
    with ExitStack() as until_end:
        try:
            for terminal, link in zip(exchange.terminals, links, strict=True):
                typer.echo(terminal.path, err=to_stderr)
                _link(until_end, terminal, link)
            if work:
                tasks.add(loop.create_task(_and_free(work, exchange.terminals)))
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _link(until_end: ExitStack, terminal: PseudoTerminal, link: Path | None) -> None:
    try:
        until_end.enter_context(linked(terminal.path, link))
    except OSError as fault:
        raise RequestError("usage", f"{link} cannot be made a link: {fault.strerror}.") from fault


async def _and_free(work: Work, terminals: Sequence[PseudoTerminal]) -> None:
    await work()
    for terminal in terminals:
        await hung_up(terminal)
        await _closed(terminal)


async def _closed(terminal: PseudoTerminal) -> None:
    """Wait until the program has closed the terminal."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TIME_TO_READ):
            while terminal.is_open:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_AGAIN)


async def _stopped(stop: asyncio.Event) -> None:
    await stop.wait()


def _plug(text: str) -> tuple[Path, str]:
    path, equals, number = text.rpartition("=")
    if not equals or not path or not number:
        raise RequestError("usage", f"--modem takes PATH=NUMBER, not {text!r}.")
    return Path(path), number
