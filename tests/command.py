"""``faxgw`` as the command line runs it, but within the process of the tests: a process of its own takes a second.

For what a command refuses. What is about processes, such as signals and what is printed meanwhile, starts one.
"""

import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

from faxgw.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def faxgw(*words: object) -> Ran:
    """Run a command to its end; whatever it raises that ``main`` does not turn into an exit code, this raises, too."""
    out, err, code, before = StringIO(), StringIO(), 0, sys.argv
    sys.argv = ["faxgw", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = before
    return Ran(code, out.getvalue(), err.getvalue())
