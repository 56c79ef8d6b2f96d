"""The modem: reads commands, keeps settings, rings, dials and answers; on the line, ``Class1`` does the work."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from simulators.circuit import End
from simulators.modem.class1 import Class1
from simulators.modem.dte import Dte, DtrDroppedError, Result
from simulators.modem.firmware import CARRIERS, Firmware, Flow
from simulators.modem.parser import BadCommandError, Command, Form, LineReader, commands
from simulators.modem.settings import FLOW_COMMANDS, NO_EFFECT, REGISTERS, Settings
from simulators.switch import Port
from t30.line import Cause

RING_EVERY = 6.0
"""Seconds from one RING to the next: 2 on, 4 off."""
DIGIT = {"T": 0.19, "P": 1.3}
"""Seconds per digit, by tones and by pulses."""
FAILURES = {
    Cause.BUSY: (Result.BUSY, (3, 4)),
    Cause.NO_DIALTONE: (Result.NO_DIALTONE, (2, 4)),
    Cause.NO_ANSWER: (Result.NO_ANSWER, (0, 1, 2, 3, 4)),
}
"""Why a call did not come about -> what to say, under which ATX; NO CARRIER otherwise."""


class Modem:
    """A Class 1 modem between a DTE and a telephone line.

    The DTE's octets come in by ``receive``, answers go out by ``dte.write``, which whoever plugs a cable in sets;
    ``run`` is the modem at work.

    Args:
        port: the telephone line; its clock is the modem's.
        firmware: what make it is, and how it lies.
        leads_to: the number that is called, whatever is dialled: a line with one subscriber at its other end.
    """

    def __init__(
        self,
        port: Port,
        *,
        firmware: Firmware | None = None,
        leads_to: str | None = None,
    ) -> None:
        self.firmware = firmware or Firmware()
        self.port = port
        self.settings = Settings()
        self.dte = Dte(port.clock, self.firmware.buffer)
        self.on_fax_class: Callable[[], None] | None = None
        """Called when ``+FCLASS`` was set to 1 or 1.0."""
        self._clock = port.clock
        self._leads_to = leads_to
        self._reader = LineReader()
        self._call: Class1 | None = None
        self._ring_due = False
        self._rings = 0
        self._set_flow(self.firmware.flow)
        self._commands = self._table()

    # -------------------------------------------------------------------------------------------- from outside

    def receive(self, octets: bytes) -> None:
        """Take octets of the DTE; what is beyond ``room`` is lost."""
        self.dte.receive(octets)

    @property
    def room(self) -> int:
        """How many octets the modem can take now."""
        return self.dte.room

    def drop_dtr(self) -> None:
        """Hang up, since the DTE dropped DTR; not with ``AT&D0``."""
        if self.settings.dtr:
            self.dte.drop_dtr()

    async def run(self) -> None:
        """Work until cancelled."""
        bell = asyncio.get_running_loop().create_task(self._watch_bell(), name="modem's bell")
        try:
            while True:
                try:
                    await self._serve()
                except DtrDroppedError:
                    self._hang_up()
                    self.dte.discard()
                    self._reader = LineReader()
                    if self.settings.dtr == 3:
                        self._reset()
        finally:
            bell.cancel()
            self._hang_up()

    # --------------------------------------------------------------------------------------------- command state

    async def _serve(self) -> None:
        while True:
            await self.dte.until(lambda: bool(self.dte.inbox) or self._ring_due)
            if self.dte.inbox:
                octet = self.dte.take(1)
                if self.settings.echo:
                    self.dte.write(octet)
                line = self._reader.feed(octet[0])
                if line is not None:
                    self._say(await self._carry_out(line))
            elif self._ring_due:
                await self._ring()

    async def _carry_out(self, line: str) -> Result | None:
        result: Result | None = Result.OK
        try:
            for command in commands(line):
                action = self._commands.get("S" if command.name[:1] == "S" and command.name[1:] else command.name)
                if action is None:
                    return Result.ERROR
                result = await action(command)
                if result is not Result.OK:
                    break
        except BadCommandError:
            return Result.ERROR
        return result

    def _say(self, result: Result | None) -> None:
        if result is None or self.settings.quiet:
            return
        number, words = result.value
        if self.settings.verbose:
            self._write_line(words)
        else:
            self.dte.write(f"{number}{chr(self.settings.registers[3])}".encode("latin-1"))

    def _write_line(self, text: str) -> None:
        end = f"{chr(self.settings.registers[3])}{chr(self.settings.registers[4])}"
        self.dte.write(f"{end if self.settings.verbose else ''}{text}{end}".encode("latin-1", "replace"))

    def _reset(self) -> None:
        self.settings = Settings()
        self._set_flow(self.firmware.flow)

    def _set_flow(self, flow: Flow) -> None:
        self.dte.software_flow = flow is Flow.SOFTWARE

    # ----------------------------------------------------------------------------------------------- the telephone

    async def _watch_bell(self) -> None:
        while True:
            call = await self.port.ringing()
            self._rings = 0
            while self.port.ring is call:
                self._ring_due = True
                self.dte.stir()
                await asyncio.sleep(self._clock.real(RING_EVERY))

    async def _ring(self) -> None:
        self._ring_due = False
        call = self.port.ring
        if call is None or self._call:
            return
        self._rings += 1
        self.settings.registers[1] = self._rings
        self._say(Result.RING)
        if self._rings == 1 and self.settings.caller_id:
            self._write_line(f"NMBR = {call.caller or 'P'}")
            if self.settings.caller_id == 10:
                self._write_line(f"NDID = {call.dialled}")
        if 0 < self.settings.registers[0] <= self._rings:
            self._say(await self._answer(Command("A")))

    async def _answer(self, _: Command) -> Result | None:
        if self._call:
            return Result.ERROR
        # A DTE that says ATA before the bell rang (efax does) would find a dead line; it is given the call that comes.
        patience = self.settings.registers[7]
        await self.dte.until(lambda: self.port.ring is not None or self.dte.wants_abort(), patience)
        if self.dte.wants_abort():
            self.dte.discard()
            return Result.NO_CARRIER
        end = self.port.answer()
        self._ring_due = False
        if end is None:
            return Result.NO_CARRIER
        call = self._off_hook(end)
        if self.settings.fax_class == "0":
            return await self._no_data_carrier()
        if not await call.answering():
            self._hang_up()
            return Result.NO_CARRIER
        return await call.send_frames()

    async def _dial(self, command: Command) -> Result | None:
        number, seconds = self._dialled(command.value)
        if self._call:
            return Result.ERROR
        patience = float(self.settings.registers[7])
        dialling = asyncio.get_running_loop().create_task(self._reach(number, seconds, patience), name="modem dials")
        dialling.add_done_callback(lambda _: self.dte.stir())
        try:
            await self.dte.until(lambda: dialling.done() or self.dte.wants_abort())
        finally:
            dialling.cancel()
            await asyncio.wait([dialling])
        if dialling.cancelled():
            self.dte.discard()
            return Result.NO_CARRIER
        reached = dialling.result()
        if isinstance(reached, Cause):
            result, levels = FAILURES.get(reached, (Result.NO_CARRIER, ()))
            return result if self.settings.progress in levels else Result.NO_CARRIER
        call = self._off_hook(reached)
        if self.settings.fax_class == "0":
            return await self._no_data_carrier()
        if not await call.calling(patience):
            self._hang_up()
            return Result.NO_CARRIER
        return await call.receive_frame()

    async def _reach(self, number: str, seconds: float, patience: float) -> End | Cause:
        await asyncio.sleep(self._clock.real(seconds))
        return await self.port.dial(number, within=patience)

    async def _no_data_carrier(self) -> Result:
        """End a data call, which this modem cannot make, as one that never finds its carrier ends."""
        if await self.dte.until(self.dte.wants_abort, self.settings.registers[7]):
            self.dte.discard()
        self._hang_up()
        return Result.NO_CARRIER

    def _dialled(self, text: str) -> tuple[str, float]:
        """Return the number and how long dialling it takes."""
        number, seconds, way = "", 0.0, "T"
        for character in text:
            if character in "TP":
                way = character
            elif character == ",":
                seconds += self.settings.registers[8]
            elif character in "0123456789*#+ABCD":
                number += character
                seconds += DIGIT[way]
            elif character not in "-()./W@!":
                raise BadCommandError(f"D: {character!r} cannot be dialled")
        return self._leads_to or number, seconds

    def _off_hook(self, end: End) -> Class1:
        self._call = Class1(end, self.dte, firmware=self.firmware, say=self._say)
        self._call.adaptive = self.settings.adaptive
        self._call.guard = self.settings.registers[12] / 50
        return self._call

    def _hang_up(self) -> None:
        if self._call:
            self._call.deafen()
        self.port.hang_up()  # also a call that was answered in this very moment
        self._call = None

    # ---------------------------------------------------------------------------------------------- the commands

    def _table(self) -> "dict[str, Action]":
        now = self._now
        table: dict[str, Action] = {
            "A": self._answer,
            "D": self._dial,
            "H": self._hook,
            "I": self._information,
            "E": now(self._on_off("echo")),
            "V": now(self._on_off("verbose")),
            "Q": now(self._on_off("quiet")),
            "X": now(self._number("progress", 4)),
            "&D": now(self._number("dtr", 3)),
            "Z": now(self._reset_and_hang_up),
            "&F": now(lambda _: self._reset()),
            "S": now(self._register),
            "+FCLASS": now(self._fax_class),
            "+FAR": now(self._adaptive_reception),
            "+VCID": now(self._caller_id),
            "#CID": now(self._caller_id),
            "+FTS": self._on_line(range(256), lambda call, n: call.keep_silence(n / 100)),
            "+FRS": self._on_line(range(256), lambda call, n: call.await_silence(n / 100)),
            "+FTH": self._on_line((3,), lambda call, _: call.send_frames()),
            "+FRH": self._on_line((3,), lambda call, _: call.receive_frame()),
            "+FTM": self._on_line(self.firmware.carriers, lambda call, n: call.send_data(CARRIERS[n])),
            "+FRM": self._on_line(self.firmware.carriers, lambda call, n: call.receive_data(CARRIERS[n])),
        }
        table |= {name: now(lambda command: _at_most(command, 255)) for name in NO_EFFECT}
        table |= {name: now(partial(self._flow, FLOW_COMMANDS[name])) for name in self.firmware.flow_commands}
        for name, text in (("MI", "manufacturer"), ("MM", "model"), ("MR", "revision")):
            table["+F" + name] = table["+G" + name] = now(partial(self._tell, getattr(self.firmware, text)))
        return table

    def _now(self, action: "Callable[[Command], object]") -> "Action":
        """Make an action of something that is done at once and answered OK."""

        async def done(command: Command) -> Result:
            action(command)
            return Result.OK

        return done

    def _on_line(
        self, values: "range | tuple[int, ...]", operate: "Callable[[Class1, int], Awaitable[Result | None]]"
    ) -> "Action":
        """Make an action of a Class 1 operation: it needs ``+FCLASS=1``, a call, and one of ``values``."""

        async def operation(command: Command) -> Result | None:
            if command.form is Form.TEST:
                self._write_line(_listed(values))
                return Result.OK
            if command.form is not Form.SET or not command.value or command.number not in values:
                return Result.ERROR
            if self.settings.fax_class == "0" or self._call is None:
                return Result.ERROR
            return self._call.hook.before_operation() or await operate(self._call, command.number)

        return operation

    def _on_off(self, setting: str) -> Callable[[Command], None]:
        return lambda command: setattr(self.settings, setting, bool(_at_most(command, 1)))

    def _number(self, setting: str, most: int) -> Callable[[Command], None]:
        return lambda command: setattr(self.settings, setting, _at_most(command, most))

    async def _hook(self, command: Command) -> Result:
        _at_most(command, 0)
        self._hang_up()
        return Result.OK

    async def _information(self, command: Command) -> Result:
        text = self.firmware.information.get(command.number)
        if text is None:
            return Result.ERROR
        self._write_line(text)
        return Result.OK

    def _reset_and_hang_up(self, command: Command) -> None:
        _at_most(command, 1)
        self._hang_up()
        self._reset()

    def _register(self, command: Command) -> None:
        register = int(command.name[1:])
        if register not in REGISTERS or command.form is Form.TEST:
            raise BadCommandError(f"there is no {command.name}")
        if command.form is Form.READ:
            self._write_line(f"{self.settings.registers[register]:03d}")
        elif command.form is Form.SET:
            self.settings.registers[register] = _at_most(command, 255)

    def _fax_class(self, command: Command) -> None:
        if command.form is Form.SET:
            self.settings.fax_class = _one_of(command, self.firmware.classes)
            if self.settings.fax_class == "0":
                self._hang_up()
            elif self.on_fax_class:
                self.on_fax_class()
        else:
            self._tell(self.settings.fax_class, command, ",".join(self.firmware.classes))

    def _adaptive_reception(self, command: Command) -> None:
        if not self.firmware.adaptive:
            raise BadCommandError("there is no +FAR")
        if command.form is Form.SET:
            self.settings.adaptive = _one_of(command, ("0", "1")) == "1"
            if self._call:
                self._call.adaptive = self.settings.adaptive
        else:
            self._tell(str(int(self.settings.adaptive)), command, "0,1")

    def _caller_id(self, command: Command) -> None:
        if command.form is Form.SET:
            self.settings.caller_id = int(_one_of(command, ("0", "1", "10")))
        else:
            self._tell(str(self.settings.caller_id), command, "0,1,10")

    def _flow(self, values: dict[str, Flow], command: Command) -> None:
        if command.form in (Form.READ, Form.TEST):
            raise BadCommandError(f"{command.name} can only be set")
        self._set_flow(values[_one_of(command, tuple(values))])

    def _tell(self, value: str, command: Command, range_of_values: str = "") -> None:
        if command.form in (Form.PLAIN, Form.SET) and not (command.form is Form.PLAIN and command.name[:2] == "+G"):
            raise BadCommandError(f"{command.name} can only be read")
        self._write_line(range_of_values if command.form is Form.TEST else value)


Action = Callable[[Command], Awaitable[Result | None]]


def _at_most(command: Command, most: int) -> int:
    if command.number > most:
        raise BadCommandError(f"{command.name}: {command.number} is more than {most}")
    return command.number


def _one_of(command: Command, values: tuple[str, ...]) -> str:
    if command.value not in values:
        raise BadCommandError(f"{command.name}: {command.value!r} is none of {', '.join(values)}")
    return command.value


def _listed(values: range | tuple[int, ...]) -> str:
    return f"{values[0]}-{values[-1]}" if isinstance(values, range) else ",".join(map(str, values))
