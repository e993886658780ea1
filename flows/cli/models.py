"""`refold models`: what rescalers there are, and how others are brought in."""

from __future__ import annotations

import json as json_module
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flows.cli.console import Json, Verbose, out, print_json, print_table
from flows.cli.examples import examples_of

if TYPE_CHECKING:
    from rescaling_core.zoo import ModelCard
    from rescaling_core.zoo.restorer_card import RestorerCard

models_app = typer.Typer(
    help="List, show, import and download rescalers and restorers.", no_args_is_help=True
)


@models_app.command("list", epilog=examples_of("models list"))
def list_models(json: Json = False, verbose: Verbose = False) -> None:
    """List the rescalers and restorers that ship with Refold, and those brought in."""
    from flows.cli.model_rows import row_of
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
    for name in ("parameters", "MACs/pixel", "Set5"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("trained", "licence"):
        table.add_column(name, no_wrap=True)
    for card in cards:
        table.add_row(*astuple(row_of(card)))
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
