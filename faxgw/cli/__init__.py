"""The ``faxgw`` command: one table of commands, each loaded only when it is called (NumPy and Numba take a second)."""

import importlib
import sys
from logging import WARNING
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from faxgw import __version__
from faxgw.errors import RequestError
from t30.line import LineError

COMMANDS = {
    "demo": "faxgw.cli.demo:app",
    "send": "faxgw.cli.send:app",
    "receive": "faxgw.cli.receive:app",
    "codec": "faxgw.cli.codec:app",
    "simulate": "faxgw.cli.simulate:app",
    "trace": "faxgw.cli.trace:app",
    "replay": "faxgw.cli.replay:app",
    "open": "faxgw.cli.open:app",
    "audit": "faxgw.cli.audit:app",
    "serve": "faxgw.cli.serve:app",
    "admin": "faxgw.cli.admin:app",
    "submit": "faxgw.cli.submit:app",
    "list": "faxgw.cli.list:app",
    "learned": "faxgw.cli.learned:app",
    "watch": "faxgw.cli.watch:app",
    "cancel": "faxgw.cli.cancel:app",
    "config": "faxgw.cli.config:app",
    "backup": "faxgw.cli.backup:app",
    "advisories": "faxgw.cli.advisories:app",
    "doctor": "faxgw.cli.doctor:app",
    "bench": "faxgw.cli.bench:app",
}
"""Command name to the Typer application that is it."""

SUMMARIES = {
    "demo": "Send a PDF over two simulated modems, to see that all works.",
    "send": "Convert documents, call a number and send them as one fax.",
    "receive": "Wait for one call, answer it, and store the fax.",
    "codec": "Code an image as raw T.4 or T.6 octets, or decode them.",
    "simulate": "Simulated modems, on a simulated telephone line.",
    "trace": "Explain a recorded call, in words or as a ladder diagram.",
    "replay": "Run the engine over a recorded call once more.",
    "open": "Open an exported sealed object with your own secret.",
    "audit": "Check an exported audit log, without the gateway.",
    "serve": "Run the gateway service.",
    "admin": "Set up tenants and databases.",
    "submit": "Send documents through a running gateway.",
    "list": "List the faxes of a running gateway.",
    "learned": "Say what a running gateway has learned of other machines.",
    "watch": "Follow a fax of a running gateway, page by page.",
    "cancel": "Cancel faxes of a running gateway.",
    "config": "Check the configuration of the service, or print a sample.",
    "backup": "Make backups, verify them, restore them.",
    "advisories": "Say what is known to be wrong with this version.",
    "doctor": "Say what on this machine is missing, unsafe or slow.",
    "bench": "Measure what the gateway can do on this machine.",
}
"""What the list of commands says of each; asking the commands themselves would load all that they need."""


class _Commands(TyperGroup):
    """The group of commands over ``COMMANDS`` (Any: Typer keeps its Click types private)."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Name every command, in the table's order."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import the command's module and hand it over."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = get_command(getattr(importlib.import_module(module), attribute))
        _log_to_standard_error()
        command.name = cmd_name
        return command


def _log_to_standard_error() -> None:
    """Keep what the parts of a command log out of its result; only ``serve`` has a log of its own."""
    if structlog := sys.modules.get("structlog"):
        structlog.configure(
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is by then
            wrapper_class=structlog.make_filtering_bound_logger(WARNING),
        )


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback(invoke_without_command=True)
def faxgw(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:
    """Send, receive and examine faxes."""
    if version:
        typer.echo(f"faxgw {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a user's mistake ends with exit code 2, a line that is not to be had with 1."""
    try:
        app()
    except RequestError as mistake:
        Console(stderr=True).print(f"faxgw: {mistake.reason}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except LineError as fault:
        Console(stderr=True).print(f"faxgw: {fault}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
