"""What the environment says about a machine or a cluster: every `REFOLD_*` variable.

A flow takes the same as its parameter `settings`, so that a deployment, or one run, can say
otherwise. docs/performance.md has them in a table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import Field, FiniteFloat, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from rescaling_core.errors import UsageError
from rescaling_core.precision import Precision

PREFIX: Final = "REFOLD_"

Kind = TypeVar("Kind", bound=BaseSettings)

Share = Annotated[FiniteFloat, Field(gt=0)]
Count = Annotated[int, Field(ge=1, lt=10**9)]


class Settings(BaseSettings):
    """What is not given is read from the environment, else it is the default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    workers: Count | None = Field(
        default=None,
        description="Workers; by default as many as fit when the run starts. Those that do not "
        "fit yet join as room appears, which makes a cluster that scales itself grow.",
    )
    small_run: Annotated[int, Field(ge=0, lt=10**9)] = Field(
        default=16,
        description="Sources up to which a run uses processes of this machine in place of a Ray "
        "cluster, by default 16; 0: Ray always. `RAY_ADDRESS`, `REFOLD_ENCODERS` and a GPU mean "
        "Ray as well.",
    )
    cpus_per_worker: Share = Field(
        default=1.0, description="CPUs of a worker where there is no GPU; by default 1."
    )
    gpus_per_worker: Share = Field(
        default=1.0, description="GPUs of a worker, whole or a fraction; by default 1."
    )
    photos_at_once: Count | None = Field(
        default=None,
        description="Photos that a worker has under way; by default 2, and 8 beside a GPU.",
    )
    encoders: int = Field(
        default=0,
        ge=0,
        lt=10**9,
        description="CPUs of the cluster that are left to encoding; by default 0: workers encode "
        "themselves.",
    )
    weights: Path | None = Field(
        default=None,
        description="Folder of fetched and imported weights; by default `~/.cache/refold/weights`.",
    )
    precision: Precision = Field(
        default="float32",
        description="Arithmetic of networks in `restore`, `serve`, `export` and reading in "
        "training, by default `float32`; with `bfloat16`, processors that have it restore in about "
        "half the time, a level off at some pixels. What is archived is always made and measured "
        "in float32.",
    )

    max_pixels: Annotated[int, Field(ge=1, lt=10**12)] | None = Field(
        default=None,
        description="Width × height above which nothing is restored; by default the largest limit "
        "of the plans that the archive was made with, and 200 million at least.",
    )

    store_client: Literal["obstore", "s3fs"] | None = Field(
        default=None,
        description="Client that reads and writes whole objects in S3: `obstore` (`pip install "
        "'refold[obstore]'`), which leaves to s3fs what it cannot do or what does not go well, or "
        "`s3fs` for everything; by default `obstore` where it is installed.",
    )
    store_connect_seconds: Share = Field(
        default=10.0, description="Seconds to wait for a connection to a store; by default 10."
    )
    store_read_seconds: Share = Field(
        default=60.0, description="Seconds to wait for an answer of a store; by default 60."
    )
    store_attempts: Count = Field(
        default=6,
        description="Tries of one request to a store before the step is given up; by default 6.",
    )
    store_encryption: dict[str, str] = Field(
        default_factory=dict,
        description="How objects in buckets of S3 are encrypted, as JSON: by bucket, or `*` for "
        "any, `AES256`, `aws:kms`, `aws:kms:KEY-ID`, `aws:kms:dsse`, or `customer:FILE` with a key "
        "of 32 bytes, which reading takes as well; by default as each bucket does by itself.",
    )
    storage_classes: dict[str, str] = Field(
        default_factory=dict,
        description="Storage class in which objects are put into S3, as JSON: by what their keys "
        'in the archive begin with, such as `{"renditions/x2/": "STANDARD_IA"}`; by default the '
        "bucket's own.",
    )
    retention: dict[str, str] = Field(
        default_factory=dict,
        description="Retention with which objects are put into buckets of S3 that have Object "
        "Lock, as JSON: by what their keys in the archive begin with, such as "
        '`{"renditions/": "GOVERNANCE 90d"}`; `maintain` renews it while a row names the object. '
        "By default the bucket's own.",
    )
    thaw_days: Count = Field(
        default=7,
        description="Days for which S3 keeps what `refold restore --thaw` asks for readable; by "
        "default 7.",
    )
    thaw_tier: Literal["Bulk", "Standard", "Expedited"] = Field(
        default="Standard",
        description="How fast S3 thaws: `Bulk` (cheapest, up to 48 hours), `Standard`, or "
        "`Expedited` (minutes; not from `DEEP_ARCHIVE`); by default `Standard`.",
    )
    seconds_per_image: Share = Field(
        default=900.0,
        description="Seconds that an image may take whatever its size, by default 900. A worker "
        "that takes longer is ended, and the image goes to quarantine.",
    )
    seconds_per_megapixel: Share = Field(
        default=120.0,
        description="Seconds that each megapixel adds to what an image may take; by default 120.",
    )

    metrics_listen: Annotated[str, Field(pattern=r"^(|\S*:[0-9]{1,5})$")] = Field(
        default="",
        description="Address and port, such as `127.0.0.1:9464`, on which a job serves its metrics "
        "to Prometheus; by default none.",
    )
    metrics_folder: Path | None = Field(
        default=None,
        description="Folder in which a job leaves its metrics as `refold-<job>.prom`, for the "
        "textfile collector of Prometheus' node exporter; by default none.",
    )
    traces: bool = Field(
        default=False,
        description="Whether runs send traces to where `OTEL_EXPORTER_OTLP_ENDPOINT` says "
        "(`pip install 'refold[otel]'`); by default false.",
    )

    @field_validator("weights", "metrics_folder", "store_client", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value


_given: ContextVar[Settings | None] = ContextVar("refold_settings", default=None)


def current() -> Settings:
    """The settings of the run that is under way, else those of the environment.

    Raises:
        UsageError: A variable has a value it cannot have.
    """
    return _given.get() or _read(_variables())


def _variables() -> tuple[tuple[str, str], ...]:
    """What the environment says just now, whichever way the names are written."""
    told = os.environ.items()
    return tuple((name, value) for name, value in told if name[: len(PREFIX)].upper() == PREFIX)


@lru_cache(maxsize=8)
def _read(_: tuple[tuple[str, str], ...]) -> Settings:
    """To read them takes a millisecond, and each request to a store asks for some."""
    return of_environment(Settings)


def of_environment(kind: type[Kind]) -> Kind:
    """Settings of a kind, as the environment has them.

    Raises:
        UsageError: A variable has a value it cannot have.
    """
    try:
        return kind()
    except SettingsError as error:  # not JSON where that is meant; its message has no value
        name = next(one for one in kind.model_fields if f'"{one}"' in str(error))
        variable = f"{kind.model_config.get('env_prefix', '')}{name}".upper()
        raise UsageError(f'{variable}: not JSON, such as {{"name": "value"}}') from error
    except ValidationError as error:
        wrong = error.errors()[0]
        prefix = kind.model_config.get("env_prefix", "")
        name = f"{prefix}{'_'.join(map(str, wrong['loc'][:1]))}".upper()
        reason = wrong["msg"].removeprefix("Input ")
        raise UsageError(f"{name}={wrong['input']!r:.80}: the value {reason}") from error


@contextmanager
def using(settings: Settings | None) -> Iterator[None]:
    """Let settings count inside, in place of the environment's; None changes nothing."""
    if settings is None:
        yield
        return
    token = _given.set(settings)
    try:
        yield
    finally:
        _given.reset(token)


def for_workers() -> Mapping[str, str]:
    """The variables that workers of a run need to see what the run was given.

    Empty where nothing was given: every node then has its own environment, as an operator set it.
    """
    given = _given.get()
    if given is None:
        return {}
    usual = Settings().model_dump()
    return {
        f"{PREFIX}{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in given.model_dump().items()
        if value is not None and value != usual[name]
    }
