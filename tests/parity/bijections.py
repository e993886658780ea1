"""Checks of IRN, its relatives, SAIN and T-IRN."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.diffjpeg import sain_jpeg
from rescaling_core.networks.irn_crm import IRNCRM, deduce_crm
from rescaling_core.networks.latent import LatentPolicy, seeded_generator
from rescaling_core.networks.quantise import quantise
from rescaling_core.networks.resampling import resize_to_scale
from rescaling_core.networks.sain import SAIN
from rescaling_core.networks.tirn import TIRN
from rescaling_core.training.losses import irn_loss, sain_loss
from tests.parity.jacobian import log_determinant
from tests.parity.recorded import Recorded

FORWARD = 1e-5
"""Of LR images and latents."""
INVERSE = 3e-5
"""Of restorations, whose values reach ±50."""
LOSS = 1e-5
"""Relative."""


def check_irn(recorded: Recorded) -> None:
    _check_chain(recorded, cast("BijectiveRescaler", recorded.load("irn")))


def check_firn(recorded: Recorded) -> None:
    _check_chain(recorded, cast("BijectiveRescaler", recorded.load("firn")))


def _check_chain(recorded: Recorded, rescaler: BijectiveRescaler) -> None:
    x, scale = recorded["x"], rescaler.scale
    size = (x.shape[-2], x.shape[-1])
    down = rescaler.downscale(x, scale)
    assert down.latent is not None
    recorded.compare("lr", down.lr, FORWARD)
    recorded.compare("z", down.latent, FORWARD)
    recorded.compare_rounded("lr_quant", quantise(down.lr), down.lr)
    lr, z = recorded["lr_quant"], recorded["z"]
    latents = {"z0": torch.zeros_like(z), "truez": z, "randz": recorded["z_rand"]}
    with torch.no_grad():
        for name, latent in latents.items():
            restored = rescaler.upscale(lr, size, scale=scale, latent=latent)
            recorded.compare(f"x_rec_{name}", restored, INVERSE)
        exact = rescaler.upscale(recorded["lr"], size, scale=scale, latent=z)
        recorded.compare("x_rec_exact", exact, INVERSE)
    if "lr_ref" in recorded:
        recorded.compare("lr_ref", resize_to_scale(x, scale), 5e-6)
    if "jac_fwd" in recorded:
        y = torch.cat((lr, recorded["z_rand"]), dim=1)
        ways = {
            "jac_fwd": (lambda: rescaler.encode(x), 1),
            "jac_rev_randz": (lambda: rescaler.decode(y), -1),
        }
        for name, (run, sign) in ways.items():
            value = log_determinant(rescaler, run, len(x), size, sign)
            recorded.compare_relative(name, value, LOSS)
    if "loss_total" in recorded:
        _check_irn_training(recorded, rescaler, down.lr, down.latent)


def _check_irn_training(
    recorded: Recorded, rescaler: BijectiveRescaler, lr: Tensor, latent: Tensor
) -> None:
    x, scale = recorded["x"], rescaler.scale
    seen = _with_value(quantise(lr), recorded["lr_quant"])
    size = (x.shape[-2], x.shape[-1])
    restored = rescaler.upscale(seen, size, scale=scale, latent=recorded["z_rand"])
    loss = irn_loss(
        hr=x,
        restored=restored,
        lr=lr,
        lr_reference=recorded["lr_ref"],
        latent=latent,
        scale=scale,
    )
    recorded.compare_relative("loss_total", loss.total, LOSS)
    for name, term in (
        ("forw_fit", "guidance"),
        ("forw_ce", "latent"),
        ("back_rec", "restoration"),
    ):
        recorded.compare_relative(f"loss_{name}", loss.terms[term], LOSS)
    loss.total.backward()
    recorded.compare_gradients(rescaler)


def check_irn_color(recorded: Recorded) -> None:
    rescaler = recorded.load("irn-color")
    x = recorded["x"]
    size = (x.shape[-2], x.shape[-1])
    with torch.no_grad():
        down = rescaler.downscale(x, 1)
        recorded.compare("grey", down.lr, FORWARD)
        recorded.compare_rounded("grey_quant", quantise(down.lr), down.lr)
        assert down.latent is not None
        recorded.compare("z", down.latent, FORWARD)
        for name, lr, z in (
            ("z0", "grey_quant", torch.zeros_like(recorded["z"])),
            ("truez", "grey_quant", recorded["z"]),
            ("exact", "grey", recorded["z"]),
        ):
            restored = rescaler.upscale(recorded[lr], size, scale=1, latent=z)
            recorded.compare(f"x_rec_{name}", restored, INVERSE)


def check_irn_crm(recorded: Recorded) -> None:
    """The CRM's file alone: it is loaded into a network with an untrained IRN beside it."""
    config = deduce_crm(recorded.weights)
    network = IRNCRM(scale=2, blocks=(1,), latent_policy=LatentPolicy("gaussian"), **config)
    own = {key for key in network.state_dict() if not key.startswith("operations.")}
    assert own == set(recorded.weights)
    network.load_state_dict(recorded.weights, strict=False)
    with torch.no_grad():
        out = network.restore_lr(recorded["x"])
    recorded.compare("out", out, FORWARD)
    recorded.compare_rounded("out_quant", quantise(out), out)


def check_tirn(recorded: Recorded) -> None:
    rescaler = cast("TIRN", recorded.load("t-irn"))
    x, scale = recorded["x"], rescaler.scale
    size = (x.shape[-2], x.shape[-1])
    with torch.no_grad():
        down = rescaler.downscale(x, scale)
        assert down.latent is not None
        recorded.compare("lr", down.lr.clamp(0, 1), FORWARD)
        recorded.compare_rounded("lr_quant", quantise(down.lr), down.lr)
        # The official forward pass ends as [Cb, Cr | z | Y].
        luma = down.lr.new_tensor([0.299, 0.587, 0.114])[:, None, None]
        y = (down.lr * luma).sum(dim=1, keepdim=True)
        cb = (down.lr[:, 2:] - y) / 1.772 + 0.5
        cr = (down.lr[:, :1] - y) / 1.402 + 0.5
        recorded.compare("out", torch.cat((cb, cr, down.latent, y), dim=1), FORWARD)
        zeros = torch.zeros_like(down.latent)
        restored = rescaler.upscale(recorded["lr_quant"], size, scale=scale, latent=zeros)
    recorded.compare("x_rec_z0", restored, INVERSE)
    recorded.compare("aux_rev", restored, INVERSE)


def check_sain(recorded: Recorded) -> None:
    rescaler = cast("SAIN", recorded.load("sain"))
    x, scale = recorded["x"], rescaler.scale
    down = rescaler.downscale(x, scale)
    assert down.latent is not None
    assert down.lr_compressed is not None
    recorded.compare("lr_hq", down.lr, FORWARD)
    recorded.compare("lr_comp", down.lr_compressed, FORWARD)
    recorded.compare("z", down.latent, FORWARD)
    recorded.compare_rounded("lr_hq_quant", quantise(down.lr), down.lr)
    simulated = sain_jpeg(recorded["lr_hq_quant"], 75)
    recorded.compare("lr_diffjpeg75", simulated, 1e-5)
    size = (x.shape[-2], x.shape[-1])
    forward = log_determinant(rescaler, lambda: rescaler.encode(x), len(x), size, 1)
    recorded.compare_relative("jac_fwd", forward, LOSS)
    _check_mixture(recorded, rescaler)
    z, none = recorded["z"], torch.zeros_like(recorded["z"])
    with torch.no_grad():
        for name, lr, latent in (
            ("exact", "lr_comp", z),
            ("z0", "lr_hq_quant", none),
            ("truez", "lr_hq_quant", z),
            ("gmm", "lr_diffjpeg75", recorded["z_gmm"]),
            ("realjpeg", "lr_hq_quant_realjpeg75", recorded["z_gmm"]),
        ):
            if f"x_rec_{name}" not in recorded:
                continue
            hr, q = rescaler.decode_with_lr(torch.cat((recorded[lr], latent), dim=1))
            recorded.compare(f"x_rec_{name}", hr, INVERSE)
            if f"lr_hq_recon_{name}" in recorded:
                recorded.compare(f"lr_hq_recon_{name}", q, INVERSE)
    _check_sain_training(recorded, rescaler, down.lr, down.lr_compressed)


def _check_mixture(recorded: Recorded, rescaler: SAIN) -> None:
    with torch.no_grad():
        z = rescaler.gmm.select(recorded["gmm_gumbel_exponential"], recorded["gmm_eps"])
        recorded.compare("z_gmm", z, 1e-6)
        generator = seeded_generator(recorded.facts["gmm_sample_seed"])
        drawn = rescaler.draw_latent(tuple(recorded["z_gmm"].shape), generator)
        recorded.compare("z_gmm", drawn, 1e-6)


def _check_sain_training(
    recorded: Recorded, rescaler: SAIN, lr: Tensor, lr_compressed: Tensor
) -> None:
    x, scale = recorded["x"], rescaler.scale
    quantised = _with_value(quantise(lr), recorded["lr_hq_quant"])
    simulated = _with_value(sain_jpeg(quantised, 75), recorded["lr_diffjpeg75"])
    # Recorded with the draw as a constant: no gradient reaches the mixture.
    latent = recorded["z_gmm"]
    restored, lr_restored = rescaler.decode_with_lr(torch.cat((simulated, latent), dim=1))
    loss = sain_loss(
        hr=x,
        restored=restored,
        lr=lr,
        lr_quantised=quantised,
        lr_restored=lr_restored,
        lr_compressed=lr_compressed,
        lr_reference=recorded["lr_ref"],
        lr_reference_decoded=recorded["lr_ref_realjpeg75"],
        lr_decoded=recorded["lr_hq_quant_realjpeg75"],
        scale=scale,
    )
    recorded.compare_relative("loss_total", loss.total, LOSS)
    for name, term in (
        ("fit1", "guidance"),
        ("fit2", "compressed guidance"),
        ("reg", "lr restoration"),
        ("rel", "compression"),
        ("back", "restoration"),
    ):
        recorded.compare_relative(f"loss_{name}", loss.terms[term], LOSS)
    loss.total.backward()
    recorded.compare_gradients(rescaler)


def _with_value(ours: Tensor, recorded: Tensor) -> Tensor:
    """The recorded value with our gradient: a rounding tie must not decide a comparison."""
    return ours + (recorded - ours).detach()
