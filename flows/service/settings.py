"""What an operator may say about the service: every `REFOLD_SERVE_*` variable.

docs/serve.md has them in a table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, FiniteFloat, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.settings import of_environment

PREFIX: Final = "REFOLD_SERVE_"

Share = Annotated[FiniteFloat, Field(ge=0, le=1024)]
Seconds = Annotated[FiniteFloat, Field(gt=0, le=3600)]


class ServeSettings(BaseSettings):
    """What is not given is read from the environment, else it is the default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    threads: int = Field(
        default=2, ge=1, le=256, description="Requests that are restored at once; by default 2."
    )
    replicas: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Replicas on Ray Serve; by default 0: this process answers, without Ray.",
    )
    cpus: Share = Field(default=1.0, description="CPUs of a replica; by default 1.")
    gpus: Share = Field(
        default=0.0, description="GPUs of a replica, whole or a fraction; by default none."
    )
    waiting: int = Field(
        default=16,
        ge=0,
        le=10_000,
        description="Requests that may wait for a network; more are answered 429. By default 16.",
    )
    seconds: Seconds = Field(
        default=60.0,
        description="Seconds that a request may take, waiting included; by default 60.",
    )
    max_pixels: int = Field(
        default=64_000_000,
        ge=4096,
        le=10**10,
        description="Pixels of a picture that is sent; larger ones are asked for in regions. By "
        "default 64 million.",
    )
    max_request_bytes: int = Field(
        default=64 * 1024,
        ge=0,
        le=10**9,
        description="Bytes of a request's body; by default 65,536.",
    )
    cache_bytes: int = Field(
        default=512 * 2**20,
        ge=0,
        le=2**40,
        description="Bytes of memory for decoded LR images, residuals and restored tiles; by "
        "default 512 MiB.",
    )
    tile_folder: Path | None = Field(
        default=None,
        description="Folder in which restored tiles are kept beyond a restart; by default none.",
    )
    tile_folder_bytes: int = Field(
        default=10 * 2**30,
        ge=0,
        le=2**50,
        description="Bytes of that folder; by default 10 GiB.",
    )
    keys: Path | None = Field(
        default=None,
        description="File of API keys, one a line: `name sha256 [archive ...]`; by default none.",
    )
    anonymous: bool | None = Field(
        default=None,
        description="Whether reading needs no key; by default only while the service listens on a "
        "loopback address and there is no file of keys.",
    )
    cors_origins: str = Field(
        default="*",
        description="Origins, separated by spaces, whose pages may read IIIF answers; `*` for all, "
        "empty for none. By default `*`, as IIIF viewers need it.",
    )
    hosts: str = Field(
        default="",
        description="Host names, separated by spaces, that requests may be addressed to; by "
        "default any, and on a loopback address only its own names.",
    )
    base_url: str = Field(
        default="",
        description="URL under which clients reach the service, where a proxy hides it; by default "
        "what the request says.",
    )
    sources: bool = Field(
        default=False,
        description="Whether pages show the source beside its restoration, where it still is what "
        "was archived; by default not.",
    )
    destinations: str = Field(
        default="",
        description="URLs or paths of folders, separated by spaces, that jobs may restore into; by "
        "default none.",
    )
    jobs: str = Field(
        default="",
        description="URL or path of a folder for the records of jobs, which all processes of a "
        "service have to share; by default `refold-jobs` in the first of those places.",
    )
    try_page: bool | None = Field(
        default=None,
        description="Whether visitors may try photos of their own; by default only while the "
        "service listens on a loopback address.",
    )
    try_bytes: int = Field(
        default=20 * 2**20,
        ge=1024,
        le=10**9,
        description="Bytes of a photo that is tried; by default 20 MiB.",
    )
    try_pixels: int = Field(
        default=4_000_000,
        ge=4096,
        le=10**9,
        description="Pixels of a photo that is tried; by default 4 million.",
    )
    try_seconds: Seconds = Field(
        default=120.0, description="Seconds that a trial may take; by default 120."
    )
    max_canvases: int = Field(
        default=200, ge=1, le=100_000, description="Images of an IIIF manifest; by default 200."
    )

    @field_validator("base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("should begin with http:// or https://")
        return value.rstrip("/")


def serve_settings() -> ServeSettings:
    """The settings of the environment.

    Raises:
        UsageError: A variable has a value it cannot have.
    """
    return of_environment(ServeSettings)
