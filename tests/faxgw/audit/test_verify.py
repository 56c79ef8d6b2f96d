"""FP-13: a log is checked offline, and whatever was done to it is found and named."""

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from faxgw.audit.canonical import canonical
from faxgw.audit.export import FORM, line_of
from faxgw.audit.merkle import leaf_hash
from faxgw.audit.verify import Refuted, Verified, verify
from faxgw.cli.audit import app
from faxgw.errors import RequestError
from faxgw.keys.jwk import jwk
from tests.faxgw.audit.logs import KEY, TENANT, Log, log_of, row

pytestmark = pytest.mark.requirement("FP-13")

RAW = KEY.public_key().public_bytes_raw()


def check(lines: Sequence[bytes], *, keys: Sequence[bytes] = (), earlier: Sequence[str] = ()) -> Verified:
    return verify(io.BytesIO(b"".join(lines)), keys=keys, earlier=earlier)


def refuted(lines: Sequence[bytes], *, keys: Sequence[bytes] = (), earlier: Sequence[str] = ()) -> Refuted:
    with pytest.raises(Refuted) as found:
        check(lines, keys=keys, earlier=earlier)
    assert found.value.text.endswith(".")
    return found.value


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 100])
def test_a_log_is_verified_against_its_checkpoint_its_key_and_checkpoints_that_were_kept(size: int) -> None:
    log = log_of(size)
    kept = [log.checkpoint(each) for each in {0, size // 2, size}]
    found = check(log.lines(), keys=[bytes(32), RAW], earlier=kept)
    assert (found.tenant, found.rows, found.key) == (TENANT, size, log.verifier.text)


@pytest.mark.slow
def test_any_octet_that_is_altered_added_or_taken_out_is_noticed() -> None:
    octets = b"".join(log_of(3).lines())
    for at in range(len(octets)):
        changes = [octets[:at] + bytes([octets[at] ^ 1 << bit]) + octets[at + 1 :] for bit in range(8)]
        for altered in (*changes, octets[:at] + octets[at + 1 :], octets[:at] + b" " + octets[at:], octets[:at]):
            with pytest.raises((Refuted, RequestError)):
                check([altered], keys=[RAW])


def test_an_altered_row_is_named() -> None:
    lines = log_of(9).lines()
    lines[5] = lines[5].replace(b'"page":4', b'"page":5')
    found = refuted(lines)
    assert (found.code, found.row) == ("audit.altered", 4)
    assert found.text == "Row 4 was altered: it has not the hash that stands with it."


def test_a_row_that_was_altered_with_its_hash_is_noticed_and_found_between_kept_checkpoints() -> None:
    log = log_of(9)
    octets = canonical(row(6, actor="user:2"))
    lines = log.lines()
    lines[7] = line_of(octets, leaf_hash(octets))
    found = refuted(lines, earlier=[log.checkpoint(3), log.checkpoint(5)])
    assert found.code == "audit.altered"
    assert found.text == "The rows from 5 on are not those that were signed: one was altered, and its hash with it."


def test_a_missing_row_is_named() -> None:
    lines = log_of(9).lines()
    found = refuted(lines[:4] + lines[5:])
    assert (found.code, found.row) == ("audit.missing", 3)
    assert found.text == "Row 3 is missing: row 4 stands in its place."


def test_rows_out_of_order_are_named() -> None:
    lines = log_of(9).lines()
    lines[3], lines[6] = lines[6], lines[3]
    found = refuted(lines)
    assert (found.code, found.row) == ("audit.order", 2)
    assert found.text == "Row 2 is out of its order: row 5 stands in its place."
    again = log_of(3).lines()
    found = refuted([*again[:2], again[1], again[3]])
    assert (found.code, found.text) == ("audit.order", "Row 0 stands a second time, in the place of row 1.")


def test_a_log_that_was_cut_off_is_noticed() -> None:
    found = refuted(log_of(9).lines()[:-2])
    assert (found.code, found.row) == ("audit.truncated", 7)


def test_a_log_that_was_cut_off_and_signed_again_is_noticed_by_whoever_kept_a_checkpoint() -> None:
    kept = log_of(9).checkpoint()
    lines = log_of(8).lines()
    assert check(lines).rows == 8
    found = refuted(lines, earlier=[kept])
    assert (found.code, found.row) == ("audit.truncated", 8)
    assert found.text == "The log was cut off after 8 rows: a checkpoint that was kept has 9."


def test_a_log_that_was_rewritten_and_signed_again_is_noticed_by_whoever_kept_a_checkpoint() -> None:
    rewritten = Log([row(seq, actor="user:2" if seq == 1 else "user:1") for seq in range(9)])
    assert check(rewritten.lines()).rows == 9
    found = refuted(rewritten.lines(), earlier=[log_of(9).checkpoint(4)])
    assert found.code == "audit.rewritten"


def test_rows_that_follow_and_rows_of_another_tenant_are_noticed() -> None:
    lines = log_of(3).lines()
    assert refuted([*lines, lines[-1]]).code == "audit.extra"
    other = Log([row(0, tenant="019c13ec-9e00-7000-8000-000000000001")])
    assert refuted(other.lines()).code == "audit.order"


def test_a_log_that_somebody_else_has_signed_is_noticed_by_whoever_knows_the_key() -> None:
    lines = Log(log_of(3).rows, Ed25519PrivateKey.generate()).lines()
    assert check(lines).rows == 3
    found = refuted(lines, keys=[RAW])
    assert (found.code, found.row) == ("audit.signature", None)
    assert refuted(log_of(3).lines(), earlier=[Log([], Ed25519PrivateKey.generate()).checkpoint()]).code == (
        "audit.signature"
    )


def test_a_wrong_signature_is_noticed() -> None:
    log = log_of(3)
    promised = log_of(4).checkpoint().replace("\n4\n", "\n3\n")
    head = canonical({"checkpoint": promised, "faxgw_audit": FORM, "key": log.verifier.text}) + b"\n"
    found = refuted([head, *log.lines()[1:]])
    assert found.code == "audit.signature"
    assert "the signature by" in found.text


@pytest.mark.parametrize(
    "octets", [b"", b"\n", b"{}\n", b"%PDF-1.7\n", b'{"leaf":"","row":{}}\n', bytes(1000)], ids=range(6)
)
def test_what_is_no_export_is_bad_input(octets: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        check([octets])
    assert refused.value.code == "usage"


def test_hostile_lines_are_refused_like_others(soak_seed: int) -> None:
    chance = random.Random(soak_seed)
    lines = log_of(2).lines()
    for hostile in (b"[" * 100_000, b'{"a":' * 50_000, b"9" * 10_000, chance.randbytes(1000), b'{"leaf":1,"row":[]}'):
        for at in (0, 1):
            start = b'{"checkpoint":' if at == 0 else b""
            assert refuted([*lines[:at], start + hostile + b"\n", *lines[at + 1 :]]).code == "audit.altered"


# ---------------------------------------------------------------------------------------------------------- the command


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if isinstance(result.exception, RequestError):
        return 2, result.exception.reason
    return result.exit_code, result.output


def test_the_command_verifies_a_log(tmp_path: Path) -> None:
    log = log_of(5)
    export, keys, kept = tmp_path / "log.jsonl", tmp_path / "keys.json", tmp_path / "kept"
    export.write_bytes(b"".join(log.lines()))
    keys.write_text(json.dumps({"keys": [{"kty": "RSA"}, jwk(RAW)]}))
    kept.write_text(log.checkpoint(3))
    code, output = run("verify", export)
    assert code == 0
    assert output.startswith(f"verified: 5 rows of tenant {TENANT}")
    assert "compare it" in output
    for key in (keys, log.verifier.text):
        code, output = run("verify", export, "--key", key, "--checkpoint", kept, "--json")
        said = json.loads(output)
        assert (code, said["outcome"], said["rows"], said["key"]) == (0, "verified", 5, log.verifier.text)


def test_the_command_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    lines = log_of(5).lines()
    export = tmp_path / "log.jsonl"
    export.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert run("verify", export) == (1, "refuted: Row 1 is missing: row 2 stands in its place.\n")
    code, output = run("verify", export, "--json")
    reason = {"code": "audit.missing", "text": "Row 1 is missing: row 2 stands in its place."}
    assert (code, json.loads(output)) == (1, {"outcome": "refuted", "reason": reason, "row": 1})


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    export, nonsense = tmp_path / "log.jsonl", tmp_path / "nonsense"
    export.write_bytes(b"".join(log_of(1).lines()))
    nonsense.write_text("nonsense")
    for arguments in (
        (tmp_path / "none",),
        (nonsense,),
        (export, "--key", nonsense),
        (export, "--key", tmp_path / "none"),
        (export, "--key", "faxgw.audit/x+00000000+AAAA"),
        (export, "--checkpoint", tmp_path / "none"),
    ):
        assert run("verify", *arguments)[0] == 2
