"""`refold models`: what rescalers there are, and how others are brought in."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flows.cli.console import Json, Verbose, out, print_json, print_table
from flows.cli.examples import examples_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.zoo import ModelCard
    from rescaling_core.zoo.restorer_card import RestorerCard

models_app = typer.Typer(
    help="List, show, import and download rescalers and restorers.", no_args_is_help=True
)


@models_app.command("list", epilog=examples_of("models list"))
def list_models(json: Json = False, verbose: Verbose = False) -> None:
    """List the rescalers and restorers that ship with Refold, and those brought in."""
    from rescaling_core import zoo
    from rescaling_core.zoo import restorers
    from tasks.models.weights import installed_models

    cards: list[ModelCard | RestorerCard] = [*zoo.list_models(), *restorers.list_restorers()]
    cards += installed_models()
    if json:
        print_json([_record(card) for card in cards])
        return
    table = Table(box=None, pad_edge=False)
    for name in ("id", "for"):
        table.add_column(name, no_wrap=True)
    for name in ("parameters", "MACs/pixel", "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("trained", "licence"):
        table.add_column(name, no_wrap=True)
    for card in cards:
        if isinstance(card, restorers.RestorerCard):
            lowest, highest = card.coding.qualities
            use, macs = f"{card.coding.codec} at {lowest} to {highest}", card.macs_per_pixel
            measured, count = _gain(card), card.parameters
            if card.final is not None:
                use = f"{use}, x2, layered"
                macs, count = macs + card.final.macs_per_pixel, count + card.final.parameters
        else:
            use, macs = f"{card.scales}, {card.family}", card.macs_per_hr_pixel
            measured, count = _set5(card), card.parameters
        numbers = (_count(count), _count(macs), measured)
        table.add_row(card.id, use, *numbers, _trained(card.training), card.licence)
    print_table(table)


@models_app.command("show", epilog=examples_of("models show"))
def show(
    model: Annotated[str, typer.Argument(help="Id, path of a weights file, or URL#sha256=….")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Show the model card of one rescaler or restorer."""
    from rescaling_core.zoo import restorers
    from tasks.models.weights import load_rescaler

    ships = restorers.shipped_path(model) is not None
    card = restorers.load(model).card if ships else load_rescaler(model).card
    record = _record(card)
    if json:
        print_json(record)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in record.items():
        plain = isinstance(value, str | int | float)
        table.add_row(name, str(value) if plain else json_module.dumps(value, ensure_ascii=False))
    print_table(table)


@models_app.command("import", epilog=examples_of("models import"))
def import_official(
    files: Annotated[list[Path], typer.Argument(help="Official checkpoint. irn-crm needs two.")],
    family: Annotated[
        str, typer.Option(help="Family of the network, such as irn, sain, aidn or t-irn.")
    ],
    scale: Annotated[float, typer.Option(help="HR side / LR side that it was trained for.")],
    model_id: Annotated[
        str | None, typer.Option("--id", help="Id to give it. The default is the file's name.")
    ] = None,
    latent: Annotated[
        str | None,
        typer.Option(help="gaussian, zeros or mixture. The default is the family's own."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unknown",
    folder: Annotated[
        Path | None, typer.Option("--out", help="Write to this file instead of the weights folder.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Convert an official checkpoint after checking every key and shape."""
    from tasks.models.weights import import_weights

    path, card = import_weights(
        files,
        family=family,
        scale=scale,
        model_id=model_id,
        latent=latent,
        licence=licence,
        folder=folder,
    )
    _print_kept(card, path, json=json)


@models_app.command("download", epilog=examples_of("models download"))
def download(
    url: Annotated[
        str, typer.Argument(help="Address of a .safetensors file: s3://…, hf://… or https://….")
    ],
    sha256: Annotated[str, typer.Option(help="SHA-256 that the file must have.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Fetch weights into the weights folder, checked against their digest."""
    from rescaling_core import zoo
    from tasks.models.weights import fetch_weights

    path = fetch_weights(url, sha256=sha256)
    _print_kept(zoo.load(path).card, path, json=json)


def _print_kept(card: ModelCard, path: Path, *, json: bool) -> None:
    if json:
        print_json({"path": str(path), "card": _record(card)})
    else:
        out.print(f"{card.id}: family {card.family}, {card.scales}, {card.weights_bytes} bytes")
        out.print(str(path))


def _record(card: ModelCard | RestorerCard) -> dict[str, Any]:
    record: dict[str, Any] = json_module.loads(card.to_json())
    return record


def _count(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def _set5(card: ModelCard) -> str:
    """Restored from what the network itself downscaled, or what a coded LR image leaves of that."""
    named = [name for name in card.metrics if name.partition(",")[0] == "Set5"]
    row = card.metrics[named[-1]] if named else None
    value = row.get("psnr_y") if isinstance(row, dict) else None
    return "" if value is None else f"{named[-1]}: {value:.2f} dB"


def _gain(card: RestorerCard) -> str:
    """Bytes saved at the quality that presets ask for."""
    kodak = card.metrics.get("Kodak", {})
    row = kodak.get("bytes_at", {}).get("34 dB", {})
    return f"Kodak at 34 dB: {row['percent']:+.1f} %" if "percent" in row else ""


def _trained(training: Mapping[str, Any]) -> str:
    """How long, on what kind of machine."""
    minutes = training.get("cpu_minutes") or training.get("minutes")
    steps = training.get("iterations")
    return "" if minutes is None or steps is None else f"{minutes:.0f} min, {steps:,} steps"
