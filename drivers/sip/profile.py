"""Who a user agent is: its addresses, its account, and what it asks for and allows at most."""

from dataclasses import dataclass

from drivers.sip.digest import Account
from drivers.sip.headers import NameAddr
from drivers.sip.uri import Uri
from drivers.sip.ways import Address, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One user agent, at one trunk.

    Attributes:
        user: the address of record: From of its calls, what it registers.
        contact: where the other side reaches it.
        sent_by: what its Via says: where responses find it.
        transport: of its own requests.
        route: proxies that each call and registration goes through, the nearest first.
        registrar: where it registers; None: it does not.
        account: what it answers challenges with; None: it gives up on them.
        session_expires: so long without a sign of life a call may be (RFC 4028), in seconds; 0: it does not ask.
        min_se: the least of such seconds that it agrees to.
        expires: for so many seconds it registers.
        product: User-Agent and Server; "": it does not say.
        most_calls: so many calls at once; the next one gets 503. Stops floods of INVITEs.
        most_transactions: so many requests of others at once; the next one gets 503. Stops floods of anything.
    """

    user: Uri
    contact: Uri
    sent_by: Address
    transport: Transport
    route: tuple[NameAddr, ...] = ()
    registrar: Uri | None = None
    account: Account | None = None
    session_expires: int = 1800
    min_se: int = 90
    expires: int = 300
    product: str = "faxgw"
    most_calls: int = 256
    most_transactions: int = 2048
