"""Takes one branch after the other away and runs tests, each time in a process forked from one that has all loaded.

First every test is run once with nothing taken away, to see which lines it touches: a branch is tried only by the tests
that come by it, the quick ones first, up to the first that fails. For a few branches that does not pay: they are tried
by all tests, in any order. A test that computes for ever is ended by the system.
"""

import importlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.branches import Branch, branches, live, without

TEST_SECONDS = 10.0
"""Processor time that one test may take: twenty times what the slowest does."""
MORE_MEMORY = 2 << 30
"""Octets that a process may take beyond what it has when it begins."""
STOPPED = "(a test that computes for ever)"

J = TypeVar("J")
Lines = dict[str, set[int]]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one branch: the test that noticed that it was gone, "" if none did."""

    branch: Branch
    noticed_by: str
    tried: int
    """How many tests were run."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One test, run with nothing taken away: whether it passed, its processor time, the lines that it touched."""

    passed: bool
    seconds: float
    lines: Lines


@dataclass(slots=True)
class Trials:
    """A pytest plugin: has each branch tried by the tests that were collected, in place of running these."""

    modules: Sequence[str]
    places: Sequence[str]
    """Where the tests are; those of the first place are tried first."""
    shuffled: random.Random | None = None
    """Try the tests in this order, and do not look first at what they touch."""
    _: KW_ONLY
    test_seconds: float
    choose: Callable[[list[Branch]], list[Branch]]
    report: Callable[[Fate], None]
    fates: list[Fate] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Tests that fail with nothing taken away: they would notice everything."""

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Do all of it."""
        items = [item for item in session.items if item.get_closest_marker("xfail") is None]
        sources = {name: _source(name) for name in self.modules}
        runs: dict[str, _Run] = {}
        if self.shuffled is None:
            runs = self._runs(items, {str(path): name for name, (path, _) in sources.items()})
            items.sort(key=lambda item: (self._place(item), runs[item.nodeid].seconds))
        else:
            self.shuffled.shuffle(items)
        self.broken = [item.nodeid for item in items if item.nodeid in runs and not runs[item.nodeid].passed]
        if self.broken:
            return True
        chosen = self.choose([each for name, (_, text) in sources.items() for each in branches(name, text)])

        def attempt(branch: Branch) -> Fate:
            tests = [item for item in items if not runs or _touches(runs[item.nodeid].lines, branch)]
            code = without(sources[branch.module][1], branch)
            live(importlib.import_module(branch.module), branch.function).__code__ = code
            for number, item in enumerate(tests, 1):
                if not _passes(item, self.test_seconds):
                    return Fate(branch, item.nodeid, number)
            return Fate(branch, "", len(tests))

        for branch, fate in _forked(chosen, attempt):
            self.fates.append(fate or Fate(branch, STOPPED, 0))
            self.report(self.fates[-1])
        self.fates.sort(key=lambda fate: chosen.index(fate.branch))
        return True

    def _runs(self, items: list[pytest.Item], watched: dict[str, str]) -> dict[str, _Run]:
        """Run every test once, some in each process."""
        shares = [range(first, len(items), _WORKERS) for first in range(_WORKERS)]
        runs: dict[str, _Run] = {}

        def run(share: range) -> dict[str, _Run]:
            return {items[number].nodeid: _run(items[number], watched) for number in share}

        for share, answer in _forked(shares, run):
            if answer is None:
                raise RuntimeError(f"a test among {items[share.start].nodeid} and others ends its process")
            runs |= answer
        return runs

    def _place(self, item: pytest.Item) -> int:
        return next((number for number, place in enumerate(self.places) if item.nodeid.startswith(place)), -1)


def _source(module: str) -> tuple[Path, str]:
    file = importlib.import_module(module).__file__
    assert file
    return Path(file), Path(file).read_text()


def _touches(lines: Lines, branch: Branch) -> bool:
    return not lines.get(branch.module, set()).isdisjoint(branch.lines)


# -------------------------------------------------------------------------------------------------------- one test


def _run(item: pytest.Item, watched: dict[str, str]) -> _Run:
    """Run one test and note the lines of these files that it touches."""
    lines: Lines = {name: set() for name in watched.values()}

    def enter(frame: FrameType, event: str, arg: Any) -> Any:
        touched = lines.get(watched.get(frame.f_code.co_filename, ""))
        if touched is None:
            return None

        def step(frame: FrameType, event: str, arg: Any) -> Any:
            touched.add(frame.f_lineno)
            return step

        return step

    began = time.process_time()
    sys.settrace(enter)
    try:
        passed = _passes(item, TEST_SECONDS)
    finally:
        sys.settrace(None)
    return _Run(passed, time.process_time() - began, {name: touched for name, touched in lines.items() if touched})


def _passes(item: pytest.Item, seconds: float) -> bool:
    signal.setitimer(signal.ITIMER_PROF, seconds)  # which ends the process, even within a loop that never lets go
    reports = runtestprotocol(item, log=False, nextitem=None)
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    return not any(report.failed for report in reports)


# ------------------------------------------------------------------------------------------------------- processes

_WORKERS = os.cpu_count() or 1
_FORK = multiprocessing.get_context("fork")


def _forked(jobs: Sequence[J], work: Callable[[J], Any]) -> Iterator[tuple[J, Any]]:
    """Do each job in a process of its own, as many at a time as there are processors; None where the process died."""
    waiting = deque(jobs)
    running: dict[Connection, tuple[J, Any]] = {}
    while waiting or running:
        while waiting and len(running) < _WORKERS:
            job = waiting.popleft()
            ours, theirs = _FORK.Pipe(duplex=False)
            process = _FORK.Process(target=_child, args=(theirs, work, job))
            process.start()
            theirs.close()
            running[ours] = job, process
        for connection in wait(list(running)):
            assert isinstance(connection, Connection)
            job, process = running.pop(connection)
            try:
                answer = connection.recv()
            except EOFError:
                answer = None
            process.join()
            yield job, answer


def _child(answers: Connection, work: Callable[[J], Any], job: J) -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MORE_MEMORY, held + MORE_MEMORY))
    answers.send(work(job))
    answers.close()
