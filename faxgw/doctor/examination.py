"""All checks, in the order in which their findings are told."""

from collections.abc import Callable, Iterable

from faxgw.config import Config
from faxgw.config.reading import strange_variables
from faxgw.doctor import advisories, deliveries, folders, lines, machine, mail, programs, storage, trunks
from faxgw.doctor.finding import Finding, Machine, advice

Check = Callable[[Config, Machine], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    lambda config, _machine: _variables(config),
    folders.data_dir,
    folders.keys,
    folders.space,
    storage.paths,
    storage.swap,
    storage.core_dumps,
    machine.ports,
    machine.certificate,
    machine.clock,
    machine.entropy,
    programs.database,
    programs.office,
    programs.kernels,
    advisories.version,
    mail.route,
    machine.submission,
    deliveries.targets,
    lines.ports,
    lines.lateness,
    trunks.urls,
)


def examined(config: Config, machine: Machine | None = None, *, open_lines: bool = False) -> list[Finding]:
    """Run every check.

    Args:
        config: what the gateway would run with.
        machine: the machine to look at; this one if None.
        open_lines: whether modems, trunks and the smarthost may be talked to; modems' ports are taken for some seconds.
    """
    here = machine or Machine()
    found = [finding for check in CHECKS for finding in check(config, here)]
    if open_lines:
        found += lines.modems(config, here)
        found += trunks.answers(config, here)
        found += mail.answers(config, here)
    return found


def _variables(_config: Config) -> Iterable[Finding]:
    for each in strange_variables():
        yield advice("configuration", f"The variable {each.setting} {each.wrong}.", each.right)
