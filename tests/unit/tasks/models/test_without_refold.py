"""`restore.py` of an archive restores all kinds of renditions, where Refold is not installed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tiling
from rescaling_core.plan import ArchivePlan, Candidate, Floor, ResidualPlan, Target, TargetPlan
from rescaling_core.restore import restore, restore_source_file
from tasks.models.archived import problem_of, settle
from tasks.models.instructions import keep_instructions
from tasks.models.lookup import Models
from tasks.renditions.packs import packed
from tasks.storage import open_store
from tests.command import photograph
from tests.unit.rescaling_core.networks.examples import NETWORKS, example, scale_of

THREE: Final = ("pillow", "numpy", "onnxruntime")
"""What README.md of an archive asks for."""

_BEHIND_THEM: Final = ("flatbuffers", "protobuf", "packaging")
"""What `onnxruntime` installs with itself."""

_START: Final = """
import sys, runpy
sys.path[:0], sys.argv = [{!r}], {!r}
runpy.run_path({!r}, {{}}, "__main__")
"""


@dataclass(frozen=True)
class Case:
    """A kind of rendition."""

    rescaler: str
    target: str = "x2"
    codec: str = "png"
    quality: int | None = None
    residual: bool = False
    refinement: int = 0
    colour: bool = False
    """A grey source gets an LR image in colour."""
    mode: str = "RGB"
    tiling: Tiling = DEFAULT_TILING
    restorer: str | None = None
    layered: bool = False
    """What is missing of luma is coded as the final filter of its weights was trained for."""

    @property
    def name(self) -> str:
        traits = [self.rescaler, self.target, self.codec, self.mode]
        traits += ["residual"] * self.residual + ["refined"] * bool(self.refinement)
        traits += ["colour"] * self.colour + [f"tile {self.tiling.tile}"]
        return " ".join(traits)


SMALL_TILES: Final = Tiling(tile=24, overlap=6)

CASES: Final = [
    Case("bicubic"), Case("lanczos", "x1.5", mode="L"), Case("bicubic", "x3.7", tiling=SMALL_TILES),
    Case("none", codec="webp", quality=90), Case("none", codec="png", mode="LA"),
    Case("irn-x2-lite", mode="RGBA"), Case("irn-x2-lite", codec="jpeg", quality=90),
    Case("irn-x2-lite", codec="webp", quality=90, mode="L"),
    Case("irn-x2-lite", codec="avif", quality=90, residual=True),
    Case("irn-x2-lite", codec="webp-lossless", residual=True, mode="L"),
    Case("irn-x2-lite", codec="jpeg-420", quality=80, residual=True, tiling=SMALL_TILES),
    Case("irn-x2-lite", refinement=2), Case("irn-x2-lite", colour=True, mode="L"),
    Case("irn-x2-lite", tiling=SMALL_TILES), Case("irn-x4-lite", "x4", tiling=SMALL_TILES),
    Case("sain-x2-jpeg-lite", codec="jpeg", quality=90, mode="LA"),
    Case("sain-x2-webp-lite", codec="webp", quality=90), Case("sain-x4-jpeg-lite", "x4"),
    Case("sain-x2-avif-lite", codec="avif", quality=80), Case("dlv-irn-x4-lite", "x4", mode="L"),
    Case("aidn-lite", "x1.7"), Case("aidn-lite", "x3", mode="L", tiling=SMALL_TILES),
    Case("aidn-plus-lite", "x2.9", codec="jpeg", quality=90, tiling=SMALL_TILES),
    Case("none", codec="avif-420", quality=34, restorer="restorer-avif-lite"),
    Case("none", codec="avif-420", quality=60, mode="RGBA", restorer="restorer-avif-lite"),
    Case("lanczos", codec="avif", quality=20, residual=True, restorer="layered-avif-lite"),
    Case("lanczos", codec="avif", quality=20, layered=True, restorer="layered-avif-lite"),
    Case("lanczos", codec="avif", quality=20, layered=True, mode="LA",
         restorer="layered-avif-lite"),
    Case("lanczos", codec="avif", quality=25, restorer="layered-avif-lite"),
]  # fmt: skip
"""Every network that ships, and every way that an LR file is made."""

OF_OTHERS: Final = [
    Case(name, f"x{scale_of(name):g}", tiling=tiling, mode=mode)
    for at, name in enumerate(name for name, (family, _) in NETWORKS.items() if family != "filter")
    for tiling, mode in [((DEFAULT_TILING, "RGB"), (SMALL_TILES, "L"))[at % 2]]
]
"""Every network that can be imported, drawn latents among them, whole and in tiles in turn."""


@pytest.fixture(scope="module")
def only_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds those packages and nothing else."""
    return _packages(tmp_path_factory.mktemp("three"), (*THREE, *_BEHIND_THEM))


def _packages(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        found = importlib.metadata.distribution(name)
        for file in found.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder


def _run(packages: Path, archive: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an archive's restore.py in Python with these packages alone, and its own library."""
    script = str(archive / "restore.py")
    code = _START.format(str(packages), [script, *arguments], script)
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=500,
    )


def _source(case: Case) -> bytes:
    """A photograph of odd sizes, with a colour profile, EXIF and a resolution."""
    image = photograph("astronaut", 53, 66, 20, 60).convert(case.mode)
    if "A" in case.mode:
        ramp = np.linspace(0, 255, 66).astype(np.uint8)
        image.putalpha(Image.fromarray(np.broadcast_to(ramp, (53, 66)).copy()))
    options = {}
    if case.mode.startswith("RGB"):
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        options["icc_profile"] = profile.tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = (1 if case.codec == "jxl" else 6), "a photograph"
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta xmlns:x='adobe:ns:meta/'>mine</x:xmpmeta>")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif, dpi=(300, 300), pnginfo=info, **options)
    return buffer.getvalue()


def _make(case: Case, reference: str, archive: Path, number: int) -> Path:
    """Put a rendition into an archive as `refold archive` does; give its LR file."""
    residual = ResidualPlan(CodecSpec.parse("webp", 70), (70, 70)) if case.residual else None
    if case.layered:
        residual = ResidualPlan(CodecSpec.parse("avif-420", 40), (10, 60), luma=True)
    candidate = Candidate(
        reference,
        CodecSpec.parse(case.codec, case.quality),
        residual=residual,
        refinement=case.refinement,
        lr_mode="colour" if case.colour else "source",
        restorer=case.restorer,
    )
    floor = Floor(psnr_y=1.0) if case.residual else Floor()
    if case.layered:  # a floor that is just missed without the filter
        floor = Floor(psnr_y=33.0)
    target = TargetPlan(target=Target.parse(case.target), candidates=(candidate,), floor=floor)
    plan, models = settle(ArchivePlan(targets=(target,)), open_store(str(archive)))
    data = _source(case)
    ref = SourceRef(key=f"{number} {case.name}.png", etag="", size=10**7, sha256="0" * 64)
    photo = decode_photo(data, max_pixels=10**6)
    made = convert(
        photo, ref, plan.targets[0], models, software="test", tiling=case.tiling, data=data
    )
    assert isinstance(made, Rendition), f"{case.name}: {made}"
    path = archive / "renditions" / f"{number}{made.extension}"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(made.lr_data)
    return path


def _check(case: Case, lr_path: Path, restored: Path, archive: Path) -> None:
    photo = restore(lr_path.read_bytes(), Models(open_store(str(archive))))
    with Image.open(restored) as image:
        image.load()
        assert image.mode == case.mode
        samples = np.asarray(image).astype(int)
        assert image.info.get("icc_profile") == photo.icc
        assert image.info["exif"].removeprefix(b"Exif\0\0") == photo.exif
        assert round(image.info["dpi"][0]) == 300
        assert image.info["xmp"] == photo.xmp
    samples = samples if samples.ndim == 3 else samples[..., None]
    channels = photo.pixels.shape[2]
    assert abs(samples[..., :channels] - photo.pixels).max() <= 1, case.name
    if photo.alpha is not None:
        assert np.array_equal(samples[..., -1], photo.alpha)


def _restore_and_check(
    cases: Sequence[Case], paths: Sequence[Path], archive: Path, only: Path
) -> None:
    out = archive / "out"
    ran = _run(only, archive, str(archive / "renditions"), "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    for number, (case, path) in enumerate(zip(cases, paths, strict=True)):
        _check(case, path, out / case.target / f"{number} {case.name}.png.png", archive)


@pytest.mark.slow
def test_every_kind_of_rendition_is_restored_without_refold(
    tmp_path: Path, only_three: Path
) -> None:
    paths = [_make(case, case.rescaler, tmp_path, at) for at, case in enumerate(CASES)]
    _restore_and_check(CASES, paths, tmp_path, only_three)


@pytest.mark.slow
def test_every_family_of_networks_is_restored_without_refold(
    tmp_path: Path, only_three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFOLD_WEIGHTS", str(tmp_path / "none"))
    references = {}
    for name in {case.rescaler for case in OF_OTHERS}:
        card = zoo.describe(example(name), model_id=f"example-{name}", title=name)
        path = tmp_path / f"{name}.safetensors"
        zoo.save(path, example(name), card)
        references[name] = str(path)
    archive = tmp_path / "archive"
    paths = [
        _make(case, references[case.rescaler], archive, at) for at, case in enumerate(OF_OTHERS)
    ]
    _restore_and_check(OF_OTHERS, paths, archive, only_three)


def test_the_environment_has_neither_refold_nor_torch(tmp_path: Path, only_three: Path) -> None:
    (tmp_path / "restore.py").write_text("import rescaling_core, torch")
    assert "No module named 'rescaling_core'" in _run(only_three, tmp_path).stderr
    (tmp_path / "restore.py").write_text("import torch")
    assert "No module named 'torch'" in _run(only_three, tmp_path).stderr


def test_jpeg_xl_needs_its_plugin_and_a_transcoded_jpeg_comes_back_whole(
    tmp_path: Path, only_three: Path
) -> None:
    case = Case("irn-x2-lite", codec="jxl", quality=90)
    lr_path = _make(case, case.rescaler, tmp_path, 0)
    buffer = io.BytesIO()
    photograph("coffee", 60, 80).save(buffer, "JPEG", quality=92)
    data = buffer.getvalue()
    plan = TargetPlan(
        target=Target.parse("x2"),
        candidates=(Candidate("jpeg-transcode", CodecSpec.parse("jxl-lossless")),),
    )
    sha256 = hashlib.sha256(data).hexdigest()
    ref = SourceRef(key="a/b.jpg", etag="", size=10**6, sha256=sha256)
    photo = decode_photo(data, max_pixels=10**6)
    made = convert(photo, ref, plan, Models(), software="test", data=data)
    assert isinstance(made, Rendition)
    assert restore_source_file(made.lr_data) == data
    (tmp_path / "renditions" / "1.jxl").write_bytes(made.lr_data)
    out = tmp_path / "out"
    arguments = (str(tmp_path / "renditions"), "--out", str(out))
    refused = _run(only_three, tmp_path, *arguments)
    assert refused.returncode == 1
    assert "pip install pillow-jxl-plugin" in refused.stderr
    assert "djxl" in refused.stderr
    more = _packages(tmp_path / "more", (*THREE, *_BEHIND_THEM, "pillow-jxl-plugin"))
    ran = _run(more, tmp_path, *arguments)
    assert ran.returncode == 0, ran.stderr
    assert (out / "x2" / "a" / "b.jpg").read_bytes() == data
    photo = restore(lr_path.read_bytes(), Models())
    with Image.open(out / "x2" / f"0 {case.name}.png.png") as image:
        assert abs(np.asarray(image).astype(int) - photo.pixels).max() <= 1


def test_what_is_damaged_is_named_and_does_not_stop_the_others(
    tmp_path: Path, only_three: Path
) -> None:
    for number in range(3):
        _make(Case("irn-x2-lite"), "irn-x2-lite", tmp_path, number)
    first = tmp_path / "renditions" / "0.png"
    first.write_bytes(first.read_bytes()[:200])
    (tmp_path / "renditions" / "1.png").write_bytes(b"")
    ran = _run(only_three, tmp_path, str(tmp_path / "renditions"), "--out", str(tmp_path / "out"))
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 2
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1
    (graph,) = (tmp_path / "models").glob("*.onnx")
    graph.write_bytes(graph.read_bytes()[:-1])
    lone = str(tmp_path / "renditions" / "2.png")
    ran = _run(only_three, tmp_path, lone, "--out", str(tmp_path / "out"))
    assert (ran.returncode, "is damaged" in ran.stderr) == (1, True)
    graph.unlink()
    ran = _run(only_three, tmp_path, lone, "--out", str(tmp_path / "out"))
    assert (ran.returncode, "is not there" in ran.stderr) == (1, True)


def test_packs_are_read_as_far_as_they_are_whole(tmp_path: Path, only_three: Path) -> None:
    files = [_make(Case("bicubic"), "bicubic", tmp_path, number) for number in range(3)]
    names = [f"renditions/x2/photo {number}.png/{path.name}" for number, path in enumerate(files)]
    pack, offsets = packed(
        (name, path.read_bytes()) for name, path in zip(names, files, strict=True)
    )
    shutil.rmtree(tmp_path / "renditions")
    whole, cut = tmp_path / "packs" / "x2" / "a.tar", tmp_path / "packs" / "x2" / "b.tar"
    whole.parent.mkdir(parents=True)
    whole.write_bytes(pack)
    arguments = (str(tmp_path / "renditions"), str(tmp_path / "packs"), "--out")
    ran = _run(only_three, tmp_path, *arguments, str(tmp_path / "out"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"{whole}/{names[0]}: ")
    assert len(ran.stdout.splitlines()) == 3
    cut.write_bytes(pack[: offsets[names[1]] + 100])
    whole.unlink()
    ran = _run(only_three, tmp_path, *arguments, str(tmp_path / "again"))
    assert ran.returncode == 1
    assert [line.partition(": ")[0] for line in ran.stdout.splitlines()] == [f"{cut}/{names[0]}"]
    assert ran.stderr.startswith(str(cut))


@pytest.mark.parametrize("release", ["0.1.0"])
def test_what_earlier_releases_archived_is_restored_by_the_newest_instructions(
    tmp_path: Path, only_three: Path, release: str
) -> None:
    golden = Path(__file__).parents[3] / "golden" / release
    shutil.copytree(golden / "archive", tmp_path / "archive")
    archive = tmp_path / "archive"
    assert keep_instructions(open_store(str(archive))) == ["README.md", "restore.py"]
    out = tmp_path / "out"
    ran = _run(only_three, archive, str(archive / "renditions"), "--out", str(out))
    jxl = len(list((archive / "renditions").rglob("*.jxl")))
    assert len(ran.stderr.splitlines()) == jxl, ran.stderr  # they need the plugin
    for key, wanted in json.loads((golden / "expected.json").read_text()).items():
        if "pixels" in wanted and not key.endswith(".jxl"):
            target, source = key.split("/", 1)[1].split("/", 1)
            with Image.open(out / target / f"{source.rpartition('/')[0]}.png") as back:
                found = np.asarray(back.convert("RGB") if back.mode == "RGBA" else back)
            with Image.open(golden / "restored" / wanted["pixels"]) as image:
                assert abs(found.astype(int) - np.asarray(image)).max() <= 1, key


def test_instructions_are_written_once_and_renewed_when_they_are_older(tmp_path: Path) -> None:
    archive = open_store(str(tmp_path))
    assert keep_instructions(archive) == ["README.md", "restore.py"]
    assert keep_instructions(archive) == []
    script = archive.get("restore.py")
    stated = re.search(rb"Version \d+", script)
    assert stated is not None
    archive.put("restore.py", script.replace(stated[0], b"Version 1"))
    archive.put("README.md", b"# My photos")
    assert keep_instructions(archive) == ["restore.py"]
    assert archive.get("restore.py") == script
    assert archive.get("README.md") == b"# My photos"
    later = script.replace(stated[0], b"Version 99")
    archive.put("restore.py", later)
    assert keep_instructions(archive) == []
    assert archive.get("restore.py") == later


def test_each_damage_to_a_stored_network_is_seen_and_undone(tmp_path: Path) -> None:
    archive = open_store(str(tmp_path))
    plan = ArchivePlan(
        targets=(
            TargetPlan(
                target=Target.parse("x2"), candidates=(Candidate("irn-x2-lite", CodecSpec("png")),)
            ),
        )
    )
    settle(plan, archive)
    sha256 = zoo.load("irn-x2-lite").weights_sha256
    assert problem_of(archive, sha256) is None
    for suffix in ("safetensors", "json", "onnx"):
        key = f"models/{sha256}.{suffix}"
        for damage in (b"", archive.get(key)[:-1], b"{}", b"[" * 100_000):
            archive.put(key, damage)
            assert (problem_of(archive, sha256) or "").startswith(key[:-5])
            settle(plan, archive)
            assert problem_of(archive, sha256) is None
        archive.delete(key)
        assert "no object" in (problem_of(archive, sha256) or "")
        settle(plan, archive)
        assert problem_of(archive, sha256) is None
