"""The canary itself: a random sentence, a page of noise, numbers, names; and every form in which one may lie about."""

import random
import string
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from faxgw.documents.coded import TURNED, CodedPage, bitmap_of, packed
from faxgw.documents.pdf import pdf_octets
from faxgw.documents.tiff import tiff_octets
from t30.pages import Coding
from t30.t4 import Bitmap, encode
from tests.faxgw.canary.searching import WINDOW, Search
from tests.faxgw.service.residue import noise

ROWS = 24
STRIPS = {
    "MH": (Coding.MH, 1),
    "MR, k=2": (Coding.MR, 2),
    "MR, k=4": (Coding.MR, 4),
    "MMR": (Coding.MMR, 4),
}
PELS = 192
WORDS = ("document", "label", "batch", "box", "hold", "reason of a hold", "note of a rule", "e-mail")
"""What else is personal, and has a word of its own here."""


@dataclass(frozen=True)
class Canary:
    """What nobody but its owner may ever see.

    Attributes:
        seed: of all that is random about it.
        secrets: name -> what else may not lie about, such as API keys, as their owners have them.
    """

    seed: int
    secrets: dict[str, str] = field(default_factory=dict)

    @cached_property
    def sentence(self) -> str:
        """A sentence that nobody has written before."""
        chance = random.Random(self.seed)
        return "The word is " + "".join(chance.choices(string.ascii_letters + string.digits, k=72))

    @cached_property
    def page(self) -> CodedPage:
        """A page that nobody has drawn before."""
        return noise(self.seed, rows=ROWS)

    @cached_property
    def number(self) -> str:
        """A telephone number that somebody else has, in E.164."""
        return f"+1646{random.Random(self.seed + 1).randrange(2_300_000, 9_999_999)}"

    @cached_property
    def station(self) -> str:
        """What our machine calls itself."""
        return "".join(random.Random(self.seed + 2).choices(string.ascii_letters, k=20))

    @cached_property
    def words(self) -> dict[str, str]:
        """What is personal -> a word that nobody has used for it before."""
        chance = random.Random(self.seed + 3)
        return {name: "".join(chance.choices(string.ascii_lowercase, k=48)) for name in WORDS}

    @cached_property
    def uploads(self) -> dict[str, bytes]:
        """Media type -> a document that has it."""
        return {
            "image/tiff": tiff_octets([self.page]),
            "application/pdf": pdf_octets([self.page]),
            "text/plain": self.sentence.encode(),
        }

    def forms(self) -> dict[str, bytes]:
        """Return name -> octets of every form in which a window of it would give it away."""
        rows = packed(bitmap_of(self.page)).tobytes()
        word = self.sentence.partition(" is ")[2]
        plain = {"sentence": word.encode(), "page as filed": self.page.octets, "rows": rows}
        plain |= {name: text.encode() for name, text in self.secrets.items() if len(text) >= WINDOW}
        plain |= {f"{PERSONAL}{name}": word.encode() for name, word in self.words.items()}
        found = dict(plain)
        for name, octets in plain.items():
            found |= {f"{name}, {how}": written for how, written in _written(octets)}
        found |= {"sentence, UTF-16": word.encode("utf-16-le"), "sentence, UTF-16 turned": word.encode("utf-16-be")}
        found |= {f"rows, {how}": moved for how, moved in _moved(rows)}
        found |= {f"rows, black is 0, {how}": moved for how, moved in _moved(rows.translate(NEGATIVE))}
        for name, (coding, k) in STRIPS.items():
            strip = encode(bitmap_of(self.page), coding, k=k, end_of_page=False).translate(TURNED)
            found |= {f"{name}, {how}": moved for how, moved in _moved(strip)}
        return found

    def whole(self) -> dict[str, bytes]:
        """Return name -> octets of the forms that are looked for as a whole: short, or an octet for each pel."""
        pels = _pels(bitmap_of(self.page))
        middle = pels[ROWS // 2][:PELS]
        short = {name: text.encode() for name, text in self.secrets.items() if len(text) < WINDOW}
        for name, text in {"number": self.number[1:], "station": self.station}.items():
            octets = text.encode()
            short |= {f"{PERSONAL}{name}": octets, f"{PERSONAL}{name}, hexadecimal": octets.hex().encode()}
            short[f"{PERSONAL}{name}, UTF-16"] = text.encode("utf-16-le")
        return short | {
            "pels, 0 and 1": middle.tobytes(),
            "pels, 0 and 255": (255 * middle).tobytes(),
            "pels, 255 and 0": (255 - 255 * middle).tobytes(),
        }

    def search(self) -> Search:
        """Return the search for all of it."""
        return Search(self.forms(), self.whole())


PERSONAL = "personal: "
"""How the forms begin of what is about people, and no content."""
NEGATIVE = bytes(255 - octet for octet in range(256))


def _written(octets: bytes) -> Iterator[tuple[str, bytes]]:
    yield "hexadecimal", octets.hex().encode()
    yield "HEXADECIMAL", octets.hex().upper().encode()
    for shift in range(3):
        # The last digits depend on what follows.
        cut = octets[shift : len(octets) - (len(octets) - shift) % 3]
        yield f"base64 from octet {shift}", b64encode(cut)
        if b64encode(cut) != urlsafe_b64encode(cut):
            yield f"base64 of addresses from octet {shift}", urlsafe_b64encode(cut)


def _moved(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """Go through octets whose bits are moved by 0 to 7 places, in either order of the bits."""
    bits = np.unpackbits(np.frombuffer(octets, np.uint8))
    for shift in range(8):
        moved = np.packbits(bits[shift:]).tobytes()[: len(octets) - 1]
        yield f"moved by {shift}", moved
        yield f"moved by {shift}, turned", moved.translate(TURNED)


def _pels(bitmap: Bitmap) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.unpackbits(packed(bitmap), axis=1)[:, : bitmap.width]


assert WINDOW * 8 == PELS
