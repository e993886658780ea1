"""Each command imports what it needs, and nothing heavy besides.

Torch takes two seconds, Prefect nearly two, Ray and s3fs most of one, Matplotlib a half: whoever
asks for `refold ls` pays none of it. The lists are exact. Where a test fails because a command
imports more, import it where it is used; where it fails because a command imports less, shorten
its list here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from typing import Final

import pytest

from tests.command import REPOSITORY

WEIGHED: Final = {
    "adlfs": True,
    "cachetools": False,
    "deltalake": True,
    "fastapi": True,
    "fsspec": True,
    "gcsfs": True,
    "grpcio-reflection": True,
    "humanize": False,
    "imagecodecs": True,
    "jinja2": False,
    "matplotlib": True,
    "mmh3": False,
    "numpy": True,
    "obstore": True,
    "onnx": True,
    "opentelemetry-exporter-otlp-proto-http": True,
    "opentelemetry-sdk": False,  # Prefect imports its interface
    "openvino": True,
    "pillow": True,
    "pillow-heif": True,
    "pillow-jxl-plugin": True,
    "pooch": True,
    "prefect": True,
    "prefect-kubernetes": True,
    "prometheus-client": False,
    "psutil": False,
    "pyarrow": True,
    "pydantic": False,
    "pydantic-settings": False,
    "python-multipart": False,
    "ray": True,
    "rich": False,
    "s3fs": True,
    "safetensors": False,
    "scikit-image": True,
    "simplejpeg": False,
    "sqlalchemy": True,
    "ssimulacra2": False,
    "torch": True,
    "typer": False,
    "uvicorn": True,
    "watchfiles": False,
}
"""The distributions that Refold may use when it is installed, and whether importing them counts."""

NAMES: Final = {
    "grpcio-reflection": "grpc",
    "opentelemetry-exporter-otlp-proto-http": "requests",  # which it sends by
    "pillow": "PIL",
    "pillow-heif": "pillow_heif",
    "pillow-jxl-plugin": "pillow_jxl",
    "prefect-kubernetes": "prefect_kubernetes",
    "scikit-image": "skimage",
}
"""What they are imported as, where that is another name."""

HEAVY: Final = {NAMES.get(name, name) for name, heavy in WEIGHED.items() if heavy} | {
    "aiobotocore", "aiohttp", "boto3", "botocore", "IPython", "pandas", "scipy", "sympy",
}  # fmt: skip
"""With some that they bring along."""

PRELOADED: Final = (
    "PIL", "deltalake", "fastapi", "numpy", "prefect", "pyarrow.parquet", "torch", "uvicorn",
)  # fmt: skip
"""Those that several commands import, to be imported once; only the time depends on it."""

PIXELS: Final = {"PIL", "numpy"}
CATALOG: Final = {*PIXELS, "deltalake", "pyarrow"}
NETWORKS: Final = {*CATALOG, "torch"}

EXPECTED: Final[dict[str, tuple[set[str], set[str]]]] = {
    "refold": (set(), set()),
    "archive": (NETWORKS, {"prefect"}),
    "backfill": (NETWORKS, {"prefect"}),
    "catalog": (CATALOG, set()),
    "demo": (set(), PIXELS),
    "doctor": (PIXELS, set()),
    "evaluate": ({*PIXELS, "fsspec", "pyarrow", "torch"}, {"prefect"}),
    "export": (NETWORKS, set()),
    "maintain": (CATALOG, {"prefect", "torch"}),
    "models": ({*PIXELS, "torch"}, set()),
    "plan": ({*PIXELS, "torch"}, {"deltalake", "pyarrow"}),
    "rebuild": (set(), {*NETWORKS, "prefect"}),
    "report": (CATALOG, {"prefect", "torch"}),
    "restore": (NETWORKS, {"prefect"}),
    "retire": (CATALOG, {"prefect", "torch"}),
    "scrub": (CATALOG, {"prefect", "torch"}),
    "serve": ({*NETWORKS, "uvicorn"}, {"fastapi"}),
    "train": ({*PIXELS, "fsspec", "torch"}, {"prefect"}),
}
"""By the command's module: what it imports without its flow, and what its flow adds. Neither Ray
nor a client of a store nor an engine is among it: they are imported when they are used."""


@pytest.mark.slow
def test_each_command_imports_what_it_needs_and_nothing_heavy_besides() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.imports_of_commands", *PRELOADED],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr
    told = {one["command"]: one for one in map(json.loads, ran.stdout.splitlines())}
    found = {
        name: (HEAVY.intersection(one["alone"]), HEAVY.intersection(one["flow"]))
        for name, one in told.items()
    }
    assert found == EXPECTED


def test_it_is_known_of_each_dependency_whether_it_is_heavy() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {
        name: wanted
        for name, wanted in project["optional-dependencies"].items()
        if name not in {"dev", "docs"}  # for those who work on Refold
    }
    wanted = [*project["dependencies"], *(one for some in extras.values() for one in some)]
    names = {match[0] for one in wanted if (match := re.match(r"[\w-]+", one))}
    assert names == WEIGHED.keys()
