"""Signed notes: as others write and read them, and no octet of them may change."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxgw.audit.notes import Checkpoint, NoteRefused, Verifier, origin_of
from faxgw.ids import new_id

# The example of the documentation of golang.org/x/mod/sumdb/note, from which c2sp.org/signed-note comes.
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNED = (
    f"{TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CHECKPOINT = Checkpoint(origin_of(new_id()), 42, bytes(range(32)))
VERIFIER = Verifier(CHECKPOINT.origin, PRIVATE.public_key().public_bytes_raw())


def test_a_note_that_others_have_signed_is_read() -> None:
    verifier = Verifier.parse(KEY)
    assert verifier.opened(SIGNED) == TEXT
    assert verifier.text == KEY


def test_a_checkpoint_is_three_lines_and_a_signature_by_the_name_of_the_log() -> None:
    note = CHECKPOINT.signed(PRIVATE)
    assert Checkpoint.opened(note, VERIFIER) == CHECKPOINT
    origin, size, root, empty, signature, end = note.split("\n")
    assert (origin, size, root, empty, end) == (
        CHECKPOINT.origin,
        "42",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "",
        "",
    )
    assert signature.startswith(f"— {origin} ")
    assert Verifier.parse(VERIFIER.text) == VERIFIER


@pytest.mark.requirement("FP-13")
def test_no_octet_of_a_checkpoint_can_be_altered() -> None:
    octets = CHECKPOINT.signed(PRIVATE).encode()
    for at in range(len(octets)):
        for mask in (0x01, 0x20, 0x80):
            altered = octets[:at] + bytes([octets[at] ^ mask]) + octets[at + 1 :]
            with pytest.raises((NoteRefused, UnicodeDecodeError)):
                Checkpoint.opened(altered.decode(), VERIFIER)
        with pytest.raises((NoteRefused, UnicodeDecodeError)):
            Checkpoint.opened((octets[:at] + octets[at + 1 :]).decode(), VERIFIER)


def test_nothing_can_be_put_around_a_signature() -> None:
    note = CHECKPOINT.signed(PRIVATE)
    text, _, signature = note.rpartition("\n\n")
    for junk in ("x", "x\n", "\n", f"x{signature}", "— a b c\n", "— a\n"):
        for altered in (note + junk, f"{text}\n\n{junk}{signature}"):
            with pytest.raises(NoteRefused):
                Checkpoint.opened(altered, VERIFIER)
    assert Checkpoint.opened(f"{note}— somebody.else AAAA\n", VERIFIER) == CHECKPOINT


def test_what_another_key_or_another_log_has_signed_is_refused() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(NoteRefused, match="no signature by"):
        Checkpoint.opened(CHECKPOINT.signed(other), VERIFIER)
    foreign = Checkpoint(origin_of(new_id()), 42, bytes(32))
    with pytest.raises(NoteRefused, match="no signature by"):
        Checkpoint.opened(foreign.signed(PRIVATE), VERIFIER)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "x\n\n— a b\n", "— a b\n", "x\n— a AAAA\n", "x\n\n— a AAAA", "x\n\n-- a AAAA\n"]
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteRefused):
        VERIFIER.opened(text)


@pytest.mark.parametrize("at", range(0, len(KEY)))
def test_a_typing_error_in_a_key_is_noticed(at: int) -> None:
    with pytest.raises(NoteRefused):
        Verifier.parse(KEY[:at] + ("A" if KEY[at] != "A" else "B") + KEY[at + 1 :])
