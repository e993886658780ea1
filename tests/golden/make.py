"""Writes a golden archive: once, and never again.

    python -m tests.golden.make NAME [--since 3]

NAME is the release; between releases, when the format of the files has changed, the month, and
then only what files could not hold before.

What it holds is small, so that an archive of every release can be kept for good: pictures of 61 x
47 pixels, and one tiny network of each family with weights drawn at random. What ships is too
large to keep once more for every release; it restores by the same code as the tiny ones. Restorers
alone are those that ship: nothing is gained by random ones, and they would be left out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
import torch
from PIL import Image

from rescaling_core import SOFTWARE, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, convert
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.networks import FAMILIES, LatentPolicy, build
from rescaling_core.photo import decode_photo, decode_shown
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tiling
from rescaling_core.plan import (
    PACKED,
    ArchivePlan,
    Candidate,
    Floor,
    ResidualPlan,
    Target,
    TargetPlan,
)
from rescaling_core.restore import restore, restore_source_file
from tasks.catalog import open_catalog
from tasks.catalog.place import LrPlace
from tasks.collection.shards import SourceObject
from tasks.control.record import Counts, JobRun, write_run
from tasks.models.archived import settle
from tasks.models.lookup import Models
from tasks.renditions.layout import rendition_key
from tasks.renditions.rows import RowWriter
from tasks.storage import open_store
from tests.unit import photo_samples as samples

HERE: Final = Path(__file__).parent

NETWORKS: Final = {
    "tiny-irn-x2": ("irn", {"scale": 2, "blocks": [1], "growth": 4}),
    "tiny-irn-x3": ("irn", {"scale": 3, "blocks": [1], "growth": 2}),
    "tiny-irn-drawn": ("irn", {"scale": 2, "blocks": [1], "growth": 2}),
    "tiny-sain-x2": ("sain", {"scale": 2, "enhanced_blocks": 1, "blocks": 1, "growth": 2}),
    "tiny-aidn": ("aidn", {"features": 16, "residual_blocks": 1, "adapt_every": 1,
                           "kernel_experts": 2, "sample_experts": 2, "aligned": True}),
    "tiny-dlv-irn-x2": ("dlv-irn", {"scale": 2, "blocks": [1], "growth": 2}),
    "tiny-t-irn-x2": ("t-irn", {"scale": 2, "blocks": [1], "growth": 2}),
    "tiny-firn-x2": ("firn", {"scale": 2, "blocks": [1]}),
    "tiny-irn-color": ("irn-color", {"blocks": 1, "growth": 2}),
    "tiny-irn-crm-x2": ("irn-crm", {"scale": 2, "blocks": [1], "growth": 2, "crm_features": 4,
                                    "crm_blocks": 1, "crm_growth": 2}),
}  # fmt: skip
"""Id → family and configuration."""

DRAWN: Final = ("tiny-irn-drawn", "tiny-sain-x2")
"""Those that restore with a random latent; the others with zeros."""


@dataclass(frozen=True)
class Case:
    """A rendition of the archive."""

    rescaler: str
    codec: str = "png"
    source: str = "photo.png"
    target: str = "x2"
    residual: str | None = None
    refinement: int = 0
    colour: bool = False
    tiling: Tiling = field(default=DEFAULT_TILING)
    luma: bool = False
    """Of the residual."""
    restorer: str | None = None
    fitted: bool = False
    qualities: tuple[int, int] | None = None
    floor: float = 1.0
    """PSNR-Y, where there is something to search."""


def _phone() -> bytes:
    file = samples.written(
        samples.image("RGB"), "JPEG", quality=95, dpi=(300, 300), exif=samples.exif(6),
        icc_profile=samples.SRGB, xmp=samples.XMP,
    )  # fmt: skip
    return samples.jpeg_with(0xFE, samples.COMMENT, file)


def _phone_turned() -> bytes:
    """Without a comment, as most phones write them."""
    return samples.written(samples.image("RGB"), "JPEG", quality=90, exif=samples.exif(6))


def _hills() -> bytes:
    """300 x 200 pixels that codecs take for a photograph: noise of every size, and edges."""
    random = np.random.default_rng(11)
    picture = sum(
        size * np.asarray(
            Image.fromarray(random.standard_normal((200 // size + 2, 300 // size + 2)))
            .resize((300, 200), Image.Resampling.BICUBIC)
        )
        for size in (2, 5, 12, 30, 80)
    )  # fmt: skip
    edged = np.where(picture > 12, picture + 40, picture)
    colours = np.stack((edged, 0.8 * edged + 9, 0.6 * edged[::-1] + 20), axis=2)
    return samples.written(Image.fromarray((110 + colours).clip(0, 255).astype(np.uint8)), "PNG")


def _deep() -> bytes:
    """16 bits a sample."""
    picture = np.asarray(samples.image("RGB")).astype(np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, picture * 257 + 77, photometric="rgb", metadata=None)
    return buffer.getvalue()


SOURCES: Final = {
    "photo.png": samples.written(samples.image("RGB"), "PNG"),
    "grey.png": samples.written(samples.image("L"), "PNG"),
    "logo.png": samples.png_with(
        b"tEXt", b"Title\0Pier", samples.written(samples.image("RGBA"), "PNG", xmp=samples.XMP)
    ),
    "phone/ü % & <1>.jpg": _phone(),
    "scan.tif": samples.written(samples.image("L"), "TIFF", dpi=(600, 600)),
}
"""By the end of their keys."""

SINCE_VERSION_2: Final = {
    "hills.png": _hills(),
    "plain.jpg": _phone_turned(),
    "palette.png": samples.written(samples.image("RGB").quantize(16), "PNG"),
    "deep.tif": _deep(),
}
"""Sources of what files could not hold before."""

PHONE: Final = "phone/ü % & <1>.jpg"

CASES: Final = [
    *(Case("tiny-irn-x2", codec) for codec in ("png", "jpeg", "jpeg-420", "webp", "webp-lossless",
                                               "avif", "avif-420", "jxl", "jxl-lossless")),
    *(Case("tiny-irn-x2", codec, residual="webp") for codec in ("png", "jpeg", "webp", "avif",
                                                                "jxl")),
    Case("tiny-irn-x2", "avif", residual="avif", source="grey.png"),
    Case("tiny-irn-x2", refinement=2), Case("tiny-irn-x2", colour=True, source="grey.png"),
    Case("tiny-irn-x2", "webp", source="grey.png"), Case("tiny-irn-x2", source="logo.png"),
    Case("tiny-irn-x2", "jpeg", source=PHONE), Case("tiny-irn-x2", "avif", source=PHONE),
    Case("tiny-irn-x2", "webp-lossless", source="scan.tif"),
    Case("tiny-irn-x2", tiling=Tiling(tile=24, overlap=6)),
    Case("tiny-irn-x3", target="x3"), Case("tiny-irn-drawn"), Case("tiny-sain-x2", "jpeg"),
    Case("tiny-aidn", target="x1.7"),
    Case("tiny-aidn", "webp", target="x2.9", source="grey.png", tiling=Tiling(tile=24, overlap=6)),
    Case("tiny-dlv-irn-x2"), Case("tiny-t-irn-x2"), Case("tiny-firn-x2"),
    Case("tiny-irn-color", target="x1"), Case("tiny-irn-crm-x2", "jpeg"),
    Case("bicubic"), Case("lanczos", "webp", target="x1.5", source="grey.png"),
    Case("none", "webp"), Case("none", "avif", source="grey.png"),
    Case("jpeg-transcode", "jxl-lossless", source=PHONE),
    Case("preview", target="long-edge=24", source=PHONE),
]  # fmt: skip


CASES_SINCE_VERSION_2: Final = [
    Case("none", "avif-420", source="hills.png", restorer="restorer-avif-lite",
         qualities=(20, 80), floor=36.5),
    Case("lanczos", "avif", source="hills.png", restorer="layered-avif-lite",
         residual="avif", luma=True, qualities=(10, 95), floor=34.0),
    Case("lanczos", "avif", source="hills.png", residual="avif", luma=True,
         qualities=(10, 95), floor=34.0),
    Case("tiny-irn-x2", "jpeg", source="plain.jpg"),
    Case("none", "jpeg", source="plain.jpg"),
    Case("none", "webp", source="grey.png", qualities=(20, 90), floor=33.0),
    Case("repack", "png", source="palette.png", target="x1"),
    Case("deep", "avif", source="deep.tif", target="x1", qualities=(10, 100), floor=38.0),
]  # fmt: skip

CASES_SINCE_VERSION_3: Final = [
    Case("none", "jpeg-420", source="hills.png", fitted=True, qualities=(20, 90), floor=38.4),
    Case("none", "webp", source="hills.png", fitted=True, qualities=(20, 90), floor=38.4),
    Case("none", "jpeg", source="grey.png", fitted=True, qualities=(5, 90), floor=36.5),
]  # fmt: skip

CASES_SINCE: Final = {
    1: [*CASES, *CASES_SINCE_VERSION_2, *CASES_SINCE_VERSION_3],
    3: CASES_SINCE_VERSION_3,
}
"""By the version of the restoration metadata."""


def write_networks(folder: Path) -> dict[str, str]:
    """The tiny networks as files, by their ids."""
    paths = {}
    for number, (model_id, (family, config)) in enumerate(NETWORKS.items()):
        own = FAMILIES[family].latent_policy
        policy = own if model_id in DRAWN or own.kind == "none" else LatentPolicy("zeros")
        rescaler = build(family, config, policy).eval().requires_grad_(requires_grad=False)
        generator = torch.Generator().manual_seed(number)
        for name, parameter in rescaler.named_parameters():
            if "gmm" not in name:
                parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
        path = folder / f"{model_id}.safetensors"
        card = zoo.describe(rescaler, model_id=model_id, title=f"A tiny {family}, drawn at random")
        zoo.save(path, rescaler, card, dtype=torch.float16)
        paths[model_id] = str(path)
    return paths


def plan_of(case: Case, reference: str) -> ArchivePlan:
    """The plan that makes a case."""
    if case.rescaler == "preview":
        target = TargetPlan(
            target=Target.parse(case.target),
            candidates=(Candidate("lanczos", CodecSpec("webp", 60)),),
        )
        return ArchivePlan(targets=(target,))
    residual, codec = None, CodecSpec.parse(case.codec)
    searched = case.qualities or (60, 60)
    if case.residual is not None:
        residual = ResidualPlan(CodecSpec.parse(case.residual, 60), searched, case.luma)
    candidate = Candidate(
        reference,
        replace(codec, quality=20) if case.luma else codec,
        qualities=None if residual else case.qualities,
        residual=residual,
        restorer=case.restorer,
        filter="fitted" if case.fitted else "none",
        refinement=case.refinement,
        lr_mode="colour" if case.colour else "source",
    )
    floor = Floor(psnr_y=case.floor) if candidate.is_open else Floor()
    target = TargetPlan(target=Target.parse(case.target), candidates=(candidate,), floor=floor)
    return ArchivePlan(targets=(target,))


def write(folder: Path, cases: list[Case]) -> None:
    """Write the archive and what comes back from it."""
    archive_url = str(folder / "archive")
    archive = open_store(archive_url)
    catalog = open_catalog(archive)
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        paths = write_networks(Path(scratch))
        rows = []
        for number, case in enumerate(cases):
            reference = paths.get(case.rescaler, case.rescaler)
            plan, models = settle(plan_of(case, reference), archive)
            data = (SOURCES | SINCE_VERSION_2)[case.source]
            # Larger than it is: every rendition of so small a picture is.
            source = SourceObject(key=f"{number:02}/{case.source}", size=10**6, etag='"abc"')
            record = RowWriter("golden", f"shard-{number}", source, (case.target,), data)
            packed = case.rescaler in PACKED
            decode = partial(decode_shown, max_pixels=10**6, reason="packed")
            photo = decode(data) if packed else decode_photo(data)
            made = convert(
                photo, record.source_ref, plan.targets[0], models,
                software=SOFTWARE, tiling=case.tiling, data=data,
            )  # fmt: skip
            assert isinstance(made, Rendition), (case, made)
            held = made.metadata.restorer
            assert (held is None) == (case.restorer is None), (case, made.metadata)
            assert (made.metadata.fitted is not None) == case.fitted, (case, made.metadata)
            digest = hashlib.sha256(made.lr_data).hexdigest()
            key = rendition_key(case.target, source.key, digest, made.extension)
            archive.put(key, made.lr_data)
            place = LrPlace(key, len(made.lr_data), digest)
            rows.append(replace(record.archived(made, place), seconds=0.0))
            expected[key] = what_comes_back(made.lr_data, folder / "restored" / f"{number:02}.png")
        catalog.commit_shard("golden", rows)
    run = JobRun(job="archive", run_id="golden", parameters={"source": "/photos"})
    write_run(catalog, run, Counts(listed=len(rows), archived=len(rows)))
    for log in folder.rglob("_delta_log/*.json"):  # where it was written is nobody's concern
        log.write_text(log.read_text("utf-8").replace(folder.as_uri(), "file:///golden"), "utf-8")
    text = json.dumps(expected, indent=1, sort_keys=True)
    (folder / "expected.json").write_text(text + "\n", encoding="ascii")
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n", encoding="utf-8")


def what_comes_back(lr_data: bytes, path: Path) -> dict[str, object]:
    """Digests of what is carried; the pixels are written beside, as libraries may round them."""
    try:
        source_file = restore_source_file(lr_data)
    except RestorationMismatchError:  # a preview
        source_file = None
    if source_file is not None:
        return {"source_file": hashlib.sha256(source_file).hexdigest()}
    try:
        photo = restore(lr_data, Models(models_of(path)))
    except Exception as error:
        if "preview" not in str(error):
            raise
        return {"preview": True}
    path.parent.mkdir(parents=True, exist_ok=True)
    samples_ = photo.pixels[..., 0] if photo.pixels.shape[2] == 1 else photo.pixels
    buffer = io.BytesIO()
    Image.fromarray(samples_).save(buffer, "PNG", optimize=True)
    path.write_bytes(buffer.getvalue())
    parts = {"icc": photo.icc, "exif": photo.exif, "xmp": photo.xmp}
    parts["alpha"] = None if photo.alpha is None else photo.alpha.tobytes()
    held = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items() if part}
    return {"pixels": path.name, "mode": photo.mode, "sha256": held}


def models_of(path: Path):
    """The archive beside the folder of what was restored."""
    return open_store(str(path.parents[1] / "archive"))


def main() -> None:
    """Write the archive of a release."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the release, or the month")
    parser.add_argument("--since", type=int, choices=CASES_SINCE, default=1, help="version")
    given = parser.parse_args()
    folder = HERE / given.name
    if folder.exists():
        sys.exit(f"{folder} is there: a golden archive never changes")
    write(folder, CASES_SINCE[given.since])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {len(CASES_SINCE[given.since])} renditions, {size} bytes")


if __name__ == "__main__":
    main()
