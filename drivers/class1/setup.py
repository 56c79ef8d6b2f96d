"""Making a modem ready: what the line URL asks for, waking it, asking what it is, and putting it in Class 1."""

from dataclasses import dataclass
from typing import Self

from drivers.class1.at import NUMBERS, Code, State, numbers
from drivers.class1.conversation import Conversation, SilentModemError
from drivers.class1.quirks import QUIRKS, Flow, Quirks, recognised
from drivers.registry import LineUrl
from t30.line import LineError
from t30.rates import Modulation
from t30.timers import T0

BAUD = 115200
PAUSE = 0.1
"""Seconds between two commands outside a call (efax and HylaFAX: 100 ms)."""
RESET_LIMIT = 5.0
"""Seconds that a reset may take."""
GUARD = 1.1
"""Seconds of silence before and after ``+++`` (S12 is 1 s in most modems)."""

CALLER_ID = ("+VCID=1", "#CID=1")
"""What makes a modem tell who calls."""

_QUESTIONS = ("I", "I3", "+FMI?", "+FMM?")
_REQUIRED = frozenset({24, 48, 72, 96})
"""What every Class 1 modem has, for one that does not tell (T.31)."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a ``class1:`` URL. ``quirks`` is a name of ``QUIRKS``, or empty for what the modem looks like."""

    quirks: str = ""
    flow: Flow = Flow.RTSCTS
    init: tuple[str, ...] = ()
    speed: float = 1.0
    baud: int = BAUD

    @classmethod
    def of(cls, url: LineUrl) -> Self:
        """Read the options of a URL.

        Raises:
            LineError: with code ``usage``.
        """
        given: dict[str, list[str]] = {}
        for name, value in url.options:
            given.setdefault(name, []).append(value)
        init = tuple(_bare(command) for command in given.pop("init", []))
        single = {name: values[-1] for name, values in given.items()}
        quirks = _one_of(url, "quirks", single.pop("quirks", "auto"), ("auto", *QUIRKS))
        flow = _one_of(url, "flow", single.pop("flow", Flow.RTSCTS.value), tuple(flow.value for flow in Flow))
        speed = _number(url, "speed", single.pop("speed", "1"))
        baud = _number(url, "baud", single.pop("baud", str(BAUD)))
        if single:
            raise LineError(
                f"{url}: there is no option {', '.join(sorted(single))}; there are quirks, flow, init, speed and baud",
                code="usage",
            )
        return cls("" if quirks == "auto" else quirks, Flow(flow), init, speed, int(baud))


@dataclass(frozen=True, slots=True)
class Modem:
    """What a modem is and can do."""

    identity: str
    quirks_name: str
    service_class: str
    adaptive: bool
    sends: frozenset[Modulation]
    receives: frozenset[Modulation]

    @property
    def quirks(self) -> Quirks:
        """How it differs from T.31."""
        return QUIRKS[self.quirks_name]


async def wake(talk: Conversation) -> bool:
    """Get the modem to answer AT, whatever state it was left in; return whether it does."""
    await talk.stop()
    talk.dialogue.idle()
    if await _alive(talk):
        return True
    # It may be busy with what another program left it in.
    talk.write(talk.dialogue.abort())
    if await _alive(talk):
        return True
    await talk.drop_dtr()
    if await _alive(talk):
        return True
    await talk.escape(talk.patience(GUARD))
    return await _alive(talk)


async def identify(talk: Conversation, options: Options) -> Modem:
    """Wake the modem and ask what it is; leaves it in Class 1.

    Raises:
        LineError: if it does not answer, or is no Class 1 modem.
    """
    if not await wake(talk):
        raise LineError(f"{talk.port}: nothing answers AT; is it a modem, is it switched on, and is it the right port?")
    await _plain(talk)
    answers = [line for question in _QUESTIONS for line in (await _ask(talk, question))[1]]
    name = options.quirks or recognised("\n".join(answers))
    await _initialise(talk, options)
    quirks = QUIRKS[name]
    _, lines = await _ask(talk, "+FCLASS=?")
    classes = " ".join(lines)
    service_class = "1.0" if quirks.class_1_0 and "1.0" in classes else "1"
    if await _enter(talk, service_class) is not Code.OK:
        service_class = "1"
        if await _enter(talk, service_class) is not Code.OK:
            raise LineError(f"{talk.port}: this modem has no fax Class 1; it says that it has {classes or 'none'}")
    _, lines = await _ask(talk, "+FAR=?")
    return Modem(
        identity=", ".join(dict.fromkeys(answers)),
        quirks_name=name,
        service_class=service_class,
        adaptive=quirks.adaptive and 1 in numbers(" ".join(lines)),
        sends=await _rates(talk, "+FTM=?"),
        receives=await _rates(talk, "+FRM=?"),
    )


async def prepare(talk: Conversation, modem: Modem, options: Options) -> bool:
    """Put the modem in Class 1 before a call; return whether it will tell who calls.

    It is done for every call: it may have been switched off since the last, or have left the class by itself.

    Raises:
        SilentModemError: if it does not answer.
        LineError: if it refuses.
    """
    await _plain(talk)
    await _initialise(talk, options)
    if await _enter(talk, modem.service_class) is not Code.OK:
        raise LineError(f"{talk.port}: the modem refuses AT+FCLASS={modem.service_class}, which it took before")
    if modem.adaptive:
        await _ask(talk, "+FAR=1")
    # Some makes change the flow control when they change the class, so it comes after.
    await _first_of(talk, modem.quirks.flow_commands[options.flow])
    return await _first_of(talk, CALLER_ID)


async def reset(talk: Conversation) -> bool:
    """Hang up and reset a modem that does not do what it must; return whether it listens again."""
    if not await wake(talk):
        return False
    await talk.ask("H0")
    return (await talk.ask("Z", within=RESET_LIMIT))[0] is Code.OK


# --------------------------------------------------------------------------------------------------------------------


async def _alive(talk: Conversation) -> bool:
    code, _ = await talk.ask("", within=1.0)
    return code is not None and talk.state is State.COMMAND


async def _ask(talk: Conversation, command: str) -> tuple[Code, list[str]]:
    await talk.pause(PAUSE)
    code, lines = await talk.ask(command)
    if code is None:
        raise SilentModemError(f"no answer to AT{command}")
    return code, lines


async def _first_of(talk: Conversation, commands: tuple[str, ...]) -> bool:
    """Give one command after another until the modem takes one; return whether it took any."""
    for command in commands:
        if (await _ask(talk, command))[0] is Code.OK:
            return True
    return False


async def _plain(talk: Conversation) -> None:
    """No echo, result codes in words; never answer by itself; give a called machine T0; hang up when DTR drops."""
    for command in ("E0Q0V1", "S0=0", f"S7={T0:.0f}", "&D2"):
        await _ask(talk, command)


async def _initialise(talk: Conversation, options: Options) -> None:
    for command in options.init:
        code, _ = await _ask(talk, command)
        if code is not Code.OK:
            raise LineError(f"{talk.port}: the modem answers init=AT{command} with {code.value}", code="usage")


async def _enter(talk: Conversation, service_class: str) -> Code:
    return (await _ask(talk, f"+FCLASS={service_class}"))[0]


async def _rates(talk: Conversation, question: str) -> frozenset[Modulation]:
    code, lines = await _ask(talk, question)
    listed = numbers(" ".join(lines)) if code is Code.OK else frozenset()
    return frozenset(modulation for modulation, number in NUMBERS.items() if number in (listed or _REQUIRED) | {3})


def _bare(command: str) -> str:
    return command[2:] if command[:2].upper() == "AT" else command


def _one_of(url: LineUrl, name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise LineError(f"{url}: {name}={value} is not known; there are {', '.join(known)}", code="usage")
    return value


def _number(url: LineUrl, name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise LineError(f"{url}: {name}={value} is not a number above 0", code="usage")
    return number
