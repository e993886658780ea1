"""Reads a file of version 2 by docs/formats.md alone: nothing of the project is imported."""

import json
import struct
import sys
import zlib
from pathlib import Path

data = Path(sys.argv[1]).read_bytes()
found, at = [], {b"\x89": 8, b"\xff": 2, b"R": 12, b"\0": 0}[data[:1]]
while at < len(data) and data[at : at + 2] != b"\xff\xda":
    if data[:1] == b"\xff":  # JPEG: marker, length
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found += [data[at + 11 : end]] if data[at + 1] == 0xE4 else []
        at = end
    elif data[:1] == b"\0":  # AVIF, JPEG XL: length, type, UUID
        size = int.from_bytes(data[at : at + 4], "big") or len(data)
        found += [data[at + 24 : at + size]] if data[at + 4 : at + 8] == b"uuid" else []
        at += size
    else:  # PNG: length, type, content, check sum; WebP: type, length, content
        png = data[:1] == b"\x89"
        size = int.from_bytes(data[at + 4 * (not png) :][:4], "big" if png else "little")
        kind = data[at + 4 * png :][:4].lower()
        found += [data[at + 8 : at + 8 + size]] if kind == b"rfld" else []
        at += size + (12 if png else 8 + size % 2)
record = b"".join(part[4:] for part in found if part[:4] == b"meta")
if record[0] != 2:
    sys.exit(f"version {record[0]} is not known")


def varint(message, at):
    value = shift = 0
    while message[at] > 127:
        value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
    return value | message[at] << shift, at + 1


def read(message):
    fields, at = {}, 0
    while at < len(message):
        tag, at = varint(message, at)
        if tag & 7 == 0:
            fields[tag >> 3], at = varint(message, at)
        elif tag & 7 == 1:
            fields[tag >> 3], at = struct.unpack("<d", message[at : at + 8])[0], at + 8
        else:
            size, at = varint(message, at)
            fields[tag >> 3], at = message[at : at + size], at + size
    return fields


fields = read(record[1:])
extras = json.loads(zlib.decompress(fields.pop(34))) if 34 in fields else {}
if jpeg := read(fields.pop(46, b"")):
    sampled = (None, "4:4:4", "4:2:2", "4:2:0")[jpeg[2]]
    extras["jpeg"] = {"qualities": [*jpeg[1]], "subsampling": sampled, "progressive": jpeg[3] == 1}
texts = {key: value.hex() if type(value) is bytes else value for key, value in fields.items()}
print(json.dumps({"fields": texts, "extras": extras}))
