"""Downscaling and restoring, network only: every way to run it against the plain one.

    python -m benchmarks.rescale [--device cpu|cuda] [--rescaler ID]... [--size N]... [--json FILE]

The baseline is the network as published: float32, eager, one image at a time. Ratios are of
downscaling plus restoring, for each megapixel, within one run; `differs` is the largest difference
of LR and restored samples (range 0–1) from float32 without TF32; `dB` is what the variant changes
in the PSNR of the restored image, its own LR image rounded to 8 bits in between. MACs are the
baseline's, so skipped work shows as speed. `irn-x2` is IRN in the paper's size; unless such weights
are bundled, it is run with random ones.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.measure import best_of, machine, peak_flops
from benchmarks.variants import Variant, make_passes, variants
from rescaling_core import zoo
from rescaling_core.errors import RefoldError
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.quantise import quantise
from rescaling_core.zoo.card import count_macs

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_RESCALERS = ("irn-x2", "irn-x2-lite")
DEFAULT_SIZES = {"cpu": (512,), "cuda": (1024,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant, or why there is none."""

    rescaler: str
    size: int
    variant: str
    error: str | None = None
    down_ms: float = math.nan
    """For one image, likewise below."""
    up_ms: float = math.nan
    ratio: float = math.nan
    """Against the baseline of the same rescaler and size."""
    ratio_to_first: float = math.nan
    """Against the baseline of the first rescaler, at the same size."""
    gflops: float = math.nan
    """10⁹ floating-point operations a second; a multiply-accumulate is two."""
    peak_share: float = math.nan
    lr_differs: float = math.nan
    hr_differs: float = math.nan
    psnr_change_db: float = math.nan
    peak_mib: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the variants are compared with."""

    hr: Tensor
    lr: Tensor
    restored: Tensor
    psnr: float
    macs: tuple[float, float]
    """Of downscaling and of restoring one image."""


def main() -> None:
    """Measure, print, and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rescale", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--rescaler", action="append", help="an id of the zoo, or irn-x2")
    parser.add_argument("--size", type=int, action="append", help="HR pixels on a side")
    parser.add_argument("--only", action="append", help="variants whose names contain this")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count CPU seconds; implies --threads 1"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=math.inf,
        help="seconds after which no further variant of a size is begun",
    )
    parser.add_argument("--json", type=Path, help="save the figures here")
    given = parser.parse_args()
    if given.threads or given.cpu_time:
        torch.set_num_threads(1 if given.cpu_time else given.threads)
    device = torch.device(given.device)
    torch.backends.cudnn.benchmark = True  # for the baseline too
    console = Console(width=160)
    report: dict[str, Any] = {"machine": machine(device), "cpu_time": given.cpu_time, "rows": []}
    first: dict[int, float] = {}
    started = time.monotonic()
    for name in given.rescaler or DEFAULT_RESCALERS:
        rescaler, what = load(name)
        for size in given.size or DEFAULT_SIZES[given.device]:
            rows: list[Row] = []
            for row in compare(
                name, rescaler.to(device), size, given.only or [""], first, given.cpu_time
            ):
                rows.append(row)
                report["rows"].append(asdict(row))
                if given.json:  # after each, so that an interruption loses little
                    given.json.write_text(json.dumps(report, indent=1), "utf-8")
                console.print(f"{row.variant}: {row.error or f'{row.ratio:.2f}x'}")
                if time.monotonic() - started > given.budget:
                    break
            console.print(_table(rows, f"{what}, {size}x{size} on {device.type}"))
    console.print(report["machine"])


def load(name: str) -> tuple[BijectiveRescaler, str]:
    """A rescaler of the zoo; or IRN x2 in the paper's size with random weights."""
    try:
        rescaler, what = zoo.load(name).rescaler, name
    except RefoldError:
        if name != "irn-x2":
            raise
        config = {"scale": 2, "blocks": [8], "growth": 32}
        rescaler, what = build("irn", config, LatentPolicy("zeros")).eval(), f"{name} (random)"
        generator = torch.Generator().manual_seed(0)
        for parameter in rescaler.parameters():
            parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator)
    if not isinstance(rescaler, BijectiveRescaler):
        raise TypeError(f"{name}: only networks that are bijections are compared here")
    return rescaler.requires_grad_(requires_grad=False), what


def compare(
    name: str,
    rescaler: BijectiveRescaler,
    size: int,
    only: list[str],
    first: dict[int, float],
    cpu_time: bool,
) -> Iterator[Row]:
    """Run every variant at one size; `first` remembers the first rescaler's baseline."""
    device = next(rescaler.parameters()).device
    reference = _reference(rescaler, synthetic_photo(size).to(device))
    baseline, *others = variants(device)
    chosen = [one for one in others if any(part in one.name for part in only)]
    base = math.nan
    for variant in (baseline, *chosen):
        try:
            row, seconds = _measure(name, variant, rescaler, reference, cpu_time)
        except Exception as error:  # noqa: BLE001 - whatever one variant lacks, the others are measured
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            yield Row(rescaler=name, size=size, variant=variant.name, error=reason)
            continue
        finally:
            torch.compiler.reset()
            if device.type == "cuda":
                torch.cuda.empty_cache()
        if variant is baseline:
            base = seconds
            first.setdefault(size, seconds)
        ratios = {"ratio": base / seconds, "ratio_to_first": first[size] / seconds}
        yield replace(row, **ratios)


def _measure(
    name: str,
    variant: Variant,
    rescaler: BijectiveRescaler,
    reference: Reference,
    cpu_time: bool,
) -> tuple[Row, float]:
    """A row without ratios, and the seconds of both directions for one image."""
    hr = reference.hr.expand(variant.batch, -1, -1, -1).contiguous()
    stored = quantise(reference.lr).expand(variant.batch, -1, -1, -1).contiguous()
    with torch.inference_mode(), _tf32(variant.tf32):
        down, up = make_passes(variant, rescaler, hr, stored)
        lr, restored = down(hr)[-1:].clone(), up(stored)[-1:].clone()
        own = quantise(lr).expand(variant.batch, -1, -1, -1).contiguous()
        psnr = _psnr(up(own)[-1:], reference.hr)
        timed = [
            best_of(action, hr.device, cpu_time=cpu_time)
            for action in (lambda: down(hr), lambda: up(stored))
        ]
    seconds = [one.seconds / variant.batch for one in timed]
    flops = 2 * sum(reference.macs) / sum(seconds)
    tf32 = variant.tf32 and variant.dtype == torch.float32
    row = Row(
        rescaler=name,
        size=hr.shape[-1],
        variant=variant.name,
        down_ms=seconds[0] * 1e3,
        up_ms=seconds[1] * 1e3,
        gflops=flops / 1e9,
        peak_share=flops / _peak(hr.device, variant.dtype, tf32, cpu_time),
        lr_differs=_largest(lr, reference.lr),
        hr_differs=_largest(restored, reference.restored),
        psnr_change_db=psnr - reference.psnr,
        peak_mib=max(one.peak_bytes for one in timed) / 2**20,
    )
    return row, sum(seconds)


def _reference(rescaler: BijectiveRescaler, hr: Tensor) -> Reference:
    """What plain float32 gives, without TF32."""
    h, w = hr.shape[-2:]
    latent = torch.zeros(1, rescaler.latent_channels, h // rescaler.scale, w // rescaler.scale)
    with torch.inference_mode(), _tf32(allowed=False):
        lr = rescaler.downscale(hr, rescaler.scale).lr
        restored = rescaler.upscale(quantise(lr), (h, w), scale=rescaler.scale, latent=latent)
    macs = count_macs(rescaler)
    return Reference(
        hr=hr,
        lr=lr,
        restored=restored,
        psnr=_psnr(restored, hr),
        macs=(macs[0] * h * w, macs[1] * h * w),
    )


def synthetic_photo(size: int) -> Tensor:
    """(1, 3, S, S) on the 8-bit grid: noise whose spectrum falls off as that of photographs."""
    random = np.random.default_rng(0)
    frequencies = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    fall = 1 / np.maximum(frequencies, 1 / size) ** 1.2
    grey, *colour = (np.fft.irfft2(np.fft.rfft2(random.normal(size=(size, size))) * fall)
                     for _ in range(4))  # fmt: skip
    planes = np.stack([grey + 0.3 * plane for plane in colour])
    planes = 0.5 + 0.18 * (planes - planes.mean()) / planes.std()
    return quantise(torch.from_numpy(planes)[None].float())


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether cuDNN's convolutions may round to TF32; torch's default says yes."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@cache
def _peak(device: torch.device, dtype: torch.dtype, tf32: bool, cpu_time: bool) -> float:
    return peak_flops(device, dtype, tf32=tf32, cpu_time=cpu_time)


def _largest(a: Tensor, b: Tensor) -> float:
    return (a.float() - b).abs().max().item()


def _psnr(restored: Tensor, hr: Tensor) -> float:
    """Of all RGB samples, the restored ones rounded to 8 bits."""
    return -10 * math.log10((quantise(restored.float()) - hr).double().square().mean().item())


def _table(rows: list[Row], title: str) -> Table:
    table = Table(title=title)
    columns = ("variant", "down ms", "up ms", "ratio", "to 1st", "GFLOP/s", "of peak", "LR differs",
               "HR differs", "dB", "MiB")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="left" if column == "variant" else "right")
    for row in rows:
        if row.error:
            table.add_row(row.variant, row.error)
            continue
        table.add_row(
            row.variant,
            f"{row.down_ms:.2f}",
            f"{row.up_ms:.2f}",
            f"{row.ratio:.2f}",
            f"{row.ratio_to_first:.2f}",
            f"{row.gflops:.0f}",
            f"{row.peak_share:.1%}",
            f"{row.lr_differs:.1e}",
            f"{row.hr_differs:.1e}",
            f"{row.psnr_change_db:+.4f}",
            f"{row.peak_mib:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
