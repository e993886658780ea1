"""Reads an LR file by docs/formats.md alone: nothing of the project is imported."""

import base64
import hashlib
import io
import json
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

NAME = "{urn:x-refold:restoration#}restoration"
data = Path(sys.argv[1]).read_bytes()
packet = data[data.index(b"<x:xmpmeta") : data.index(b"</x:xmpmeta>") + 12]
elements = ElementTree.fromstring(packet).iter()
texts = [element.text if element.tag == NAME else element.get(NAME) for element in elements]
record = json.loads(next(text for text in texts if text))
if record["schema_version"] != 1:
    sys.exit(f"schema version {record['schema_version']} is not known")
image = Image.open(io.BytesIO(data))
lr = np.asarray(image)
if record["mode"] in ("L", "LA") and lr.ndim == 3:
    lr = lr[..., 1]
extras = record["extras"]
held = {"icc": image.info.get("icc_profile"), "exif": image.info.get("exif", b"")}
parts = {name: held[name].removeprefix(b"Exif\0\0") for name in extras.get("native", [])}
for name in {"icc", "exif", "xmp"} & set(extras):
    parts[name] = zlib.decompress(base64.b64decode(extras[name]))
if "alpha" in extras:
    alpha = Image.open(io.BytesIO(base64.b64decode(extras["alpha"])))
    parts["alpha"] = alpha.tobytes()
found = {
    "metadata": record,
    "sizes_agree": lr.shape[:2] == (record["lr_height"], record["lr_width"]),
    "pixels": hashlib.sha256(lr.tobytes()).hexdigest(),
    "sha256": {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()},
}
print(json.dumps(found))
