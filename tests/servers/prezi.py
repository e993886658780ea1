"""The models that the IIIF consortium's schema of its Presentation API 3.0 was turned into.

`iiif-prezi3` asks for an older Pillow than Refold needs, for helpers that are not used here. So its
wheel is fetched by its digest and unpacked beside the tests, and nothing is installed.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from tests.servers.debian import CACHE
from tests.servers.processes import ServerError

VERSION = "3.1.1"
SHA256 = "ed95d7b610f4374f7b2f851b1ca750f65331d61e9f33e76b7beff1ea50b571fa"


def models() -> Any:
    """The module with `Manifest` and `Collection`, pydantic models that refuse what is not one.

    Raises:
        ServerError: It cannot be had.
    """
    folder = CACHE / f"iiif-prezi3-{VERSION}"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="prezi3-", dir=CACHE) as scratch:
            unpacked = Path(scratch) / "unpacked"
            with zipfile.ZipFile(_wheel(Path(scratch))) as wheel:
                wheel.extractall(unpacked)
            if not folder.exists():
                unpacked.rename(folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return importlib.import_module("iiif_prezi3")


def _wheel(folder: Path) -> Path:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"iiif-prezi3=={VERSION} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServerError(f"iiif-prezi3 cannot be had: {done.stderr[-1000:]}")
    return next(folder.glob("*.whl"))
