"""Restore the pictures of this archive without Refold. Version 8.

    pip install pillow numpy onnxruntime
    python restore.py renditions packs --out restored        (all of them, or name some)

It needs what lies in this archive and nothing else: an LR file holds how it was made, `models/`
holds the networks as ONNX files. README.md beside this file says more.
"""

import argparse
import base64
import bz2
import hashlib
import io
import json
import lzma
import struct
import sys
import tarfile
import zlib
from itertools import pairwise
from math import floor
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image, PngImagePlugin

NAME = "{urn:x-refold:restoration#}restoration"
UUID = bytes.fromhex("3b5d0c5e6f1e4f0a9c5a7265666f6c64")
FIELDS = {1: "source_key", 4: "source_sha256", 5: "width", 6: "height", 9: "lr_pixels_sha256"}
FIELDS |= {10: "psnr_y", 16: "mode", 18: "target", 19: "scale", 22: "rescaler"}
FIELDS |= {23: "weights_sha256", 26: "latent_seed", 27: "tile", 28: "overlap", 32: "lr_channels"}
FIELDS |= {8: "quality", 36: "restorer"}
NO_WEIGHTS = hashlib.sha256(b"").hexdigest()
Image.MAX_IMAGE_PIXELS = 500_000_000
SESSIONS = {}


class CannotRestoreError(Exception):
    """What is wrong with one LR file."""


# --- what lies in an LR file ---------------------------------------------------------------------


def attachments(data):
    """Yield what Refold put into a PNG, JPEG, WebP, AVIF or JPEG XL file: kind, then bytes."""
    at = 0
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        while at < len(data):
            size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            if kind == b"rfLD":
                yield data[at + 8 : at + 8 + size]
            at += 12 + size
    elif data[:2] == b"\xff\xd8":
        at = 2
        while data[at] == 0xFF and data[at + 1] != 0xDA:
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            if data[at + 1] == 0xE4 and data[at + 4 : at + 11] == b"Refold\0":
                yield data[at + 11 : at + 2 + size]
            at += 2 + size
    elif data[8:12] == b"WEBP":
        at = 12
        while at + 8 <= len(data):
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if data[at : at + 4] == b"RFLD":
                yield data[at + 8 : at + 8 + size]
            at += 8 + size + size % 2
    else:
        while at + 8 <= len(data):
            size, head = int.from_bytes(data[at : at + 4], "big"), 8
            if size == 1:
                size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
            size = size or len(data) - at
            if data[at + 4 : at + 8] == b"uuid" and data[at + head : at + head + 16] == UUID:
                yield data[at + head + 16 : at + size]
            if size < head:
                raise CannotRestoreError("damaged: a box of impossible size")
            at += size


def attached(data, kind):
    """What is attached of a kind, its parts in order; None if nothing is."""
    parts = [part[4:] for part in attachments(data) if part[:4] == kind]
    return b"".join(parts) if parts else None


def read_record(data):
    """The restoration metadata, as JSON has them."""
    text = attached(data, b"meta")
    if text is not None and text[:1] != b"{":
        return read_compact(text)
    if text is None:  # version 1: an XMP packet
        start, end = data.find(b"<x:xmpmeta"), data.find(b"</x:xmpmeta>")
        if start < 0 or end < start:
            raise CannotRestoreError("it holds no restoration metadata")
        found = ElementTree.fromstring(data[start : end + 12]).iter()
        texts = [one.text if one.tag == NAME else one.get(NAME) for one in found]
        text = next((one for one in texts if one), None)
        if text is None:
            raise CannotRestoreError("it holds no restoration metadata")
    record = json.loads(text)
    if record.get("schema_version") != 1:
        raise CannotRestoreError("its metadata are of a later version: take a newer restore.py")
    return record


def read_compact(message):
    """Versions 2 and 3: a byte that says which, then a message of Protocol Buffers."""
    if message[:1] not in (b"\2", b"\3"):
        raise CannotRestoreError("its metadata are of a later version: take a newer restore.py")
    fields = read_message(message[1:])
    record = {"mode": "RGB", "target": "x2", "rescaler": "none", "weights_sha256": NO_WEIGHTS}
    record |= {"latent_seed": 0, "tile": 0, "overlap": 0, "extras": {}}
    for number, name in FIELDS.items():
        if number in fields:
            value = fields[number]
            if isinstance(value, bytes):
                value = value.hex() if name.endswith("sha256") else value.decode()
            record[name] = value
    record["latent_policy"] = {"kind": "none", "std": fields.get(25, 1.0)}
    if 24 in fields:
        record["latent_policy"]["kind"] = fields[24].decode()
    if 29 in fields:
        record["fingerprint"] = base64.b64encode(fields[29])
    if 34 in fields:
        record["extras"] = json.loads(zlib.decompress(fields[34]))
    if 35 in fields:
        residual = read_message(fields[35])
        record["residual"] = {"sha256": residual[4].hex(), "quality": residual.get(2)}
        record["residual"]["filtered"] = bool(residual.get(6))
    if 47 in fields:
        record["fitted"] = fields[47]
    elif message[:1] == b"\3":
        raise CannotRestoreError("its filter is missing: the metadata are damaged")
    if "scale" not in record and record["target"][:1] == "x":
        full = record["rescaler"] in ("none", "jpeg-transcode")  # others state theirs
        record["scale"] = 1.0 if full else float(record["target"][1:])
    return record


def read_message(message):
    """Numbers, doubles and bytes of a message, by their field's number."""
    fields, at = {}, 0

    def number(at):
        value = shift = 0
        while message[at] > 127:
            value, shift, at = value | (message[at] & 127) << shift, shift + 7, at + 1
        return value | message[at] << shift, at + 1

    while at < len(message):
        tag, at = number(at)
        if tag & 7 == 0:
            fields[tag >> 3], at = number(at)
        elif tag & 7 == 1:
            fields[tag >> 3], at = struct.unpack("<d", message[at : at + 8])[0], at + 8
        else:
            size, at = number(at)
            fields[tag >> 3], at = message[at : at + size], at + size
    return fields


def decode(data, planes):
    """(H, W, C) of a picture; of a grey one that its format keeps in colour, one plane."""
    try:
        image = Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        try:
            import pillow_jxl  # noqa: F401 - it teaches Pillow JPEG XL

            image = Image.open(io.BytesIO(data))
        except ImportError:
            raise CannotRestoreError("JPEG XL: pip install pillow-jxl-plugin") from None
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return (pixels[..., 1:2] if planes == 1 and pixels.shape[2] == 3 else pixels), image.info


# --- from the LR image to the image ---------------------------------------------------------------


def restored(record, data, models):
    """(H, W, C), 8 bits."""
    grey = record["mode"] in ("L", "LA")
    lr, info = decode(data, record.get("lr_channels") or (1 if grey else 3))
    if not hashlib.sha256(lr.tobytes()).hexdigest().startswith(record["lr_pixels_sha256"]):
        print("  note: this decoder gives slightly other LR pixels than were measured")
    size = record["height"], record["width"]
    if record.get("restorer"):
        told = (lr, record["quality"])
        hr = by_restorer([told], record, models)[: size[0], : size[1]]
    elif record["rescaler"] == "none":  # the picture at full size
        hr = lr
    elif record["weights_sha256"] == NO_WEIGHTS:
        hr = levels(resampled(lr, size, record["scale"], record["rescaler"]), lr.shape[2])
    else:
        hr = by_network(lr, size, record, models)
    if grey and hr.shape[2] == 3:
        hr = ((hr.sum(axis=2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)
    if record.get("residual"):
        coded = attached(data, b"rsdl")
        digest = hashlib.sha256(coded or b"").hexdigest()
        if coded is None or not digest.startswith(record["residual"]["sha256"]):
            raise CannotRestoreError("its residual is missing or damaged")
        missed, _ = decode(coded, hr.shape[2])
        total = (hr.astype(np.int16) + missed - 128).clip(0, 255).astype(np.uint8)
        if record["residual"].get("filtered"):
            seen = [(hr, record["quality"]), (total, record["residual"]["quality"])]
            total = by_restorer(seen, record, models, "final_")
        hr = total
    return (fitted(hr, record["fitted"]) if "fitted" in record else hr), info


def levels(image, channels):
    """(C, H, W) near [0, 1] to (H, W, C) of 8 bits; grey is the mean."""
    if channels == 1:
        image = image.mean(axis=0, keepdims=True)
    return np.rint(image.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def by_network(lr, size, record, models):
    """Run the network on every tile, with context around it."""
    network, note = session(record["weights_sha256"], models)
    h, w, channels = lr.shape
    scale, overlap = record["scale"], record["overlap"]
    step = max(1, int(record["tile"] / scale)) if record["tile"] else max(h, w)
    given = np.repeat(lr, 3, axis=2) if channels == 1 and note["lr_channels"] == 3 else lr
    given = (given.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    channels = 3 if note["lr_channels"] == 1 else channels
    hr = np.empty((*size, channels), np.uint8)
    latent = None
    if "latent" in [one.name for one in network.get_inputs()]:
        latent = drawn((1, note["latent_channels"], h, w), record, note)
    for top in range(0, h, step):
        for left in range(0, w, step):
            sides = []
            for start, length, full in ((top, h, size[0]), (left, w, size[1])):
                stop = min(start + step, length)
                seen = max(0, start - overlap), min(length, stop + overlap)
                last = full if stop == length else min(full, floor(stop * scale))
                sides.append((seen, (floor(start * scale), last), length, full))
            (rows, out_rows, *_), (columns, out_columns, *_) = sides
            cut = np.s_[..., rows[0] : rows[1], columns[0] : columns[1]]
            feeds = {"lr": np.ascontiguousarray(given[cut])}
            if note["kind"] == "window":
                feeds["scale"] = np.array([scale], np.float64)
                for name, (seen, out, length, full) in zip(("rows", "columns"), sides, strict=True):
                    feeds[name] = np.array([seen[0], *out, length, full], np.int64)
                (part,) = network.run(None, feeds)[0]
            else:
                if latent is not None:
                    feeds["latent"] = np.ascontiguousarray(latent[cut])
                y, x = ((at[0] - seen[0] * note["scale"]) for seen, at, *_ in sides)
                (part,) = network.run(None, feeds)[0]
                high, wide = (at[1] - at[0] for _, at, *_ in sides)
                part = part[:, y : y + high, x : x + wide]
            hr[out_rows[0] : out_rows[1], out_columns[0] : out_columns[1]] = levels(part, channels)
    return hr


def by_restorer(pictures, record, models, prefix=""):
    """Improve or enlarge the last of decoded pictures, tile by tile with a halo around each."""
    network, note = session(record["weights_sha256"], models)
    note = note.get("final", {}) if prefix else note
    if note.get("kind") != "restorer" or note["pictures"] != len(pictures):
        raise CannotRestoreError(f"{record['restorer']} is not run as this restore.py does")
    feeds, places = unused(network), []
    for table, (_, quality) in zip(note["errors"], pictures, strict=True):
        qualities, errors = zip(*table, strict=True)
        level = np.interp(quality, qualities, np.log(errors))
        high, low = np.log(errors[0]), np.log(errors[-1])
        place = (2 * level - high - low) / (high - low)
        places += [place, place * place]
    feeds[prefix + "told"] = np.array([places], np.float32)
    feeds[prefix + "gain"] = np.array([np.exp(level) / 255], np.float32)
    h, w, channels = pictures[-1][0].shape
    scale, fold, halo, step = note["scale"], note["fold"], note["halo"], 512
    given = [np.repeat(one, 3, axis=2) if channels == 1 else one for one, _ in pictures]
    given = np.pad(np.dstack(given), ((0, -h % fold), (0, -w % fold), (0, 0)), mode="edge")
    given = (given.astype(np.float32) / 255).transpose(2, 0, 1)[None]
    restored = np.empty((scale * h, scale * w, channels), np.uint8)
    for top in range(0, h, step):
        for left in range(0, w, step):
            y, x = max(0, top - halo), max(0, left - halo)
            part = given[..., y : top + step + halo, x : left + step + halo]
            feeds[prefix + "pictures"] = np.ascontiguousarray(part)
            (image,) = network.run([prefix + "hr"], feeds)[0]
            image = image[:, scale * (top - y) :, scale * (left - x) :]
            spot = np.s_[scale * top : scale * (top + step), scale * left : scale * (left + step)]
            rows, columns, _ = restored[spot].shape
            restored[spot] = levels(image[:, :rows, :columns], channels)
    return restored


def unused(network):
    """Something for each input: those of the part that is not asked for must be fed too."""
    feeds = {}
    for one in network.get_inputs():
        shape = [side if isinstance(side, int) else 2 for side in one.shape]
        feeds[one.name] = np.full(shape, 0.5, np.float32)
    return feeds


def session(sha256, models):
    """The network of a digest, and how it is run."""
    if sha256 not in SESSIONS:
        import onnxruntime

        path = models / f"{sha256}.onnx"
        if not path.is_file():
            raise CannotRestoreError(f"its network is not there: {path}")
        graph = path.read_bytes()
        card = json.loads((models / f"{sha256}.json").read_text("utf-8"))
        if hashlib.sha256(graph).hexdigest() != card["onnx"]["sha256"]:
            raise CannotRestoreError(f"{path} is damaged")
        network = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        note = json.loads(network.get_modelmeta().custom_metadata_map["refold"])
        SESSIONS[sha256] = network, note
    return SESSIONS[sha256]


# --- filters, which have no weights ---------------------------------------------------------------


def cubic(x):
    """Keys' cubic, a = -1/2."""
    x = abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def lanczos(x):
    """Three lobes."""
    return np.sinc(x) * np.where(abs(x) < 3, np.sinc(x / 3), 0)


def resampled(lr, size, scale, name):
    """(C, H, W): pixel i lies at (i + 1/2) / scale - 1/2; beyond the border it is mirrored."""
    kernel, width = {"bicubic": (cubic, 4), "lanczos": (lanczos, 6)}[name]
    image = (lr.astype(np.float32) / 255).transpose(2, 0, 1)
    for axis, new in ((1, size[0]), (2, size[1])):
        old = image.shape[axis]
        if scale == 1 and old == new:
            continue
        centre = (np.arange(new) + 0.5) / scale - 0.5
        index = np.floor(centre - width / 2) + np.arange(width + 2)[:, None]
        weights = kernel(centre - index)
        weights = (weights / weights.sum(axis=0)).astype(np.float32)
        places = index.astype(int) % (2 * old)
        places = np.where(places < old, places, 2 * old - 1 - places)
        shape = [new if at == axis else 1 for at in range(3)]
        image = sum(
            image.take(place, axis) * weight.reshape(shape)
            for place, weight in zip(places, weights, strict=True)
            if weight.any()
        )
    return image


# --- a filter that was fitted to the picture, in whole numbers ------------------------------------

PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
PAIRS += ((1, 2), (1, -2), (2, 1), (2, -1), (0, 3), (3, 0))


def moved(plane, edge, y, x):
    """A plane without its edge, so many pixels down and to the right."""
    height, width = plane.shape
    return plane[edge + y : height - edge + y, edge + x : width - edge + x]


def fitted(hr, coded):
    """Filter luma: each class of pixels by coefficients in 1/128 for pairs of neighbours."""
    if coded[:1] not in (b"\1", b"\2"):
        raise CannotRestoreError("its filter is of a later kind: take a newer restore.py")
    coded, stated = coded[:-4], coded[-4:]
    if zlib.crc32(coded).to_bytes(4, "little") != stated:
        raise CannotRestoreError("its filter is damaged")
    taps, count, width = 6 * coded[0], coded[1], coded[1].bit_length()
    end = 2 + (30 * width + 7) // 8
    packed = int.from_bytes(coded[2:end], "little")
    filters = np.zeros((count + 1, taps), np.int32)
    filters[1:] = np.frombuffer(coded[end:], np.int8).reshape(count, taps)
    table = filters[[packed >> width * at & (1 << width) - 1 for at in range(30)]]
    height, wide, planes = hr.shape
    columns, out = np.arange(-3, wide + 3).clip(0, wide - 1), np.empty_like(hr)
    for top in range(0, height, 128):
        bottom = min(top + 128, height)
        near = hr[np.arange(top - 3, bottom + 3).clip(0, height - 1)][:, columns].astype(np.int32)
        weights = np.array([19595, 38470, 7471] if planes == 3 else [65536], np.int32)
        luma = (near @ weights + 2048) >> 12
        which = classes(luma >> 2)
        change = np.zeros(which.shape, np.int32)
        for at, (y, x) in enumerate(PAIRS[:taps]):
            seen = moved(luma, 3, y, x) + moved(luma, 3, -y, -x) - 2 * moved(luma, 3, 0, 0)
            change += table[which, at] * seen
        out[top:bottom] = (hr[top:bottom] + ((change + 1024) >> 11)[..., None]).clip(0, 255)
    return out


def classes(luma):
    """0 to 29: how much luma, in quarters of a level, bends around a pixel, and which way."""
    sums = []
    for y, x in PAIRS[:4]:
        bend = abs(2 * moved(luma, 1, 0, 0) - moved(luma, 1, y, x) - moved(luma, 1, -y, -x))
        steps = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
        sums.append(sum(moved(bend, 2, *step) for step in steps).astype(np.int64))
    across, down, falling, rising = sums
    level = sum((across + down >= bound).astype(int) for bound in (100, 200, 400, 800, 1600))
    most, least = np.maximum(across, down), np.minimum(across, down) + 1
    high, low = np.maximum(falling, rising), np.minimum(falling, rising) + 1
    slanted = high * least > most * low
    which = np.where(slanted, np.where(falling > rising, 3, 4), np.where(across > down, 1, 2))
    clear = np.where(slanted, 2 * high > 3 * low, 2 * most > 3 * least)
    return 5 * level + which * clear


# --- random latents, as torch draws them ----------------------------------------------------------


def drawn(shape, record, note):
    """A latent of the recorded seed: torch's Mersenne Twister and what it makes of it."""
    state, count = np.random.RandomState(record["latent_seed"]), int(np.prod(shape))
    policy = record["latent_policy"]
    if policy["kind"] == "gaussian":
        return (normal(state, count) * np.float32(policy["std"])).reshape(shape)
    logits, mean, log_variance = np.array(note["mixture"], np.float64)
    mixed = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    deviation, parts = np.exp(0.5 * log_variance.clip(-20, 20)), []
    for start in range(0, count, 2**18):
        rows = min(2**18, count - start), len(mean)
        words = bits(state, 2 * rows[0] * rows[1]).astype(np.uint64)
        uniform = ((words[::2] << np.uint64(32) | words[1::2]) & np.uint64(2**53 - 1)) * 2.0**-53
        waiting = -np.log1p(-uniform).astype(np.float32).reshape(rows)
        values = mean + deviation * normal(state, rows[0] * rows[1]).reshape(rows)
        chosen = np.argmax(mixed - np.log(waiting), axis=1)
        parts.append(values[np.arange(rows[0]), chosen])
    return np.concatenate(parts).astype(np.float32).reshape(shape)


def bits(state, count):
    """Words of 32 bits."""
    return state.randint(0, 2**32, size=count, dtype=np.uint64).astype(np.uint32)


def normal(state, count):
    """Box and Muller's, eight pairs at a time; the last 16 are drawn again if some are left."""

    def uniform(n):
        return (bits(state, n) & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)

    def paired(u):
        first, second = u.reshape(-1, 2, 8).transpose(1, 0, 2)
        radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - first))
        angle = np.float32(2 * np.pi) * second
        return np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1).reshape(-1)

    if count < 16:
        raise CannotRestoreError("a latent of fewer than 16 values: restore it with Refold")
    values = uniform(count)
    whole = count // 16 * 16
    values[:whole] = paired(values[:whole])
    if count % 16:
        values[-16:] = paired(uniform(16))
    return values


# --- files ----------------------------------------------------------------------------------------


def agrees(hr, record):
    """Whether means of 4 x 4 blocks are those that were measured, to one level."""
    if record.get("restorer") and hr.shape[2] == 3:  # of one plane, the mean of the channels
        hr = ((hr.sum(axis=2, dtype=np.uint16, keepdims=True) + 1) // 3).astype(np.uint8)
    spans = [
        [(i * side // 4, max(i * side // 4 + 1, (i + 1) * side // 4)) for i in range(4)]
        for side in hr.shape[:2]
    ]
    means = [
        np.floor(hr[a:b, c:d].mean(axis=(0, 1), dtype=np.float64) + 0.5)
        for a, b in spans[0]
        for c, d in spans[1]
    ]
    wanted = np.frombuffer(base64.b64decode(record["fingerprint"]), np.uint8).reshape(16, -1)
    return bool((abs(np.stack(means) - wanted) <= 1).all())


def write_png(path, hr, info, record):
    """Pixels, alpha, colour profile, EXIF, XMP and resolution, as the source had them."""
    extras = record["extras"]
    native = extras.get("native", [])
    held = {"icc": info.get("icc_profile"), "exif": info.get("exif")}
    parts = {name: held[name] for name in native}
    for name in {"icc", "exif", "xmp"} & set(extras):
        parts[name] = zlib.decompress(base64.b64decode(extras[name]))
    planes = [Image.fromarray(hr[..., at]) for at in range(hr.shape[2])]
    if "alpha" in extras:
        planes.append(Image.open(io.BytesIO(base64.b64decode(extras["alpha"]))))
    text = PngImagePlugin.PngInfo()
    if "xmp" in parts:
        text.add_itxt("XML:com.adobe.xmp", parts["xmp"].decode("utf-8", "replace"))
    options = {"pnginfo": text}
    if parts.get("icc"):
        options["icc_profile"] = parts["icc"]
    if parts.get("exif"):
        options["exif"] = b"Exif\0\0" + parts["exif"].removeprefix(b"Exif\0\0")
    if "dpi" in extras:
        options["dpi"] = tuple(extras["dpi"])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.merge(record["mode"], planes).save(path, "PNG", **options)


def predicted(planes, how, size, shape):
    """Samples of `size` bytes whose differences from their neighbours lie in planes of bytes."""
    values = np.frombuffer(planes, np.uint8).reshape(size, -1).T.copy().view(f">u{size}")
    values = values.reshape(shape).astype(f"=u{size}")
    if how == "gradient":
        values = np.add.accumulate(values, axis=0, dtype=values.dtype)
    return values if how == "none" else np.add.accumulate(values, axis=1, dtype=values.dtype)


def deep(image, coded, alpha):
    """The samples of a picture of 16 bits, as its file has them: a 12-bit AVIF of three planes."""
    try:
        import imagecodecs
    except ImportError:
        raise CannotRestoreError("`pip install imagecodecs` first: it is of 16 bits") from None
    line = imagecodecs.avif_decode(coded).astype(np.float64)
    levels = line[..., 1:2]
    if image["shape"][2] > 2:
        red = levels[..., 0] + 1.402 * (line[..., 0] - 2048)
        blue = levels[..., 0] + 1.772 * (line[..., 2] - 2048)
        green = (levels[..., 0] - 0.299 * red - 0.114 * blue) / 0.587
        levels = np.stack((red, green, blue), axis=2)
    samples = np.rint(np.clip(levels * (65535 / 4095), 0, 65535)).astype(np.uint16)
    if alpha is not None:
        samples = np.concatenate((samples, alpha), axis=2)
    if image["order"] == "png":
        rows = samples.astype(">u2").view(np.uint8).reshape(len(samples), -1)
        rows = np.concatenate((rows[:1], rows[1:] - rows[:-1]))
        return np.concatenate((np.full((len(rows), 1), 2, np.uint8), rows), axis=1).tobytes()
    samples = samples.astype(">u2" if image["big"] else "<u2")
    height, width, bands = samples.shape
    down, across = image["tile"] or (height, width)
    more = ((0, -height % down), (0, -width % across), (0, 0))
    samples = np.pad(samples, more, mode="edge")
    cut = [slice(band, band + 1) for band in range(bands)]
    return b"".join(
        samples[top : top + down, left : left + across, part].tobytes()
        for part in (cut if image["order"] == "planes" else [slice(None)])
        for top in range(0, height, down)
        for left in range(0, width, across)
    )


def unpacked(packed):
    """The source file that lies packed beside a picture of it; of a PNG, deflated again."""
    if packed[:1] != b"\1":
        raise CannotRestoreError("its file is packed by a later version: take a newer restore.py")
    at = 5 + int.from_bytes(packed[1:5], "big")
    about = json.loads(packed[5:at])
    file, runs = bytearray(about["size"]), []

    def bytes_of(coder, coded):
        if coder == "lzma":
            filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**24}]
            return lzma.decompress(coded, lzma.FORMAT_RAW, filters=filters)
        return bz2.decompress(coded) if coder == "bzip2" else coded

    def put(image, samples):
        for start, count in image["runs"]:
            file[start : start + count], samples = samples[:count], samples[count:]
            runs.append((start, start + count))

    for image in about["images"]:
        blob = packed[at : at + image["length"]]
        at += image["length"]
        if image["coder"] == "avif-12":
            height, width, bands = image["shape"]
            alpha = None
            if bands in (2, 4):
                raw = bytes_of(image["alpha"][0], blob[image["colours"] :])
                alpha = predicted(raw, "gradient", 2, (height, width, 1))
            put(image, deep(image, blob[: image["colours"]], alpha))
            continue
        planes, size = bytes_of(image["coder"], blob), image["bytes"]
        values = predicted(planes, image["predictor"], size, image["shape"])
        put(image, values.astype(f"{'>' if image['big'] else '<'}u{size}").tobytes())
    rest = bytes_of(about["rest"][0], packed[at : at + about["rest"][2]])
    edges = [(0, 0), *sorted(runs), (len(file), len(file))]
    for (_, start), (end, _) in pairwise(edges):
        file[start:end], rest = rest[: end - start], rest[end - start :]
    if hashlib.sha256(file).hexdigest() != about["sha256"]:
        raise CannotRestoreError("what it unpacks to is not the file that was packed")
    found, at = [], 0
    for start, length, kind, prefixes in about["streams"]:
        found.append(bytes(file[at:start]))
        at, count = start + length, len(prefixes)
        coded = zlib.compress(bytes(file[start:at]), 6)
        for i, prefix in enumerate(prefixes):
            part = coded[len(coded) * i // count : len(coded) * (i + 1) // count]
            chunk = kind.encode() + bytes.fromhex(prefix) + part
            found.append(struct.pack(">I", len(chunk) - 4) + chunk)
            found.append(struct.pack(">I", zlib.crc32(chunk)))
    return b"".join((*found, bytes(file[at:])))


def lr_files(path, failed):
    """Name and bytes of an LR file, or of all that lie in a pack, as far as that can be read."""
    try:
        if path.suffix != ".tar":
            yield path, path.read_bytes()
            return
        with tarfile.open(path, ignore_zeros=True) as pack:
            for one in pack:
                if one.isfile():
                    yield path / one.name, pack.extractfile(one).read()
    except (tarfile.TarError, OSError) as error:
        failed(path, error)


def restore(path, data, out, models):
    """Restore one LR file below `out`, under its target and its source's key."""
    record = read_record(data)
    if record.get("psnr_y") is None:
        return "a preview, which nothing is restored from"
    parts = [part for part in record["source_key"].split("/") if part not in ("", ".", "..")]
    target = out / record["target"].replace("/", "_") / Path(*parts)
    if record["rescaler"] in ("repack", "deep"):  # deep: its colours at 12 bits, not the very file
        file = unpacked(attached(data, b"pack") or b"")
        is_source = hashlib.sha256(file).hexdigest() == record["source_sha256"]
        if record["rescaler"] == "repack" and not is_source and file[1:4] != b"PNG":
            raise CannotRestoreError("the file that comes back is not the source")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file)
        return str(target)
    if record["rescaler"] == "jpeg-transcode":
        try:
            import pillow_jxl
        except ImportError:
            raise CannotRestoreError(
                f"`djxl {path} {target.name}` gives back its JPEG file"
            ) from None
        jpeg = bytes(pillow_jxl.Decoder(num_threads=1)(data)[2])
        if hashlib.sha256(jpeg).hexdigest() != record["source_sha256"]:
            raise CannotRestoreError("the file that comes back is not the source")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(jpeg)
        return str(target)
    hr, info = restored(record, data, models)
    if "fingerprint" in record and not agrees(hr, record):
        raise CannotRestoreError("the restored image is not the one that was measured")
    target = target.with_name(f"{target.name}.png")
    write_png(target, hr, info, record)
    return str(target)


def main():
    """Restore what is named on the command line."""
    parser = argparse.ArgumentParser(description="Restore pictures of this archive.")
    parser.add_argument("files", nargs="+", type=Path, help="LR files, packs, or folders")
    parser.add_argument("--out", type=Path, default=Path("restored"))
    parser.add_argument("--models", type=Path, default=Path(__file__).parent / "models")
    asked = parser.parse_args()
    troubles = []

    def failed(path, error):
        troubles.append(path)
        print(f"{path}: {error or type(error).__name__}", file=sys.stderr)

    for given in asked.files:
        for path in sorted(given.rglob("*")) if given.is_dir() else [given]:
            for name, data in lr_files(path, failed) if path.is_file() else ():
                try:
                    print(f"{name}: {restore(name, data, asked.out, asked.models)}")
                except Exception as error:  # one file never stops the others
                    failed(name, error)
    sys.exit(len(troubles) > 0)


if __name__ == "__main__":
    main()
