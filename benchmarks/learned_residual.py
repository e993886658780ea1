"""A learnt coder for what layered files miss, against AVIF 4:0:0 over the very same bases.

    python -m benchmarks.learned_residual train PHOTOGRAPHS --work FOLDER --minutes 35
    python -m benchmarks.learned_residual measure KODAK --every 4 --weights FOLDER/*.pt
    python -m benchmarks.learned_residual overfit KODAK --only kodim05 kodim20

Bases are those of the preset `viewable`: a small AVIF 4:4:4 of quality 20, enlarged by
`layered-avif-lite`. `train` trains `residual_codec` on one core for some minutes of the clock and
keeps weights on the way; `measure` compares bytes at equal PSNR-Y with AVIF, with and without
AVIF's container, before and behind the final filter; `overfit` fits a small codec to each picture,
see `residual_overfit`. Rates are cross entropies: a range coder takes a little more.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from benchmarks import residual_overfit
from benchmarks.residual_codec import ResidualCodec, macs_a_pixel
from benchmarks.residual_layers import (
    LAYERED,
    LR_QUALITY,
    Layers,
    Point,
    avif_points,
    curve,
    layers_of,
    table,
)
from benchmarks.restorers import bytes_at, pictures_of
from rescaling_core.networks.restorer import TO_YCBCR
from rescaling_core.quality import metrics
from rescaling_core.zoo import restorers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U8Array

STEPS: Final = (12.0, 16.0, 20.0, 26.0, 33.0, 42.0, 52.0)
SUFFIXES: Final = (".jpg", ".png", ".webp")
PRICE: Final = 0.15
"""Squared steps that a bit is worth."""
HELD_OUT: Final = 20
"""Every picture of this number is not trained on."""
BATCH: Final = 8
PATCH: Final = 128
DECAY: Final = 0.995
"""Of the mean of weights, which is what is measured."""
RATES: Final = (2e-3, 3e-4)
"""Learning rates of the probabilities, and of the filter, which is trained already."""


def new_codec() -> ResidualCodec:
    """Untrained probabilities, and the final filter that ships."""
    final = restorers.load(LAYERED).final
    assert final is not None
    return ResidualCodec(copy.deepcopy(final.network).requires_grad_(True), LR_QUALITY)


def luma_of(rgb: Tensor) -> Tensor:
    """(B, 3, H, W) → (B, 1, H, W), in the same units."""
    weights = torch.tensor(TO_YCBCR[0])
    return (rgb * weights[:, None, None]).sum(1, keepdim=True)


def as_planes(pixels: U8Array) -> Tensor:
    """(H, W, 3) → (1, 3, H, W) in [0, 1]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def losses(
    codec: ResidualCodec, base: Tensor, original: Tensor, step: Tensor
) -> tuple[Tensor, Tensor]:
    """Bits a pixel, and the squared error of luma behind the filter over that before it."""
    enlarged = 255 * luma_of(base)
    coded = codec.code(enlarged, 255 * luma_of(original) - enlarged, step, PRICE)
    rate = coded.bits.sum() / enlarged.numel()
    half = slice(0, (len(step) + 1) // 2)  # the filter costs as much as all else
    wanted = original[half]
    error = luma_of(codec.restored(base[half], coded.levels[half], step[half]) - wanted)
    with torch.no_grad():
        scale = (255 / step[half]).square()[:, None, None, None]
    return rate, (error.square() * scale).mean()


def draw(
    pictures: Sequence[Layers], batch: int, patch: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Enlarged and original patches in [0, 1], and steps."""
    base, original = [], []
    for _ in range(batch):
        one = pictures[int(generator.integers(len(pictures)))]
        top, left = (
            2 * int(generator.integers((side - patch) // 2 + 1)) for side in one.original.shape[:2]
        )
        place = slice(top, top + patch), slice(left, left + patch)
        base.append(as_planes(one.enlarged[place]))
        original.append(as_planes(one.original[place]))
    steps = np.exp(generator.uniform(np.log(10), np.log(56), batch))
    return torch.cat(base), torch.cat(original), torch.from_numpy(steps).float()


def coded_points(
    codec: ResidualCodec, one: Layers, steps: Sequence[float] = STEPS, price: float = PRICE
) -> list[Point]:
    """One picture at several steps, levels decided for good, pixels rounded to 8 bits."""
    base, original = as_planes(one.enlarged), as_planes(one.original)
    enlarged = 255 * luma_of(base)
    points = []
    with torch.inference_mode():
        for value in steps:
            step = torch.tensor([value])
            coded = codec.code(enlarged, 255 * luma_of(original) - enlarged, step, price)
            shown = (codec.sum_of, codec.restored)
            before, behind = (
                metrics.psnr_y(_pixels(show(base, coded.levels, step)), one.original)
                for show in shown
            )
            points.append(
                Point(one.name, float(coded.bits.sum()) / 8, 0, before, behind, one.lr_bytes)
            )
    return points


def _pixels(planes: Tensor) -> U8Array:
    pixels = (planes[0] * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())


def train(
    pictures: Sequence[Layers], held_out: Sequence[Layers], work: Path, minutes: Sequence[float]
) -> None:
    """Train until the last of the minutes, and keep and measure the mean weights at each."""
    torch.manual_seed(1)
    generator = np.random.default_rng(1)
    codec = new_codec()
    mean = copy.deepcopy(codec).requires_grad_(False)
    parts = codec.probabilities, codec.final
    descent = torch.optim.Adam(
        [{"params": list(one.parameters()), "lr": r} for one, r in zip(parts, RATES, strict=True)],
        betas=(0.9, 0.98),
    )
    theirs = [point for one in held_out for point in avif_points(one)]
    begun, worked, done, left = time.monotonic(), time.process_time(), 0, sorted(minutes)
    last = left[-1]
    while left:
        share = (time.monotonic() - begun) / 60 / last
        slower = min(1, (done + 1) / 50) * max(0.01, float(np.cos(min(1, share) * np.pi / 2)))
        for group, highest in zip(descent.param_groups, RATES, strict=True):
            group["lr"] = highest * slower
        rate, error = losses(codec, *draw(pictures, BATCH, PATCH, generator))
        descent.zero_grad()
        (rate + error).backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        descent.step()
        done += 1
        decay = min(DECAY, done / (done + 10))
        for slow, fast in zip(mean.parameters(), codec.parameters(), strict=True):
            slow.lerp_(fast.detach(), 1 - decay)
        if done % 200 == 0:
            print(f"step {done}: {rate.item():.4f} bits a pixel, {error.item():.4f}", flush=True)
        if time.monotonic() - begun >= 60 * left[0]:
            minute = left.pop(0)
            cpu = time.process_time() - worked
            torch.save(mean.state_dict(), work / f"{minute:g}.pt")
            ours = [point for one in held_out for point in coded_points(mean, one, STEPS[1:-1])]
            head = f"{minute:g} minutes, step {done}, CPU {cpu:.0f} s"
            print(f"\n{head}\n\n{table(ours, theirs)}\n", flush=True)


def measure(
    pictures: Sequence[Layers], weights: Sequence[Path], prices: Sequence[float], out: Path | None
) -> None:
    """Print a table against AVIF for each file of weights and price of a bit."""
    theirs = [point for one in pictures for point in avif_points(one)]
    records = [{"coder": "avif", **asdict(point)} for point in theirs]
    for path in weights:
        codec = new_codec()
        codec.load_state_dict(torch.load(path, weights_only=True))
        for price in prices:
            ours = [point for one in pictures for point in coded_points(codec, one, STEPS, price)]
            print(f"\n{path.stem}, a bit is worth {price:g}\n\n{table(ours, theirs)}", flush=True)
            records += [{"coder": f"{path.stem} {price:g}", **asdict(point)} for point in ours]
    if out is not None:
        out.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    parts = macs_a_pixel(new_codec())
    print("\nkMAC a pixel: " + ", ".join(f"{name} {count:.1f}" for name, count in parts.items()))


def overfit(
    pictures: Sequence[Layers], side: int, iterations: int, prices: Sequence[float]
) -> None:
    """Fit codecs to the middle of each picture, and print them beside AVIF at equal PSNR-Y."""
    reports = [iterations >> shift for shift in range(4, -1, -1)]
    columns = "picture | price | iteration | CPU s | PSNR-Y | latents, B | weights, B"
    print(f"| {columns} | AVIF's payload | with filter |\n|{' --- |' * 9}")
    for whole in pictures:
        one = middle_of(whole, side)
        theirs = avif_points(one)
        base, original = as_planes(one.enlarged), as_planes(one.original)
        enlarged = 255 * luma_of(base)
        missing = 255 * luma_of(original) - enlarged
        for price in prices:
            for found in residual_overfit.fit(enlarged, missing, price, iterations, reports):
                shown = _pixels((base + found.added / 255).clamp(0, 1))
                reached = metrics.psnr_y(shown, one.original)
                cells = [one.name, f"{price:g}", str(found.iteration), f"{found.seconds:.0f}"]
                cells += [f"{reached:.2f}", f"{found.latent_bits / 8:.0f}"]
                cells.append(f"{found.weight_bits / 8:.0f}")
                for filtered in (False, True):
                    known = curve(theirs, one.name, filtered=filtered, counted="payload")
                    rival = bytes_at(known, reached)
                    cells.append(f"{rival:.0f}" if rival else "out of range")
                print(f"| {' | '.join(cells)} |", flush=True)


def middle_of(whole: Layers, side: int) -> Layers:
    """A square out of the middle."""
    top, left = ((length - side) // 16 * 8 for length in whole.original.shape[:2])
    place = slice(top, top + side), slice(left, left + side)
    return Layers(whole.name, whole.original[place], whole.enlarged[place], whole.lr_bytes)


def main() -> None:
    """Train, measure, or fit to pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("train", "measure", "overfit"))
    parser.add_argument("pictures", type=Path, help="a folder")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--only", nargs="+", help="names of pictures, without what follows the dot")
    parser.add_argument("--work", type=Path, help="where enlarged pictures and weights are kept")
    parser.add_argument("--minutes", nargs="+", type=float, default=[30.0], help="when to measure")
    parser.add_argument("--weights", nargs="+", type=Path, default=[])
    parser.add_argument("--prices", nargs="+", type=float, help="squared steps, or levels, a bit")
    parser.add_argument("--side", type=int, default=256, help="of what is fitted to")
    parser.add_argument("--iterations", type=int, default=1600)
    parser.add_argument("--out", type=Path, help="points as JSON lines")
    given = parser.parse_args()
    torch.set_num_threads(1)
    paths = [one for one in pictures_of(given.pictures) if one.suffix in SUFFIXES][:: given.every]
    if given.only:
        paths = [one for one in paths if one.stem in given.only]
    pictures = [layers_of(path, given.work) for path in paths]
    if given.what == "train":
        if given.work is None:
            parser.error("train needs --work")
        trained = [one for place, one in enumerate(pictures) if place % HELD_OUT]
        train(trained, pictures[::HELD_OUT], given.work, given.minutes)
    elif given.what == "measure":
        measure(pictures, given.weights, given.prices or [PRICE], given.out)
    else:
        overfit(pictures, given.side, given.iterations, given.prices or [100.0])


if __name__ == "__main__":
    main()
