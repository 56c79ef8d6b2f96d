"""A process with a worker that takes a job and never ends it: to be killed by a test. Arguments: the database's URL."""

import asyncio
import sys

from procrastinate import Blueprint

from faxgw.tasks.worker import Pace, make_app, work

tasks = Blueprint()


@tasks.task(name="note")
async def note(**_: str) -> None:
    """Say that the job was taken, and hold it."""
    print("taken", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(make_app(sys.argv[1], {"test": tasks}), context={}, concurrency=1, pace=Pace(heartbeat=0.2)))
