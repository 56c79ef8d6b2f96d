"""``python -m faxgw.store.migrations "What changes"``: write the next migration from what the tables say now.

It compares them with a database that has every migration so far, on a private PostgreSQL made for this.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from faxgw.store.migrating import migrate
from faxgw.store.migrations.writing import write
from faxgw.store.server import PrivateServer


async def _main(title: str) -> None:
    with TemporaryDirectory() as folder:
        async with PrivateServer(Path(folder) / "postgres") as server:
            await migrate(server.urls.owner, None)
            written = await asyncio.to_thread(write, server.urls.owner, title)
    print(written or "The database has everything that the tables say.")


asyncio.run(_main(sys.argv[1]))
