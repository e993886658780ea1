"""Encoding on CPUs of the cluster that are no worker's.

An encoder such as AVIF's takes longer than a GPU's network does. `REFOLD_ENCODERS` sets CPUs aside
for it, on whatever node they are, and Ray spreads what is to be encoded over them.
"""

from __future__ import annotations

from typing import Any, Final

import ray
from ray.exceptions import RayTaskError, WorkerCrashedError

from rescaling_core import codecs
from rescaling_core.arrays import U8Array
from rescaling_core.codecs import NO_EXTRAS, CodecSpec, FileExtras
from rescaling_core.errors import CodecError

ENCODER_CPUS: Final = 1
"""Of one encoding task."""


def encode_elsewhere(pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS) -> bytes:
    """What `codecs.encode` does, as a Ray task.

    Raises:
        CodecError: As there; or the encoder took its process along, twice.
    """
    try:
        data: bytes = ray.get(_encode.remote(pixels, spec, extras))
    except RayTaskError as error:
        raise error.cause from error
    except WorkerCrashedError as error:
        raise CodecError(f"codec {spec}: the encoder crashed") from error
    return data


def _encode_here(pixels: U8Array, spec: CodecSpec, extras: FileExtras) -> bytes:
    return codecs.encode(pixels, spec, extras=extras)


_encode: Any = ray.remote(num_cpus=ENCODER_CPUS, max_retries=1)(_encode_here)
