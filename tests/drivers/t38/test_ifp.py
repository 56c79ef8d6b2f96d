"""IFP packets: both forms on the wire, every type, and nothing that octets could do to the parser."""

from typing import Any

import asn1tools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.t38.ifp import (
    DataPacket,
    DataType,
    Field,
    FieldType,
    Form,
    IfpMalformed,
    Indicator,
    IndicatorPacket,
    Packet,
    decode,
    encode,
)

OF_1998, OF_2002 = Form
EMPTY = {FieldType.HDLC_SIG_END, FieldType.T4_NON_ECM_SIG_END}
OCTETS = st.binary(min_size=1, max_size=300)


@st.composite
def packets(draw: st.DrawFn, form: Form) -> Packet:
    if draw(st.booleans()):
        return IndicatorPacket(draw(st.sampled_from(Indicator)))
    types = st.sampled_from([each for each in FieldType if form is OF_2002 or each <= FieldType.T4_NON_ECM_SIG_END])
    fields = draw(st.lists(st.builds(Field, types, OCTETS), max_size=5))
    last = draw(st.builds(Field, types, st.just(b"") | OCTETS))
    return DataPacket(draw(st.sampled_from(DataType)), (*fields, last))


@pytest.mark.parametrize("form", Form)
@given(st.data())
def test_what_is_written_is_read_back(form: Form, data: st.DataObject) -> None:
    packet = data.draw(packets(form))
    assert decode(encode(packet, form), form) == packet


@pytest.mark.parametrize(
    ("packet", "octets"),
    [
        (IndicatorPacket(Indicator.NO_SIGNAL), "00"),
        (IndicatorPacket(Indicator.CED), "04"),
        (IndicatorPacket(Indicator.V17_14400_LONG), "1e"),
        (IndicatorPacket(Indicator.V8_ANSAM), "2000"),
        (IndicatorPacket(Indicator.V33_14400), "2180"),
        (DataPacket(DataType.V21, (Field(FieldType.HDLC_DATA, b"\xff"),)), "c001800000ff"),
        (DataPacket(DataType.V21, (Field(FieldType.HDLC_SIG_END),)), "c00108"),
        (DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_SIG_END),)), "d00138"),
        (DataPacket(DataType.V8, (Field(FieldType.CM_MESSAGE, b"\x01"),)), "e00001c000000080"),
    ],
)
def test_the_form_of_2002_to_the_bit(packet: Packet, octets: str) -> None:
    assert encode(packet).hex() == octets
    assert decode(bytes.fromhex(octets)) == packet


def test_the_form_of_1998_has_no_extension_marker_in_a_field() -> None:
    packet = DataPacket(DataType.V17_14400, (Field(FieldType.T4_NON_ECM_DATA, b"\x01\x02"),))
    assert encode(packet, OF_1998).hex() == "d001e000018040"
    assert encode(packet, OF_2002).hex() == "d001b000018040"
    with pytest.raises(ValueError, match="JM_MESSAGE"):
        encode(DataPacket(DataType.V8, (Field(FieldType.JM_MESSAGE, b"x"),)), OF_1998)


def test_data_in_one_form_read_as_the_other_is_noticed() -> None:
    # hdlc-data of the old form is cm-message or worse in the new one, and t4-non-ecm-data of the new one has bits
    # set in the old one that mean nothing: R08 rests on that.
    for kind in (FieldType.T4_NON_ECM_DATA, FieldType.HDLC_FCS_OK, FieldType.HDLC_FCS_BAD_SIG_END):
        octets = encode(DataPacket(DataType.V17_14400, (Field(kind, b"abc"),)), OF_2002)
        if kind & 1 or kind is FieldType.HDLC_FCS_BAD_SIG_END:
            with pytest.raises(IfpMalformed):
                decode(octets, OF_1998)
        else:
            assert decode(octets, OF_1998) != decode(octets, OF_2002)


def test_a_field_without_octets_stands_last_only() -> None:
    with pytest.raises(ValueError, match="HDLC_SIG_END"):
        encode(DataPacket(DataType.V21, (Field(FieldType.HDLC_SIG_END), Field(FieldType.HDLC_DATA, b"x"))))
    with pytest.raises(ValueError, match="not 0"):
        encode(DataPacket(DataType.V21, ()))


@given(st.binary(max_size=64), st.sampled_from(Form), st.booleans())
def test_no_octets_do_harm(octets: bytes, form: Form, padded: bool) -> None:
    try:
        packet = decode(octets, form, padded=padded)
    except IfpMalformed:
        return
    if isinstance(packet, DataPacket) and packet.fields and all(each.octets for each in packet.fields[:-1]):
        assert decode(encode(packet, form), form) == packet


@pytest.mark.parametrize("form", Form)
@given(st.data())
def test_every_cut_is_noticed(form: Form, data: st.DataObject) -> None:
    octets = encode(data.draw(packets(form)), form)
    for length in range(len(octets)):
        with pytest.raises(IfpMalformed):
            decode(octets[:length], form)


def test_zeros_may_follow_what_was_repaired() -> None:
    octets = encode(IndicatorPacket(Indicator.CNG))
    with pytest.raises(IfpMalformed):
        decode(octets + b"\0")
    assert decode(octets + b"\0\0", padded=True) == IndicatorPacket(Indicator.CNG)
    with pytest.raises(IfpMalformed):
        decode(octets + b"\0\1", padded=True)


@given(st.data())
def test_asn1tools_agrees(data: st.DataObject) -> None:
    packet = data.draw(packets(OF_2002))
    oracle = _oracle()
    octets = encode(packet)
    assert oracle.encode("IFPPacket", as_asn1(packet)) == octets
    assert oracle.decode("IFPPacket", octets) == as_asn1(packet)


def as_asn1(packet: Packet) -> dict[str, object]:
    turned = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
    if isinstance(packet, IndicatorPacket):
        return {"type-of-msg": ("t30-indicator", f"i{packet.indicator}")}
    fields = [
        {"field-type": f"f{kind}"} | ({"field-data": octets.translate(turned)} if octets else {})
        for kind, octets in packet.fields
    ]
    return {"type-of-msg": ("t30-data", f"d{packet.type}"), "data-field": fields}


def _values(letter: str, root: int, all_: int) -> str:
    named = [f"{letter}{each}({each})" for each in range(root)]
    return ", ".join([*named, "...", *(f"{letter}{each}({each})" for each in range(root, all_))])


_COMPILED: dict[str, Any] = {}


def _oracle() -> Any:
    if not _COMPILED:
        syntax = f"""T38 DEFINITIONS AUTOMATIC TAGS ::= BEGIN
            IFPPacket ::= SEQUENCE {{ type-of-msg Type-of-msg, data-field Data-Field OPTIONAL }}
            Type-of-msg ::= CHOICE {{
                t30-indicator ENUMERATED {{ {_values("i", 16, len(Indicator))} }},
                t30-data ENUMERATED {{ {_values("d", 9, len(DataType))} }} }}
            Data-Field ::= SEQUENCE OF SEQUENCE {{
                field-type ENUMERATED {{ {_values("f", 8, len(FieldType))} }},
                field-data OCTET STRING (SIZE(1..65535)) OPTIONAL }}
            END"""
        _COMPILED["t38"] = asn1tools.compile_string(syntax, "per")
    return _COMPILED["t38"]
