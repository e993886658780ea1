"""The XMP packet around the record of files of version 1, which are read for ever."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

from rescaling_core.errors import MetadataError

NAMESPACE: Final = "urn:x-refold:restoration#"
PROPERTY: Final = "restoration"


def parse_packet(packet: bytes) -> str | None:
    """Find the record's JSON in any XMP packet, however other tools have rewritten it.

    Returns:
        None if the packet holds no record.

    Raises:
        MetadataError: The packet is not XML.
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
        raise MetadataError(f"XMP packet: not XML: {error}") from error
    return "".join(found) or None
