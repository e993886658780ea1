"""Looks at what Refold needs of a machine and of a store, and says what to do about it."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import numpy as np

from rescaling_core.codecs import CODECS, CodecSpec, decode, encode
from rescaling_core.errors import CodecUnavailableError, RefoldError
from tasks.storage import Store, open_store
from tasks.storage.local import LocalStore
from tasks.storage.probe import PROBE_FOLDER, prove_conditional_writes

EXTRAS: Final = {
    "pillow_heif": "refold[heic]: reads HEIC",
    "pillow_jxl": "refold[jxl]: JPEG XL, and JPEG files bit for bit",
    "obstore": "refold[obstore]: objects in S3 for less CPU time",
    "openvino": "refold[openvino]: networks run faster on CPUs",
    "skimage": "refold[demo]: the pictures of `make demo`",
}

LEAST_FREE: Final = 2 * 2**30
"""Bytes below which a folder is called nearly full."""

LATEST_CLOCK: Final = 300.0
"""Seconds that the clocks of this machine and of a store may differ; S3 refuses at 900."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check came to."""

    name: str
    state: Literal["ok", "missing", "failed"]
    """`missing` is what can be done without."""
    detail: str
    """What was found."""
    advice: str | None = None
    """What to do about it."""


def check_installation() -> Iterator[Finding]:
    """Python, torch and its devices, the processor, the extras, and codecs."""
    import torch

    yield Finding(name="python", state="ok", detail=platform.python_version())
    yield Finding(name="torch", state="ok", detail=str(torch.__version__))
    yield _processor(torch.backends.cpu.get_cpu_capability())
    if torch.cuda.is_available():
        yield Finding(name="cuda", state="ok", detail=torch.cuda.get_device_name())
    else:
        yield Finding(name="cuda", state="missing", detail="no GPU that torch can use: CPUs are")
    for module, purpose in EXTRAS.items():
        extra = purpose.partition(":")[0]
        if find_spec(module) is not None:
            yield Finding(name=extra, state="ok", detail=purpose)
        else:
            yield Finding(
                name=extra, state="missing", detail=purpose, advice=f"pip install '{extra}'"
            )
    if find_spec("openvino") is not None:
        yield _tried("openvino", _openvino_devices, "pip install --force-reinstall openvino")
    yield from map(_codec, CODECS)


def _processor(instructions: str) -> Finding:
    """What the processor computes networks with; AMX and AVX-512 are the fast ones.

    With bfloat16 it restores faster still, where `REFOLD_PRECISION` asks for it.
    """
    known = Path("/proc/cpuinfo")
    flags = set(known.read_text("utf-8", "replace").split()) if known.exists() else set()
    amx = "AMX" if "amx_tile" in flags else "no AMX"
    narrow = "bfloat16" if {"avx512_bf16", "amx_bf16"} & flags else "no bfloat16"
    return Finding(name="processor", state="ok", detail=f"{instructions}, {amx}, {narrow}")


def _openvino_devices() -> str:
    import openvino

    return f"{openvino.__version__.split('-')[0]}, {', '.join(openvino.Core().available_devices)}"


def _codec(name: str) -> Finding:
    """Whether pictures can be written in a codec, and read again."""
    try:
        spec = CodecSpec.parse(name)
        decode(encode(np.full((16, 16, 3), 128, np.uint8), spec))
    except CodecUnavailableError as error:
        advice = str(error).partition(": ")[2]
        return Finding(name=f"codec {name}", state="missing", detail="not here", advice=advice)
    except RefoldError as error:
        advice = "install a full build of Pillow: pip install --force-reinstall pillow"
        return Finding(name=f"codec {name}", state="failed", detail=str(error), advice=advice)
    return Finding(name=f"codec {name}", state="ok", detail="writes and reads")


def check_folder(name: str, folder: Path, refusal: str | None) -> Finding:
    """A folder that is to be written to.

    Args:
        name: What it is for.
        folder: It need not exist yet.
        refusal: Why it cannot be written, if it cannot.
    """
    if refusal is not None:
        advice = "make it writable, or name another one: HOME, TMPDIR, XDG_CACHE_HOME"
        return Finding(name=name, state="failed", detail=f"{folder}: {refusal}", advice=advice)
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    detail = f"{folder}, {free / 1e9:.1f} GB free"
    if free < LEAST_FREE:
        return Finding(name=name, state="failed", detail=detail, advice="free some space")
    return Finding(name=name, state="ok", detail=detail)


def check_ray() -> Finding:
    """Start a Ray, or join the one that is named, and have it answer."""
    import ray

    from tasks.cluster.session import ray_session

    def answer() -> str:
        with ray_session():
            resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
            return f"{ray.__version__}, {resources.get('CPU', 0):.0f} CPUs"

    return _tried("ray", answer, "see whether RAY_ADDRESS names a cluster that is up")


def check_prefect() -> Finding:
    """Start a Prefect server, or ask the one that is named."""
    from prefect.client.orchestration import get_client

    from tasks.control.server import prefect_server

    def answer() -> str:
        with prefect_server(), get_client(sync_client=True) as client:
            error = client.api_healthcheck()
            if error is not None:
                raise error
            return importlib.metadata.version("prefect")

    return _tried("prefect", answer, "see whether PREFECT_API_URL names a server that is up")


def check_store(url: str, *, write: bool) -> Iterator[Finding]:
    """Whether a store can be listed and, where asked, written to safely.

    Args:
        url: Of a collection or an archive.
        write: Prove conditional writes and compare clocks, with a probe that is removed again.
    """

    def listed() -> str:
        first = next(iter(open_store(url).list()), None)
        return "can be listed" if first is not None else "can be listed; it is empty"

    yield _tried(f"{url}: access", listed, "see to the address, the credentials and the network")
    if not write:
        return

    def proven() -> str:
        prove_conditional_writes(open_store(url))
        return "conditional writes are honoured"

    yield _tried(f"{url}: writes", proven, "use another store, or see to its permissions")
    store = open_store(url)
    if not isinstance(store, LocalStore):
        yield _tried(f"{url}: clock", lambda: _clock_of(store), "set this machine's clock (NTP)")


def _clock_of(store: Store) -> str:
    key = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
    store.put(key, b"what time is it?")
    try:
        modified = store.info(key).modified
    finally:
        store.delete(key)
    if modified is None:
        return "it does not say the time"
    apart = abs((datetime.now(UTC) - modified).total_seconds())
    if apart > LATEST_CLOCK:
        raise RefoldError(f"its clock and this machine's are {apart:.0f} s apart")
    return f"its clock and this machine's are {apart:.0f} s apart"


def _tried(name: str, attempt: Callable[[], str], advice: str) -> Finding:
    try:
        return Finding(name=name, state="ok", detail=attempt())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        kind = "" if isinstance(error, RefoldError | OSError) else f"{type(error).__name__}: "
        reason = " ".join(f"{kind}{error}".split())
        return Finding(name=name, state="failed", detail=reason, advice=advice)
