"""The sample file and the documentation's table, made from the model, so that they cannot say anything else."""

import textwrap
from collections.abc import Iterator

from faxgw.config.names import LISTS, Setting, sections, settings

WIDTH = 100

_HEAD = """\
The configuration of faxgw. Nothing here needs to be set: what is commented out is the default, or an example.
Each setting can also come from the environment, under the name in brackets, which wins over this file; lists and
tables are written as JSON there. "faxgw config check FILE" says what is wrong with a file and what it comes to.
Made by "faxgw config sample".
"""


def sample() -> str:
    """Return a configuration file with every setting in it, commented out."""
    parts = ["\n".join(f"# {line}" for line in _HEAD.splitlines())]
    for section, about in sections():
        parts.append("\n".join(_section(section, about)))
        parts += ["\n".join(_lines(each)) for each in settings() if each.section == section]
    return "\n\n".join(filter(None, parts)) + "\n"


def table() -> str:
    """Return the settings as tables in Markdown, one for each section."""
    parts = []
    for section, about in sections():
        rows = [_row(each) for each in settings() if each.section == section]
        head = f"## {f'`[[{section}]]`' if section in LISTS else f'`[{section}]`'}\n\n{about}\n\n" if section else ""
        variable = "" if section in LISTS else " environment |"
        rule = "---|" if variable else ""
        columns = f"| setting |{variable} default | may be | what it is |\n|{rule}---|---|---|---|\n"
        parts.append(head + columns + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _section(section: str, about: str) -> Iterator[str]:
    if section:
        yield "# " + "-" * (WIDTH - 2)
        yield from _comment(about)
        # The head of a list would make an item of it, with nothing in it.
        yield f"#[[{section}]]" if section in LISTS else f"[{section}]"


def _lines(setting: Setting) -> Iterator[str]:
    limits = f" ({setting.limits})" if setting.limits else ""
    variable = f" [{setting.variable}]" if setting.variable else ""
    yield from _comment(f"{setting.description}{limits}{variable}")
    yield f"#{setting.name} = {setting.example}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)]


def _row(setting: Setting) -> str:
    cells = [f"`{setting.name}`", *([f"`{setting.variable}`"] if setting.variable else [])]
    cells += [f"`{setting.default}`" if setting.default else "", setting.limits, setting.description]
    return f"| {' | '.join(cells)} |"
