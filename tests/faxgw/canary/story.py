"""The life of a canary in a gateway: uploaded, seen, sent, received, taken away, backed up, deleted; stage by stage."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg

from faxgw.store.server import urls_for_another_node
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.service.residue import wait_for
from tests.faxgw.serving import PASSWORD, Service, ended, reachable_folder, send, upload

ANSWERS, OURS = "+15550100", "+15550199"


@dataclass
class Story:
    """A service and what has been done with the canary.

    Attributes:
        elsewhere: a folder of its owner, in which downloads lie; no place of the service.
        taken: name -> what its owner has taken away.
    """

    service: Service
    canary: Canary
    elsewhere: Path
    faxes: list[str] = field(default_factory=list)
    received: str = ""
    waiting: str = ""
    documents: list[str] = field(default_factory=list)
    page_set: str = ""
    taken: dict[str, bytes] = field(default_factory=dict)

    def stages(self) -> Iterator[str]:
        """Live it: give the name of each stage when it is done."""
        with self.service.api() as api:
            steps = (
                self.uploaded,
                self.previewed,
                self.held_up,
                self.sent,
                self.came_in,
                self.forwarded,
                self.taken_away,
            )
            for stage in steps:
                stage(api)
                yield stage.__name__
            for backed in (self.backed_up, self.restored):
                backed()
                yield backed.__name__
            self.deleted(api)
            yield "deleted"
        self.service.stop()
        yield "stopped"

    def uploaded(self, api: httpx.Client) -> None:
        """Upload it in every form."""
        name = self.canary.words["document"]
        self.documents = [upload(api, octets, kind, name=name) for kind, octets in self.canary.uploads.items()]
        for document in self.documents:
            assert api.get(f"/v1/documents/{document}").json()["expires_at"]

    def previewed(self, api: httpx.Client) -> None:
        """See how it will be sent."""
        drawn = api.post("/v1/documents:render", json={"documents": self.documents[:1]})
        assert drawn.status_code == 201, drawn.text
        self.page_set = drawn.json()["id"]
        page = api.get(f"/v1/page-sets/{self.page_set}/pages/1")
        assert page.status_code == 200
        self.taken["preview.png"] = page.content

    def held_up(self, api: httpx.Client) -> None:
        """Have faxes accepted that cannot be sent yet."""
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        cover = {"to_name": self.canary.sentence[:60], "message": self.canary.sentence}
        asked = {"to": ANSWERS, "documents": self.documents[:1], "send_at": tomorrow, "cover": cover}
        accepted = api.post("/v1/faxes", json=asked, headers={"Idempotency-Key": "once"})
        assert accepted.status_code == 202, accepted.text
        self.waiting = accepted.json()["id"]
        wait_for(lambda: api.get(f"/v1/faxes/{self.waiting}").json()["state"] == "scheduled")
        self.named(api, tomorrow)

    def named(self, api: httpx.Client, tomorrow: str) -> None:
        """Say whatever is personal, wherever it can be said."""
        canary, words = self.canary, self.canary.words
        document = upload(api, b"Nothing to speak of.", "text/plain")
        asked = {"to": [canary.number], "documents": [document], "send_at": tomorrow, "name": words["batch"]}
        batch = self.post(api, "batches", {**asked, "sender": canary.station, "labels": {"of": words["label"]}})
        wait_for(lambda: api.get(f"/v1/batches/{batch}").json()["counts"].get("scheduled") == 1)
        wanted = {"name": words["hold"], "reason": words["reason of a hold"], "numbers": [canary.number]}
        hold = self.post(api, "holds", wanted)
        assert api.post(f"/v1/holds/{hold}:release").is_success
        rule = {"direction": "in", "action": "allow", "pattern": "+4930*", "note": words["note of a rule"]}
        self.post(api, "number-rules", rule)
        self.post(api, "boxes", {"name": words["box"]})
        self.post(api, "users", {"email": f"{words['e-mail']}@acme.example", "role": "member"})
        known = api.put(f"/v1/destinations/{canary.number}", json={"override": None}, headers={"If-Match": "*"})
        assert known.is_success, known.text
        assert api.post(f"/v1/batches/{batch}:cancel").is_success
        listed = api.get("/v1/faxes", params={"to": canary.number}).json()["items"]
        assert [each["labels"] for each in listed] == [{"of": words["label"]}]

    def post(self, api: httpx.Client, where: str, asked: Mapping[str, object]) -> str:
        """Have something made; return its id."""
        made = api.post(f"/v1/{where}", json=asked)
        assert made.is_success, (where, made.text)
        return str(made.json()["id"])

    def sent(self, api: httpx.Client) -> None:
        """Send it."""
        self.faxes = [send(api, ANSWERS, document) for document in self.documents]
        states = [ended(api, fax)["state"] for fax in self.faxes]
        assert states == ["delivered"] * len(self.documents)

    def came_in(self, api: httpx.Client) -> None:
        """Receive it."""
        calling = {"to": OURS, "document": self.documents[0], "from": self.canary.number}
        called = api.post("/v1/sandbox/calls", json=calling)
        assert called.status_code == 202, called.text
        listed = {"state": "received"}
        wait_for(lambda: bool(api.get("/v1/faxes", params=listed).json()["items"]))
        self.received = api.get("/v1/faxes", params=listed).json()["items"][0]["id"]

    def forwarded(self, api: httpx.Client) -> None:
        """Send what came in on to a number."""
        passed_on = api.post(f"/v1/faxes/{self.received}:forward", json={"to": ANSWERS})
        assert passed_on.is_success, passed_on.text
        self.faxes.append(passed_on.json()["id"])
        assert ended(api, self.faxes[-1])["state"] == "delivered"

    def taken_away(self, api: httpx.Client) -> None:
        """Download and export it."""
        box = self.service.account["box"]
        for name, path in {
            "fax.pdf": f"faxes/{self.received}/content",
            "fax.tif": f"faxes/{self.received}/content?format=tiff",
            "page.png": f"faxes/{self.faxes[0]}/pages/1",
            "call.jsonl": f"faxes/{self.faxes[0]}/attempts/1/trace",
            "page.faxgw": f"faxes/{self.faxes[0]}/pages/1/sealed",
            "box.zip": f"boxes/{box}/archive",
            "calls.csv": "usage/calls?format=csv",
            "evidence.zip": "exports/evidence",
            "audit.jsonl": "audit:export",
        }.items():
            answer = api.get(f"/v1/{path}")
            assert answer.status_code == 200, (name, answer.text)
            self.taken[name] = answer.content

    def backed_up(self) -> None:
        """Back it up, where the backup lies among the files of the service."""
        self.identity = self.elsewhere / "identity"
        recipient = self.command("backup", "new-key", "--to", self.identity).strip()
        self.backup = self.service.folder / "backup.age"
        words = ("--data", self.service.data, "--recipient", recipient, "--to", self.backup)
        self.signer = json.loads(self.command("backup", "create", *words, "--json"))["signer"]

    def restored(self) -> None:
        """Restore it, among the files of the service."""
        words = ("--identity", self.identity, "--signer", self.signer)
        data = self.service.folder / "restored"
        self.command("backup", "restore", self.backup, "--data", data, *words)
        assert (data / "objects").is_dir()

    def deleted(self, api: httpx.Client) -> None:
        """Delete every fax."""
        assert api.post(f"/v1/faxes/{self.waiting}:cancel").is_success
        for fax in (self.waiting, *self.faxes, self.received):
            ended(api, fax)
            gone = api.delete(f"/v1/faxes/{fax}")
            assert gone.is_success, gone.text
            gone = api.get(f"/v1/faxes/{fax}/content")
            assert (gone.status_code, gone.json()["code"]) == (410, "content.gone")

    def unstored(self) -> Iterator[str]:
        """Live it where nothing is stored: give the name of each stage when it is done."""
        with self.service.api() as api:
            nothing = api.put("/v1/policy", json={"storage": "none"}, headers={"If-Match": "*"})
            assert nothing.is_success, nothing.text
            for stage in (self.uploaded, self.held_up, self.sent):
                stage(api)
                yield stage.__name__
            assert api.post(f"/v1/faxes/{self.waiting}:cancel").is_success
            self._gone(api, self.waiting, *self.faxes)
            yield "gone"
            self.documents = [upload(api, self.canary.uploads["image/tiff"])]
            self.came_in(api)
            assert api.get(f"/v1/faxes/{self.received}/content").status_code == 200
            yield "collected"
            assert api.delete(f"/v1/faxes/{self.received}").is_success
            self._gone(api, self.received)
            self._gone(api, send(api, ANSWERS, self.documents[0]))  # and with it the last upload
        yield "over"

    def _gone(self, api: httpx.Client, *faxes: str) -> None:
        for fax in faxes:
            ended(api, fax)
            wait_for(lambda: api.get(f"/v1/faxes/{fax}/content").status_code == 410)  # noqa: B023
            assert api.get(f"/v1/faxes/{fax}/content").json()["code"] == "content.gone"
            assert api.post(f"/v1/faxes/{fax}:resend").status_code == 410

    def command(self, *words: object) -> str:
        """Run one of our commands."""
        ran = subprocess.run(
            [*self.service.program, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            env=self.service.environment,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def row(self, query: str, *values: object) -> tuple[object, ...]:
        """Return what the database says."""
        with psycopg.connect(urls_for_another_node(self.service.data / "postgres").dispatcher) as database:
            found = database.execute(query.encode(), values).fetchone()
        assert found is not None
        return found


@contextmanager
def story(kind: type[Service], *, seed: int, config: str = "") -> Iterator[Story]:
    """Give the story of a service that has just been started, whose temporary files lie beside its data."""
    with ExitStack() as stack:
        folder, elsewhere = (stack.enter_context(reachable_folder()) for _ in range(2))
        (folder / "tmp").mkdir()
        environment = {"TMPDIR": str(folder / "tmp"), "TEMP": str(folder / "tmp"), "TMP": str(folder / "tmp")}
        service = stack.enter_context(kind(folder, environment=environment, config=config))
        service.start()
        account = service.set_up()
        secrets = {"API key": account["api_key"].rpartition("_")[2], "password": PASSWORD}
        secrets["recovery code"] = account["recovery_code"]
        yield Story(service, Canary(seed, secrets), elsewhere)
