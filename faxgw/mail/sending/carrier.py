"""Carries faxes to mailboxes: as attachments over a way that is good enough, or as word that there is a fax.

| what holds | what goes |
|---|---|
| content may go, and the way is as its rule asks | the fax |
| verified is asked for, and the way is only encrypted | word of it, with nothing that opens it |
| no content may go (`link-only`, HIPAA) | over a verified way, a link; over an encrypted one, word of it |
| there is no TLS | nothing: ``NotProtected`` |
"""

from datetime import UTC, datetime
from uuid import uuid5

from faxgw.archive.objects import StoreError
from faxgw.delivery.carrier import NotProtected, Parcel, Proof, Refused, Unreachable
from faxgw.delivery.targets import MailTarget, Target
from faxgw.errors import RequestError
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.keys.spool import SpoolUnavailable
from faxgw.links.making import make_link
from faxgw.mail.sending import telling
from faxgw.mail.sending.mail import Mail
from faxgw.mail.sending.postman import postman_of
from faxgw.rules.mail import Protection


class MailCarrier:
    """Carries to one mailbox."""

    def __init__(self, target: Target, gateway: Gateway) -> None:
        """Take the mailbox, and what mail leaves by."""
        if not isinstance(target.settings, MailTarget):
            raise TypeError("a mailbox is a target of the kind mail")
        self._target, self._gateway, self._settings = target, gateway, target.settings

    async def carry(self, parcel: Parcel) -> Proof:
        """Send a fax, or word of it, as the policies of the tenant and the mailbox let it go.

        Raises:
            Unreachable, Refused: what the other side says.
            NotProtected: there is no TLS with it, or not with the host that it must be: nothing has left.
        """
        settings = self._settings
        protection, rule = await self._required()
        if protection == "link-only":
            return await self._without_content(parcel, rule)
        try:
            sent = self._mail(parcel, telling.with_files(parcel.words, settings.sealing), content=True)
            return await postman_of(self._gateway).send(sent, protection=protection, rule=rule)
        except NotProtected:
            if protection != "require-verified":
                raise
        return await self._word(parcel, rule)

    async def take_back(self, path: str, sha256: bytes) -> bool:  # noqa: ARG002 (as every carrier)
        """Refuse: nobody takes back a mail.

        Raises:
            Refused: ``mail.sent``, always.
        """
        raise Refused("mail.sent", "A mail that was sent cannot be taken back.")

    async def probe(self) -> Proof:
        """Reach a host of the mailbox as a fax would now, and say how that is protected; no mail is sent.

        Raises:
            Unreachable, Refused, NotProtected: as of ``carry``.
        """
        protection, rule = await self._required()
        address = self._settings.address
        tls = await postman_of(self._gateway).reach(address, protection=protection)
        verified, decision, now = protection == "require-verified", f"{protection} by {rule}", datetime.now(UTC)
        return Proof(tls.protocol, tls.cipher, tls.peer, verified, decision, address, now, content=False)

    async def _required(self) -> tuple[Protection, str]:
        """Return what the way to the mailbox must be, and by which rule."""
        tenant_id, settings = self._target.tenant_id, self._settings
        async with self._gateway.database.tenant(tenant_id) as connection:
            policy = (await tenant_of(connection, tenant_id)).policy.mail
        return policy.required(settings.address, target=settings.protection, baa_attested=settings.baa_attested)

    async def _without_content(self, parcel: Parcel, rule: str) -> Proof:
        """Send a link where the way is proven, since whoever has it opens the fax; word of it elsewhere."""
        if not self._gateway.config.people.url:
            return await self._word(parcel, rule)
        postman = postman_of(self._gateway)
        try:
            # No link is made before it is known that it may go.
            await postman.reach(self._settings.address, protection="require-verified")
            url = await self._link(parcel)
            said = telling.with_link(parcel.words, url, self._settings)
            proof = await postman.send(self._mail(parcel, said, secret=True), protection="require-verified", rule=rule)
        except NotProtected:
            return await self._word(parcel, rule)
        return telling.only_word(proof, "link", rule)

    async def _word(self, parcel: Parcel, rule: str) -> Proof:
        said = telling.without_link(parcel.words, self._gateway.config.people.url)
        proof = await postman_of(self._gateway).send(self._mail(parcel, said), protection="link-only", rule=rule)
        return telling.only_word(proof, "notice", rule)

    async def _link(self, parcel: Parcel) -> str:
        """Return the address of a link that lives once this has returned."""
        hours, most = self._settings.link_hours, self._settings.link_openings
        try:
            async with self._gateway.database.tenant(parcel.tenant_id) as connection:
                fax_id = telling.fax_of(parcel.words)
                path = await make_link(connection, self._gateway, fax_id, parcel_id=parcel.id, hours=hours, most=most)
        except RequestError as fault:
            raise Refused(fault.code, fault.reason) from fault
        except (SpoolUnavailable, StoreError) as fault:
            raise Unreachable("mail.link", "A link cannot be made now.") from fault
        return f"{self._gateway.config.people.url}{path}"

    def _mail(self, parcel: Parcel, said: telling.Said, *, content: bool = False, secret: bool = False) -> Mail:
        # A mailbox that knows messages by their ids must not take the fax for the notice that came before it.
        kind = "" if content else "link" if secret else "notice"
        return Mail(
            id=uuid5(parcel.id, kind) if kind else parcel.id,
            tenant_id=parcel.tenant_id,
            to=self._settings.address,
            subject=said.subject,
            text=said.text,
            attachments=parcel.files if content else (),
            sensitive=content or secret,
        )
