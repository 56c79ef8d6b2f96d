"""XM-14, FP-01: of a canary that devices hand in, and of their secrets, nobody who listens on the way sees anything."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faxgw.canary.capturing import Capture
from tests.faxgw.canary.specimen import Canary
from tests.faxgw.canary.test_wire import seen, wire
from tests.faxgw.dropbox.clients import NUMBER, Box
from tests.faxgw.dropbox.conftest import box, gateway, owner, sftp

__all__ = ["box", "gateway", "owner", "sftp", "wire"]

pytestmark = pytest.mark.interop

Peer = Callable[[str], Path]


def canary_with(secret: str) -> Canary:
    return Canary(int(os.environ["FAXGW_SEED"]), {"secret of the device": secret})


@pytest.mark.parametrize("program", ["sftp", "scp"])
async def test_of_a_fax_that_is_dropped_nothing_is_seen_and_no_secret(
    box: Box, peer: Peer, wire: Capture, program: str
) -> None:
    canary = canary_with(box.secret)
    (box.folder / "letter.tif").write_bytes(canary.uploads["image/tiff"])
    cover = {"to_name": canary.sentence[:60], "message": canary.sentence}
    (box.folder / "letter.json").write_text(json.dumps({"to": NUMBER, "cover": cover}))
    words = ("-b", "-", "HOST") if program == "sftp" else ("letter.tif", "letter.json", "HOST:")
    with wire:
        status, said = await box.openssh(peer, program, *words, text="put letter.tif\nput letter.json\n")
    assert status == 0, said
    assert [fax.to_number for fax in await box.faxes()] == [NUMBER]
    assert any(len(each) > 1000 for each in wire.said(box.port)), "nothing was captured"
    assert seen(wire, canary.search()) == set()
