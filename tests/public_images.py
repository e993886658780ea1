"""What becomes of a folder of images of any kind, held against decoders that Refold does not use.

    python -m tests.public_images FOLDER WORK --preset lossless

archives the folder in this process, restores everything, and counts how the files end. What comes
back is decoded by imagecodecs or tifffile, and so is its source, and their samples are compared. It
exits with 1 where anything crashed or came back wrong. The test images of codec projects are what
it is meant for: they are odd on purpose. An archive that is there already goes on where it stopped.
"""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from math import isinf
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from rescaling_core.containers.headers import identify
from rescaling_core.repack import same_file
from tasks.catalog import Archived, CatalogRow
from tasks.jobs.restore.requests import NotRestored, RestorationJob
from tasks.jobs.restore.worker import Restorer
from tests.small_archive import SmallArchive

DECODERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "PNG": imagecodecs.png_decode,
    "JPEG": imagecodecs.jpeg_decode,
    "WEBP": imagecodecs.webp_decode,
    "AVIF": imagecodecs.avif_decode,
    "JXL": imagecodecs.jpegxl_decode,
    "GIF": imagecodecs.gif_decode,
    "TIFF": lambda data: _tiff(data),
    "BMP": imagecodecs.bmp_decode,
    "QOI": imagecodecs.qoi_decode,
    "JPEG 2000": imagecodecs.jpeg2k_decode,
}
"""By the names that `headers.identify` gives."""
ROUNDING = 0.2
"""dB: other decoders of a lossy source may round otherwise."""


def main() -> None:
    """Archive, restore, compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("work", type=Path, help="folder for the archive and what is restored")
    parser.add_argument("--preset", default="lossless")
    parser.add_argument("--plan", type=Path, help="a plan file, instead of the preset")
    parser.add_argument("--max-pixels", type=int, default=10**7)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    name = given.plan.stem if given.plan else given.preset
    archive, out = given.work / name, given.work / f"{name}-restored"
    small = SmallArchive(str(given.folder.resolve()), str(archive.resolve()))
    if given.plan:
        small.run(plan=given.plan.read_text(encoding="utf-8"))
    else:
        small.run(preset=given.preset, max_pixels=given.max_pixels)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = 0
    for key, ending, why in endings(small, out):
        data = (given.folder / key).read_bytes()
        counts[identify(data) or "no image"][ending] += 1
        if ending.startswith("WRONG"):
            wrong += 1
        if why:
            print(f"{ending}: {key}: {why}", file=sys.stderr)
    print(table(counts))
    raise SystemExit(1 if wrong else 0)


def endings(small: SmallArchive, out: Path) -> Iterator[tuple[str, str, str]]:
    """Key, how it ended and why, of every target of every source."""
    requests, _ = small.requests()
    restored: dict[str, Path] = {}
    refused: dict[str, str] = {}
    worker = Restorer(
        RestorationJob(
            archive_url=small.archive_url, destination_url=str(out.resolve()), overwrite=True
        )
    )
    for request in requests:
        made = worker.restore(request)
        if isinstance(made, NotRestored):
            refused[request.source_key] = made.reason
        else:
            restored[request.source_key] = out / made.output_key
    for row in small.rows():
        yield (row.source_key, *_ending(row, small, restored, refused))


def _tiff(data: bytes) -> np.ndarray:
    """What tifffile finds, bands last; of less than 8 bits a sample as the levels of 8 bits."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        samples = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, 2)
        if page.bitspersample < 8:
            samples = samples * np.uint8(255 // (2**page.bitspersample - 1))
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            samples = np.iinfo(samples.dtype).max - samples
        return samples


def _ending(
    row: CatalogRow,
    small: SmallArchive,
    restored: dict[str, Path],
    refused: dict[str, str],
) -> tuple[str, str]:
    key = row.source_key
    if not isinstance(row, Archived):
        reason = str(getattr(row, "reason", ""))
        state = type(row).__name__.lower()
        return state, f"{getattr(row, 'error_class', '')}: {reason}"
    if row.target.startswith("long-edge"):
        try:
            imagecodecs.webp_decode(small.archive.get(row.lr_key))
        except imagecodecs.WebpError:
            imagecodecs.jpeg_decode(small.archive.get(row.lr_key))
        return "preview", ""
    if key not in restored:
        return "WRONG: not restored", refused.get(key, "it is missing")
    source, back = small.source.get(key), restored[key].read_bytes()
    if same_file(source, back):
        return "the file itself", ""
    decode = DECODERS.get(identify(source) or "")
    if decode is None:
        return "no other decoder", ""
    try:
        expected = decode(source)
    except (ValueError, RuntimeError, OSError) as error:
        return "no other decoder", str(error)[:100]
    found = DECODERS[identify(back) or ""](back)
    return _compared(_planes(found), _planes(expected), float(str(row.psnr_y)))


def _compared(found: np.ndarray, expected: np.ndarray, measured: float) -> tuple[str, str]:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return "WRONG: shape", f"{found.shape} {found.dtype}, not {expected.shape} {expected.dtype}"
    if isinf(measured):
        off = int(np.abs(found.astype(int) - expected.astype(int)).max())
        return ("exact", "") if off == 0 else ("WRONG: samples", f"off by {off}")
    bands = found.shape[2]
    if bands in (2, 4) and not np.array_equal(found[..., -1], expected[..., -1]):
        return "WRONG: alpha", ""
    colours = slice(0, 3 if bands > 2 else 1)
    psnr = _psnr_y(found[..., colours], expected[..., colours])
    if psnr < measured - ROUNDING:
        return "WRONG: below what was measured", f"{psnr:.2f} dB, not {measured:.2f}"
    return "at the floor", ""


def _psnr_y(found: np.ndarray, expected: np.ndarray) -> float:
    """dB at the depth of the samples, luma as MATLAB has it."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    weights = weights if found.shape[2] == 3 else weights.sum(keepdims=True)
    error = np.mean(((found.astype(np.float64) - expected) @ weights) ** 2)
    return float(20 * np.log10(np.iinfo(found.dtype).max) - 10 * np.log10(max(error, 1e-12)))


def _planes(samples: np.ndarray) -> np.ndarray:
    """(H, W, C), grey as one plane however the decoder gives it."""
    samples = samples[..., None] if samples.ndim == 2 else samples
    if samples.ndim == 3 and samples.shape[2] in (3, 4):
        red, green, blue = samples[..., 0], samples[..., 1], samples[..., 2]
        if np.array_equal(red, green) and np.array_equal(red, blue):
            samples = samples[..., [0, *range(3, samples.shape[2])]]
    return samples


def table(counts: dict[str, Counter[str]]) -> str:
    """Formats as rows, endings as columns."""
    names = sorted({name for found in counts.values() for name in found})
    lines = [f"| format | files | {' | '.join(names)} |", "| --- |" + " ---: |" * (len(names) + 1)]
    for format in sorted(counts):
        held = [str(counts[format][name] or "") for name in names]
        lines.append(f"| {format} | {sum(counts[format].values())} | {' | '.join(held)} |")
    total = [str(sum(found[name] for found in counts.values())) for name in names]
    everything = sum(sum(found.values()) for found in counts.values())
    return "\n".join((*lines, f"| all | {everything} | {' | '.join(total)} |"))


if __name__ == "__main__":
    main()
