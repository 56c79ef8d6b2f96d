"""WF-05, WF-08: each part of a mail has its own canary; in clear it is never, and after the end not even sealed."""

import smtplib
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from faxgw.keys.tokens import ApiKey
from faxgw.store.server import urls_for_another_node
from tests.faxgw.canary.hostile import Loot, keys_in, open_all
from tests.faxgw.canary.looking import places
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.canary.story import ANSWERS, Story, story
from tests.faxgw.service.residue import wait_for
from tests.faxgw.serving import Service, ended

PARTS = ("text", "html", "attached text", "tiff", "pdf", "header")
OTHER = "+15550101"


class Mail:
    """A device of the story's owner, and its messages; every part of them has its own canary."""

    def __init__(self, life: Story, api: httpx.Client) -> None:
        self._service = life.service
        made = api.post("/v1/devices", json={"name": "copier", "reply": "none"}).json()
        self._login, self._secret = made["login"], made["secret"]
        secrets = {"secret of the device": self._secret}
        self.canaries = {name: Canary(life.canary.seed + place, secrets) for place, name in enumerate(PARTS, start=10)}

    def attached(self) -> EmailMessage:
        """Return a message that has its text beside attachments, so that the text is not sent."""
        written = self._headed()
        written.set_content(self.canaries["text"].sentence)
        written.add_alternative(f"<p>{self.canaries['html'].sentence}</p>", subtype="html")
        for part, kind in (("attached text", "text/plain"), ("tiff", "image/tiff"), ("pdf", "application/pdf")):
            canary = self.canaries[part]
            major, minor = kind.split("/")
            name = canary.words["document"]
            written.add_attachment(canary.uploads[kind], maintype=major, subtype=minor, filename=name)
        return written

    def alone(self, name: str) -> EmailMessage:
        """Return a message that is one part."""
        written, canary = self._headed(), self.canaries[name]
        if name == "text":
            written.set_content(canary.sentence)
        elif name == "html":
            written.set_content(f"<html><p>{canary.sentence}</p></html>", subtype="html")
        else:
            written.add_attachment(canary.uploads[f"image/{name}"], maintype="image", subtype=name)
        return written

    def _headed(self) -> EmailMessage:
        words = self.canaries["header"].words
        written = EmailMessage()
        written["Subject"] = f"{words['batch']} {self.canaries['header'].sentence}"
        written["From"] = Address(words["label"], words["e-mail"], "office.example")
        written["To"] = Address(words["box"], "somebody", "office.example")
        return written

    def submit(self, message: EmailMessage, *numbers: str) -> None:
        """Submit a message to numbers."""
        context = ssl.create_default_context(cafile=str(self._service.certificate))
        with smtplib.SMTP_SSL("localhost", self._service.submissions_port, context=context, timeout=30) as smtp:
            smtp.login(self._login, self._secret)
            sender = f"{self.canaries['header'].words['hold']}@office.example"
            refused = smtp.send_message(message, sender, [f"{each}@fax.example" for each in numbers])
            assert refused == {}

    def refused(self, message: EmailMessage, *numbers: str) -> None:
        """Submit a message that is not taken."""
        with pytest.raises(smtplib.SMTPException):
            self.submit(message, *numbers)

    def in_clear(self) -> set[tuple[str, Any]]:
        """Return which canary lies in clear somewhere."""
        there = list(places(self._service))
        return {(name, each) for name, canary in self.canaries.items() for each in canary.search().files(there)}

    def opened(self) -> set[str]:
        """Return of which parts something opens with every key there is, pages left aside: they are the fax's."""
        data = self._service.data
        loot = Loot.of(urls_for_another_node(data / "postgres").dispatcher, data / "objects")
        keys, _ = keys_in(data.with_name("data.spool_keys").iterdir())
        found = open_all(loot, keys, secrets=[ApiKey.parse(self._service.account["api_key"]).secret])
        return {
            name
            for name, canary in self.canaries.items()
            for octets in found.content.values()
            if _written(canary) & canary.search().octets(octets) or canary.uploads["application/pdf"] == octets
        }


def _written(canary: Canary) -> set[str]:
    return {form for form in canary.forms() if form.startswith(("sentence", "personal"))}


def _hours(opens: datetime) -> dict[str, object]:
    span = {"opens": f"{opens:%H:%M}", "closes": f"{opens + timedelta(hours=1):%H:%M}"}
    return {"hours": {"zone": "UTC", "spans": [span]}}


def _faxes(api: httpx.Client) -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/v1/faxes").json()["items"]
    return found


@pytest.mark.slow
@pytest.mark.requirement("WF-05", "WF-08", "XM-14")
def test_of_a_mail_nothing_is_in_clear_and_after_the_end_nothing_is_left_but_the_pages(soak_seed: int) -> None:
    with story(Service, seed=soak_seed) as life, life.service.api() as api:
        mail = Mail(life, api)
        later = api.put("/v1/policy", json=_hours(datetime.now(UTC) + timedelta(hours=3)), headers={"If-Match": "*"})
        assert later.is_success, later.text
        broken = mail.attached()
        broken.add_attachment(b"MZ\0\1" * 99, maintype="application", subtype="x-msdownload", filename="a.exe")
        mail.refused(broken, ANSWERS)
        mail.refused(mail.attached(), "+49110")
        assert (mail.in_clear(), mail.opened(), _faxes(api)) == (set(), set(), [])
        mail.submit(mail.attached(), ANSWERS)
        mail.submit(mail.alone("text"), ANSWERS, OTHER)
        mail.submit(mail.alone("tiff"), ANSWERS)
        wait_for(lambda: {each["state"] for each in _faxes(api)} == {"scheduled"} and len(_faxes(api)) == 4)
        assert mail.in_clear() == set()
        # There they are, for the gateway alone; the text beside attachments, and what is in headers, never was.
        assert mail.opened() == {"attached text", "pdf", "text"}
        for each in _faxes(api):
            assert api.post(f"/v1/faxes/{each['id']}:cancel").is_success
            ended(api, each["id"])
        wait_for(lambda: life.row("SELECT count(*) FROM documents") == (0,))
        wait_for(lambda: life.row("SELECT count(*) FROM objects WHERE kind <> 'page'") == (0,))
        assert (mail.in_clear(), mail.opened()) == (set(), set())
        for each in _faxes(api):
            assert api.get(f"/v1/faxes/{each['id']}/content").status_code == 200  # its pages are its owner's
        life.service.stop()
        assert mail.in_clear() == set()


@pytest.mark.slow
@pytest.mark.requirement("WF-05", "WF-08")
def test_where_nothing_is_stored_not_even_the_pages_of_a_mail_are_left(soak_seed: int) -> None:
    with story(Service, seed=soak_seed) as life, life.service.api() as api:
        mail = Mail(life, api)
        nothing = api.put("/v1/policy", json={"storage": "none"}, headers={"If-Match": "*"})
        assert nothing.is_success, nothing.text
        mail.submit(mail.attached(), ANSWERS)
        mail.submit(mail.alone("text"), ANSWERS)
        for each in _faxes(api):
            assert ended(api, each["id"])["state"] == "delivered"
        wait_for(lambda: life.row("SELECT count(*) FROM objects") == (0,))
        assert mail.in_clear() == set()
        assert list((life.service.data / "objects").rglob("*.faxgw")) == []
