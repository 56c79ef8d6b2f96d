"""Puts a job into the caller's transaction: it will run if, and only if, that is committed."""

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.types import JSONValue
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.store.database import driver

_APP = App(connector=PsycopgConnector())
# Never opened: it only speaks through connections that it is given.


async def defer(connection: AsyncConnection, task: str, **arguments: JSONValue) -> None:
    """Have a worker of any node run a task once this transaction is committed.

    Args:
        connection: an open transaction, of the app role or of the dispatcher.
        task: name of a task in ``faxgw.tasks.service.TASKS``.
        **arguments: ids and plain values; no numbers of telephones, no content: jobs are not behind row-level security.
    """
    try:
        await _APP.configure_task(task, connection=await driver(connection)).defer_async(**arguments)
    except ConnectorException as error:
        raise (error.__cause__ or error) from None  # the driver's own: the transaction knows what to make of it
