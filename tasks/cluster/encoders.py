"""Encoding on CPUs of the cluster that belong to no worker.

An encoder such as AVIF's takes longer than a GPU's network does. `REFOLD_ENCODERS` sets CPUs aside
for it, on whatever node they are, and Ray spreads what is to be encoded over them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rescaling_core import codecs
from rescaling_core.codecs import NO_EXTRAS, CodecSpec, FileExtras
from rescaling_core.errors import RefoldError
from rescaling_core.pixels.arrays import U8Array


class EncoderDiedError(RefoldError):
    """An encoder took its process along, or its node died, more than once.

    No `CodecError`: another codec must not win because a machine failed.
    """


@dataclass(frozen=True, slots=True)
class Encoders:
    """CPUs that are held for encoding; what workers are given to encode with."""

    group: PlacementGroup

    def __call__(
        self, pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS
    ) -> bytes:
        """What `codecs.encode` does, on one of them.

        Raises:
            CodecError: As there.
            EncoderDiedError: The encoder crashed, and crashed again.
        """
        there = PlacementGroupSchedulingStrategy(self.group)
        encode = _encode.options(scheduling_strategy=there)
        try:
            data: bytes = ray.get(encode.remote(pixels, spec, extras))
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            reason = f"codec {spec}: {type(error).__name__} while encoding"
            raise EncoderDiedError(reason) from error
        return data


@contextmanager
def encoders_of(cpus: int) -> Iterator[Encoders | None]:
    """Hold CPUs for encoding before workers take them; none if `cpus` is 0."""
    if not cpus:
        yield None
        return
    group = placement_group([{"CPU": 1}] * cpus, strategy="SPREAD")
    try:
        ray.get(group.ready())
        yield Encoders(group)
    finally:
        remove_placement_group(group)


def _encode_here(pixels: U8Array, spec: CodecSpec, extras: FileExtras) -> bytes:
    return codecs.encode(pixels, spec, extras=extras)


_encode: Any = ray.remote(num_cpus=1, max_retries=1)(_encode_here)
