"""The XMP packet around the record.

Source: ISO 16684-1 (XMP part 1), 7.3 for the packet and its padding for edits in place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from rescaling_core.errors import MetadataError

if TYPE_CHECKING:
    from rescaling_core.metadata.record import RestorationMetadata

NAMESPACE: Final = "urn:x-refold:restoration#"
PROPERTY: Final = "restoration"
_HEAD: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:refold="{NAMESPACE}"><refold:{PROPERTY}>'
)
_TAIL: Final = f"</refold:{PROPERTY}></rdf:Description></rdf:RDF></x:xmpmeta>\n"
_END: Final = '<?xpacket end="w"?>'
_SLACK: Final = 64
"""Bytes of padding beyond the widest measures: an edit may lengthen the text a little."""


def build_packet(metadata: RestorationMetadata, *, length: int | None = None) -> bytes:
    """Write the packet, padded with white space.

    Args:
        metadata: The record.
        length: Bytes to fill exactly. By default so many that the widest measures fit, which is
            what lets a draft be finished in place.

    Raises:
        MetadataError: The record does not fit `length`.
    """
    if length is None:
        length = len(_unpadded(_widest(metadata))) + _SLACK
    packet = _unpadded(metadata)
    if len(packet) > length:
        raise MetadataError(
            f"{metadata.source_key}: restoration metadata need {len(packet)} bytes, "
            f"the LR file has room for {length}"
        )
    end = _END.encode()
    return packet[: -len(end)] + b" " * (length - len(packet)) + end


def parse_packet(packet: bytes) -> str | None:
    """Find the record's JSON in any XMP packet, however other tools have written it anew.

    Returns:
        None if the packet holds no record.

    Raises:
        MetadataError: The packet is no XML.
    """
    found: list[str] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if name == f"{NAMESPACE} {PROPERTY}":
            inside = True
        elif (value := attributes.get(f"{NAMESPACE} {PROPERTY}")) is not None:
            found.append(value)

    def end(name: str) -> None:
        nonlocal inside
        if name == f"{NAMESPACE} {PROPERTY}":
            inside = False

    def text(value: str) -> None:
        if inside:
            found.append(value)

    def doctype(*_: object) -> None:
        raise MetadataError("XMP packet: it has a document type, which XMP does not")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(packet, True)
    except (expat.ExpatError, ValueError) as error:
        raise MetadataError(f"XMP packet: no XML: {error}") from error
    return "".join(found) or None


def _unpadded(metadata: RestorationMetadata) -> bytes:
    return (_HEAD + escape(metadata.to_json()) + _TAIL + _END).encode()


def _widest(metadata: RestorationMetadata) -> RestorationMetadata:
    """The record with measures that take as many characters as measures can."""
    return replace(
        metadata,
        lr_pixels_sha256="0" * 64,
        psnr_y=-1.2345678901234567e-300,
        ssim_y=-1.2345678901234567e-300,
        max_abs_error=255,
        ssimulacra2=None if metadata.ssimulacra2 is None else -1.2345678901234567e-300,
        tried=9999,
        fingerprint="0" * (4 * -(-16 * metadata.channels // 3)),
    )
