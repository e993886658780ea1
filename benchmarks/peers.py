r"""Previews of a folder of JPEG photographs by Refold and by what people use for it: CPU seconds.

    python -m benchmarks.peers --images 64 --megapixels 0.3 2
    python -m benchmarks.peers --images 12 --megapixels 12 24 --pyvips /opt/vips/bin/python \
        --sharp /opt/sharp --img2dataset /opt/i2d/bin/img2dataset

Every tool writes two WebP files a photograph, of 1024 and 256 pixels at quality 80, in a process of
its own. What counts is the CPU of that process and of all that it starts, start-up included. Tools
that are not there are named. Peers that are not dependencies of this project are best installed
elsewhere: `--pyvips` names a Python that imports pyvips, `--sharp` a folder whose `node_modules`
have sharp. img2dataset makes one size a run and takes URLs only: it runs twice, on a server on this
machine whose CPU is not counted.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from PIL import Image

from benchmarks.memory import write_source
from benchmarks.start_up import cpu_of_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Commands = list[list[str]]

SIDES: Final = (1024, 256)

PILLOW: Final = """
import sys
from pathlib import Path
from PIL import Image
source, dest = map(Path, sys.argv[1:])
for path in sorted(source.iterdir()):
    with Image.open(path) as image:
        image.draft("RGB", (1024, 1024))
        for side in (1024, 256):
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            image.save(dest / f"{path.stem}-{side}.webp", quality=80, method=4)
"""

PYVIPS: Final = """
import sys
from pathlib import Path
import pyvips
source, dest = map(Path, sys.argv[1:])
for path in sorted(source.iterdir()):
    large = pyvips.Image.thumbnail(str(path), 1024, height=1024, size="down").copy_memory()
    large.webpsave(str(dest / f"{path.stem}-1024.webp"), Q=80, effort=4)
    small = large.thumbnail_image(256, height=256, size="down")
    small.webpsave(str(dest / f"{path.stem}-256.webp"), Q=80, effort=4)
"""

SHARP: Final = """
const fs = require('fs'), path = require('path');
const [modules, source, dest] = process.argv.slice(1);
const sharp = require(path.join(modules, 'node_modules', 'sharp'));
sharp.concurrency(1);
(async () => {
  for (const name of fs.readdirSync(source).sort()) {
    for (const side of [1024, 256]) {
      await sharp(path.join(source, name))
        .resize(side, side, { fit: 'inside', withoutEnlargement: true })
        .webp({ quality: 80, effort: 4 })
        .toFile(path.join(dest, `${path.parse(name).name}-${side}.webp`));
    }
  }
})();
"""


def write_photographs(folder: Path, count: int, low: float, high: float) -> float:
    """Write JPEG files of sizes between two, in megapixels; how many they have together."""
    folder.mkdir()
    whole = folder.parent / "all.png"
    side = round((high * 1e6 / 12) ** 0.5)
    write_source(whole, 4 * side + 16 * count, 3 * side, "PNG")
    total = 0.0
    with Image.open(whole) as picture:
        for number in range(count):
            megapixels = low + (high - low) * number / max(1, count - 1)
            unit = (megapixels * 1e6 / 12) ** 0.5
            width, height = round(4 * unit), round(3 * unit)
            part = picture.crop((16 * number, 0, 16 * number + width, height))
            part.save(folder / f"{number:04}.jpg", quality=90)
            total += width * height / 1e6
    whole.unlink()
    return total


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server of a folder's files, in this process."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def img2dataset(program: str, source: Path, dest: Path, url: str) -> Commands:
    """The commands of its two runs."""
    urls = dest.with_suffix(".txt")
    urls.write_text("".join(f"{url}/{path.name}\n" for path in sorted(source.iterdir())))
    return [
        [program, f"--url_list={urls}", f"--output_folder={dest}/{side}", f"--image_size={side}",
         "--resize_mode=keep_ratio_largest", "--resize_only_if_bigger=True",
         "--encode_format=webp", "--encode_quality=80", "--processes_count=1",
         "--thread_count=4", "--output_format=files"]
        for side in SIDES
    ]  # fmt: skip


def commands(
    given: argparse.Namespace, source: Path, work: Path, url: str
) -> dict[str, Commands | None]:
    """What each tool runs; None for those that are not here."""

    def dest(name: str) -> Path:
        folder = work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    vips = [given.pyvips, "-c", PYVIPS, str(source), str(dest("pyvips"))]
    passes = [
        ["vipsthumbnail", "--size", f"{side}x{side}>", "-o", f"{dest(f'v{side}')}/%s.webp[Q=80]",
         *map(str, sorted(source.iterdir()))]
        for side in SIDES
    ]  # fmt: skip
    node = ["node", "-e", SHARP, given.sharp, str(source), str(dest("sharp"))]
    refold = [sys.executable, "-m", "flows.cli", "archive", str(source), str(dest("refold")),
              "--target", "long-edge=1024", "--target", "long-edge=256",
              "--rescaler", "lanczos", "--codec", "webp", "--quality", "80"]  # fmt: skip
    pillow = [sys.executable, "-c", PILLOW, str(source), str(dest("pillow"))]
    return {
        "Pillow with draft": [pillow],
        "Refold": [refold],
        "pyvips": [vips] if _works([given.pyvips, "-c", "import pyvips"]) else None,
        "vipsthumbnail, twice": passes if shutil.which("vipsthumbnail") else None,
        "sharp": [node] if (Path(given.sharp) / "node_modules" / "sharp").is_dir() else None,
        "img2dataset, twice": (
            img2dataset(given.img2dataset, source, dest("img2dataset"), url)
            if shutil.which(given.img2dataset)
            else None
        ),
    }


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--megapixels", type=float, nargs=2, default=[0.3, 2.0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pyvips", default=sys.executable, help="A Python that imports pyvips.")
    parser.add_argument("--sharp", default=".", help="A folder whose node_modules have sharp.")
    parser.add_argument("--img2dataset", default="img2dataset", help="Its program.")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        work, source = Path(folder), Path(folder) / "photographs"
        total = write_photographs(source, given.images, *given.megapixels)
        variables: Mapping[str, str] = {
            "OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "PREFECT_HOME": str(work / "prefect"),
        }  # fmt: skip
        taken: dict[str, list[float]] = {}
        absent: list[str] = []
        with serving(source) as url:
            for turn in range(given.rounds):
                for name, runs in commands(given, source, work, url).items():
                    if runs is not None:
                        cpu = sum(cpu_of_command(run, variables)[0] for run in runs)
                        print(f"{name}: {cpu:.1f} CPU s", file=sys.stderr, flush=True)
                        taken.setdefault(name, []).append(cpu)
                    elif turn == 0:
                        absent.append(name)
    first = min(next(iter(taken.values())))
    print(f"{given.images} photographs, {total:.0f} MP; not installed: {', '.join(absent) or '-'}")
    print("| tool | CPU s | CPU ms an image | ratio |\n| --- | ---: | ---: | ---: |")
    for name, seconds in taken.items():
        best = min(seconds)
        each = 1000 * best / given.images
        print(f"| {name} | {best:.1f} | {each:.0f} | {best / first:.2f} |")


if __name__ == "__main__":
    main()
