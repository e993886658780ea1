"""Checks of AIDN, HCD, and what is no network."""

from __future__ import annotations

from typing import cast

import torch

from rescaling_core.containers.jpeg_standard import CHROMA_TABLE, LUMA_TABLE
from rescaling_core.networks.aidn import AIDN
from rescaling_core.networks.diffjpeg import jpeg, sain_jpeg
from rescaling_core.networks.hcd import HCDOptions, hcd
from rescaling_core.networks.quantise import quantise
from rescaling_core.networks.resampling import resize, resize_to_scale
from rescaling_core.quality import metrics
from rescaling_core.training.losses import aidn_loss
from tests.parity.recorded import Recorded

JPEG = 1e-5
NETWORK = 1e-5


def check_aidn(recorded: Recorded) -> None:
    rescaler = cast("AIDN", recorded.load("aidn"))
    for case, facts in recorded.facts["cases"].items():
        _check_aidn_case(recorded, rescaler, case, float(facts["scale"]))
    if "train" in recorded.facts:
        _check_aidn_training(recorded, rescaler)


def _check_aidn_case(recorded: Recorded, rescaler: AIDN, case: str, scale: float) -> None:
    x = recorded[f"{case}.x"]
    size = (x.shape[-2], x.shape[-1])
    with torch.no_grad():
        lr = rescaler.downscale(x, scale).lr
        recorded.compare(f"{case}.lr", lr, NETWORK)
        recorded.compare_rounded(f"{case}.lr_quant", quantise(lr), lr)
        reference = resize_to_scale(x, scale)
        recorded.compare(f"{case}.lr_ref_bicubic", reference, 5e-6)
        seen = rescaler.simulate_codec(recorded[f"{case}.lr_quant"])
        if f"{case}.lr_jpeg" in recorded:
            recorded.compare(f"{case}.lr_jpeg", seen, JPEG)
            seen = recorded[f"{case}.lr_jpeg"]
        restored = rescaler.upscale(seen, size, scale=scale)
        recorded.compare(f"{case}.x_rec", restored, NETWORK)
        given = rescaler.upscale(recorded[f"{case}.lr_given"], size, scale=scale)
        recorded.compare(f"{case}.x_rec_from_lr_given", given, NETWORK)


def _check_aidn_training(recorded: Recorded, rescaler: AIDN) -> None:
    scale = float(recorded.facts["train"]["scale"])
    x = recorded["train.x"]
    rescaler.train()
    lr = rescaler.downscale(x, scale).lr
    recorded.compare("train.lr", lr, NETWORK)
    quantised = quantise(lr, "soft")
    # The recorded LR image, rounded: a rounding tie must not decide the comparison.
    quantised = quantised + (quantise(recorded["train.lr"]) - quantised).detach()
    seen = rescaler.simulate_codec(quantised)
    restored = rescaler.upscale(seen, (x.shape[-2], x.shape[-1]), scale=scale)
    recorded.compare("train.x_rec", restored, NETWORK)
    reference = recorded["train.lr_ref_bicubic"]
    recorded.compare("train.lr_ref_bicubic", resize_to_scale(x, scale), 5e-6)
    loss = aidn_loss(hr=x, restored=restored, lr=lr, lr_reference=reference)
    recorded.compare_relative("train.loss_total", loss.total, 1e-5)
    recorded.compare_relative("train.loss_hr", loss.terms["restoration"], 1e-5)
    recorded.compare_relative("train.loss_lr", loss.terms["guidance"], 1e-5)
    loss.total.backward()
    recorded.compare_gradients(rescaler, "train.")
    norm = rescaler.get_submodule("down_net.sa_adapt.0.mask.1")
    recorded.compare("train.bn_running_mean_after", norm.get_buffer("running_mean"), NETWORK)
    recorded.compare("train.bn_running_var_after", norm.get_buffer("running_var"), NETWORK)


def check_hcd(recorded: Recorded) -> None:
    rescaler = recorded.load("irn").requires_grad_(requires_grad=False)
    facts, x = recorded.facts["hparams"], recorded["x"]
    scale, size = facts["scale"], (x.shape[-2], x.shape[-1])
    options = HCDOptions(
        radius=facts["epsilon"],
        rate=facts["alpha"],
        hr_steps=facts["iters_HR"],
        lr_steps=facts["iters_LR"],
    )
    # The last latent of each stage is that of its evaluation, which decides nothing.
    latents = iter([*recorded["z_hr"][:-1], *recorded["z_lr"][:-1]])
    rescaler.draw_latent = lambda _shape, _generator: next(latents)  # type: ignore[method-assign]
    stages = iter(("hr", "lr"))

    def start(_shape: torch.Size) -> torch.Tensor:
        stage = next(stages)
        normal = recorded[f"{stage}_init_normal"]
        return normal / normal.norm() * recorded[f"{stage}_init_uniform"] * options.radius

    found = hcd(rescaler, x, scale, generator=torch.Generator(), options=options, start=start)
    # Each step is divided by the norm of a gradient: on processors that add in another order the
    # steps part a little more each time. 8e-6 was seen, where others stay below 1e-6.
    recorded.compare("hr_collab", found.hr, 2e-5)
    recorded.compare("lr_collab", found.lr, 1e-6)
    recorded.compare_rounded("lr_collab_quant", quantise(found.lr), found.lr)
    with torch.no_grad():
        for name, image in (("plain_lr", x), ("lr_before_opt", found.hr)):
            lr = rescaler.downscale(image, scale).lr
            recorded.compare_rounded(name, quantise(lr), lr)
        seen, latent = recorded["lr_collab_quant"], recorded["z_final"]
        restored = rescaler.upscale(seen, size, scale=scale, latent=latent)
    recorded.compare("x_rec", restored, 3e-5)


def check_sain_jpeg(recorded: Recorded) -> None:
    x = recorded["x"].clone().requires_grad_()
    for name in recorded.names:
        kind, _, quality = name.partition(".qf")
        if kind == "diff" and quality.isdigit():
            recorded.compare(name, sain_jpeg(x, int(quality)), JPEG)
        elif kind == "hard":
            recorded.compare(name, sain_jpeg(x, int(quality), rounding="exact"), JPEG)
    torch.sum(sain_jpeg(x, 75) * recorded["grad_probe"]).backward()
    assert x.grad is not None
    recorded.compare_relative("diff.qf75.grad_x", x.grad, 1e-3)


def check_aidn_jpeg(recorded: Recorded) -> None:
    tables = (torch.tensor(LUMA_TABLE).float().T, torch.tensor(CHROMA_TABLE).float().T)
    for name in recorded.names:
        case, _, quality = name.partition(".qf")
        if quality.isdigit():
            x = recorded[f"{case}.x"]
            out = jpeg(x, int(quality), tables=tables, rounding="exact")
            recorded.compare(name, out, JPEG)
    x = recorded["odd.x"].clone().requires_grad_()
    out = jpeg(x, 90, tables=tables, rounding="exact")
    torch.sum(out * recorded["odd.grad_probe"]).backward()
    assert x.grad is not None
    recorded.compare_relative("odd.qf90.grad_x", x.grad, 1e-3)


def check_quantiser(recorded: Recorded) -> None:
    for name, kind in (("ste", "straight-through"), ("soft", "soft")):
        v = recorded["v"].clone().requires_grad_()
        out = quantise(v, kind)  # type: ignore[arg-type]
        out.backward(recorded["grad_probe"])
        assert v.grad is not None
        recorded.compare(f"{name}.out", out, 1e-7)
        recorded.compare(f"{name}.grad", v.grad, 1e-6)


def check_bicubic(recorded: Recorded) -> None:
    for name in recorded.names:
        image, _, operation = name.partition(".")
        x = recorded[f"{image}.x"]
        _, _, size = operation.partition(".")
        if size.startswith("down"):
            out = resize_to_scale(x, float(size.removeprefix("down")))
        elif size.startswith("up"):
            out = resize_to_scale(x[..., :24, :20], 1 / float(size.removeprefix("up")))
        elif size.startswith("sizes"):
            height, _, width = size.removeprefix("sizes").partition("x")
            out = resize(x, (int(height), int(width)))
        else:
            continue
        recorded.compare(name, out, 5e-6)


def check_metrics(recorded: Recorded) -> None:
    names = ("psnr", "psnr_y", "ssim", "ssim_y")
    for facts in recorded.facts["values"]:
        reference = recorded["gt_u8"][facts["pair"]].numpy()
        border = facts["crop"]
        if facts["protocol"] == "irn_u8":
            restored = recorded["sr_u8"][facts["pair"]].numpy()
            values = {
                name: getattr(metrics, name)(restored, reference, border=border) for name in names
            }
        else:
            unrounded = recorded["sr_float"][facts["pair"]].numpy()
            quality = metrics.measure_unrounded(unrounded, reference, border=border)
            values = {name: getattr(quality, name) for name in names}
        for name, value in values.items():
            label = f"{facts['protocol']}.{name}"
            recorded.compare_number(label, value, facts[name], 1e-6)
