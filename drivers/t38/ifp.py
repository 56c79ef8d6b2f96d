"""IFP packets (T.38 clause 7): indicators, and data of one signal, in packed encoding rules written by hand.

There are two forms on the wire. The syntax of 1998 lacks the extension marker of the field type, and
``T38FaxVersion`` 0 stands for it; versions 1 to 3 have it. They differ in two bits of every field, so that one read as
the other makes data without error correction a frame with a bad check sequence.

Here, as everywhere, the first bit on the wire is the least significant of an octet; in T.38 it is the most significant,
so octets are turned round on their way in and out.
"""

from enum import Enum, IntEnum
from typing import NamedTuple


class Indicator(IntEnum):
    """What a signal is, before its data: the type ``t30-indicator``."""

    NO_SIGNAL = 0
    CNG = 1
    CED = 2
    V21_PREAMBLE = 3
    V27TER_2400 = 4
    V27TER_4800 = 5
    V29_7200 = 6
    V29_9600 = 7
    V17_7200_SHORT = 8
    V17_7200_LONG = 9
    V17_9600_SHORT = 10
    V17_9600_LONG = 11
    V17_12000_SHORT = 12
    V17_12000_LONG = 13
    V17_14400_SHORT = 14
    V17_14400_LONG = 15
    V8_ANSAM = 16
    V8_SIGNAL = 17
    V34_CONTROL_1200 = 18
    V34_PRIMARY = 19
    V34_CONTROL_RETRAIN = 20
    V33_12000 = 21
    V33_14400 = 22


class DataType(IntEnum):
    """Which signal data belong to: the type ``t30-data``."""

    V21 = 0
    V27TER_2400 = 1
    V27TER_4800 = 2
    V29_7200 = 3
    V29_9600 = 4
    V17_7200 = 5
    V17_9600 = 6
    V17_12000 = 7
    V17_14400 = 8
    V8 = 9
    V34_PRIMARY_RATE = 10
    V34_CONTROL_1200 = 11
    V34_PRIMARY = 12
    V33_12000 = 13
    V33_14400 = 14


class FieldType(IntEnum):
    """What a field of a data packet holds."""

    HDLC_DATA = 0
    HDLC_SIG_END = 1
    HDLC_FCS_OK = 2
    HDLC_FCS_BAD = 3
    HDLC_FCS_OK_SIG_END = 4
    HDLC_FCS_BAD_SIG_END = 5
    T4_NON_ECM_DATA = 6
    T4_NON_ECM_SIG_END = 7
    CM_MESSAGE = 8
    JM_MESSAGE = 9
    CI_MESSAGE = 10
    V34_RATE = 11


BAD_FRAME = frozenset({FieldType.HDLC_FCS_BAD, FieldType.HDLC_FCS_BAD_SIG_END})
"""Fields that end a frame whose check sequence was wrong."""
ENDS_FRAME = BAD_FRAME | {FieldType.HDLC_FCS_OK, FieldType.HDLC_FCS_OK_SIG_END}
"""Fields that end a frame."""
ENDS_SIGNAL = frozenset(
    {
        FieldType.HDLC_SIG_END,
        FieldType.HDLC_FCS_OK_SIG_END,
        FieldType.HDLC_FCS_BAD_SIG_END,
        FieldType.T4_NON_ECM_SIG_END,
    }
)
"""Fields that end a signal."""


class Form(Enum):
    """How a field's type is written: by the syntax of 1998 or of 2002."""

    OF_1998 = 0
    OF_2002 = 1

    @classmethod
    def of_version(cls, version: int) -> "Form":
        """Return what goes with a ``T38FaxVersion``."""
        return cls.OF_1998 if version == 0 else cls.OF_2002

    @property
    def other(self) -> "Form":
        """The form that a peer may use whose version says otherwise."""
        return Form.OF_2002 if self is Form.OF_1998 else Form.OF_1998


class Field(NamedTuple):
    """One field of a data packet; most types have no octets."""

    type: FieldType
    octets: bytes = b""


class IndicatorPacket(NamedTuple):
    """A signal begins, or there is none."""

    indicator: Indicator


class DataPacket(NamedTuple):
    """The next fields of a signal."""

    type: DataType
    fields: tuple[Field, ...]


Packet = IndicatorPacket | DataPacket


class IfpMalformed(ValueError):
    """Octets that are no IFP packet of the form in which they were read."""


LONGEST = 65535
"""Octets that a field can have."""

_TURNED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_INDICATORS, _DATA_TYPES, _FIELD_TYPES = tuple(Indicator), tuple(DataType), tuple(FieldType)
_ROOT_INDICATORS, _ROOT_DATA_TYPES, _ROOT_FIELD_TYPES = 16, 9, 8
"""So many values of each type stand before its extension marker."""
_HAS_DATA, _IS_DATA, _IS_EXTENSION = 0x80, 0x40, 0x20


# ------------------------------------------------------------------------------------------------------------- writing


def _head(value: int, root: int, flags: int) -> bytes:
    """Return the head of a packet: whether fields follow, which of the two kinds it is, and the value of its type."""
    if value < root:
        return bytes([flags | value << 1])
    beyond = value - root
    return bytes([flags | _IS_EXTENSION | beyond >> 2, (beyond & 3) << 6])


_INDICATOR_OCTETS = tuple(_head(each, _ROOT_INDICATORS, 0) for each in _INDICATORS)
_DATA_HEADS = tuple(_head(each, _ROOT_DATA_TYPES, _HAS_DATA | _IS_DATA) for each in _DATA_TYPES)


def _field_head(value: int, form: Form, has_octets: int) -> bytes | None:
    if form is Form.OF_1998:
        return bytes([has_octets | value << 4]) if value < _ROOT_FIELD_TYPES else None
    if value < _ROOT_FIELD_TYPES:
        return bytes([has_octets | value << 3])
    beyond = value - _ROOT_FIELD_TYPES
    return bytes([has_octets | 0x40 | beyond >> 1, (beyond & 1) << 7])


_FIELD_HEADS = {
    form: tuple(tuple(_field_head(each, form, has) for each in _FIELD_TYPES) for has in (0, _HAS_DATA)) for form in Form
}


def encode(packet: Packet, form: Form = Form.OF_2002) -> bytes:
    """Write a packet.

    Only the last field of a packet may lack octets: what would follow is packed to the bit by the rules and aligned to
    octets by what is in use, so nobody could be sure of it.

    Raises:
        ValueError: for a packet of another shape, or with a type that the form does not have.
    """
    if isinstance(packet, IndicatorPacket):
        return _INDICATOR_OCTETS[packet.indicator]
    empty_heads, full_heads = _FIELD_HEADS[form]
    fields = packet.fields
    if not 0 < len(fields) < 128:
        raise ValueError(f"a data packet has 1 to 127 fields, not {len(fields)}")
    parts = [_DATA_HEADS[packet.type], bytes((len(fields),))]
    last = len(fields) - 1
    for place, (kind, octets) in enumerate(fields):
        head = (full_heads if octets else empty_heads)[kind]
        if head is None or (not octets and place != last):
            raise ValueError(f"{FieldType(kind).name} cannot be written there")
        parts.append(head)
        if octets:
            parts += ((len(octets) - 1).to_bytes(2, "big"), octets.translate(_TURNED))
    return b"".join(parts)


# ------------------------------------------------------------------------------------------------------------- reading


def decode(octets: bytes, form: Form = Form.OF_2002, *, padded: bool = False) -> Packet:
    """Read a packet.

    Args:
        octets: the whole packet.
        form: in which it is written.
        padded: zeros may follow it, as after a repair by parity.

    Raises:
        IfpMalformed: if it is none.
    """
    if not octets:
        raise IfpMalformed("nothing at all")
    head = octets[0]
    at = 1
    if head & _IS_EXTENSION:
        if len(octets) < 2 or head & 0x10:
            raise IfpMalformed("a type that nobody has defined")
        value = (head & 0x0F) << 2 | octets[1] >> 6
        at = 2
    else:
        value = head >> 1 & 0x0F
    if head & _IS_DATA:
        if head & _IS_EXTENSION:
            value += _ROOT_DATA_TYPES
        if value >= len(_DATA_TYPES) or (value >= _ROOT_DATA_TYPES) != bool(head & _IS_EXTENSION):
            raise IfpMalformed(f"data of an unknown signal, {value}")
        fields, at = _fields(octets, at, form) if head & _HAS_DATA else ((), at)
        packet: Packet = DataPacket(_DATA_TYPES[value], fields)
    else:
        if head & _IS_EXTENSION:
            value += _ROOT_INDICATORS
        if head & _HAS_DATA or value >= len(_INDICATORS):
            raise IfpMalformed("an indicator with fields" if head & _HAS_DATA else f"an unknown indicator, {value}")
        packet = IndicatorPacket(_INDICATORS[value])
    if at != len(octets) and not (padded and not any(octets[at:])):
        raise IfpMalformed(f"{len(octets) - at} octets too many")
    return packet


def _fields(octets: bytes, at: int, form: Form) -> tuple[tuple[Field, ...], int]:
    """Read the fields of a data packet; return them, and where they end."""
    if at >= len(octets) or octets[at] > 127:
        raise IfpMalformed("no count of fields")
    left = octets[at]
    at += 1
    fields: list[Field] = []
    old = form is Form.OF_1998
    length = len(octets)
    while left:
        left -= 1
        if at >= length:
            raise IfpMalformed("a field is missing")
        head = octets[at]
        at += 1
        if old:
            value, empty = head >> 4 & 7, head & 0x0F
        elif head & 0x40:
            if at >= length or head & 0x20:
                raise IfpMalformed("a field of a type that nobody has defined")
            value, empty = _ROOT_FIELD_TYPES + ((head & 0x1F) << 1 | octets[at] >> 7), octets[at] & 0x7F
            at += 1
            if value >= len(_FIELD_TYPES):
                raise IfpMalformed(f"a field of unknown type, {value}")
        else:
            value, empty = head >> 3 & 7, head & 7
        if empty:
            raise IfpMalformed("bits set that mean nothing")
        if head & _HAS_DATA:
            end = at + 3 + (octets[at] << 8 | octets[at + 1]) if at + 2 <= length else length + 1
            if end > length:
                raise IfpMalformed("a field that is cut off")
            fields.append(Field(_FIELD_TYPES[value], octets[at + 2 : end].translate(_TURNED)))
            at = end
        else:
            fields.append(Field(_FIELD_TYPES[value]))
    return tuple(fields), at
