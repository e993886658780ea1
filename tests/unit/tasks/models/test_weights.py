from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner

from flows.cli.models import models_app
from rescaling_core import zoo
from rescaling_core.errors import CheckpointError, UsageError
from rescaling_core.networks import LatentPolicy, build
from tasks.models import weights

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights."""
    monkeypatch.setenv("REFOLD_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, zoo.ModelCard]:
    """A weights file somewhere else, with its card."""
    return _publish(tmp_path / "elsewhere", growth=8)


def _publish(place: Path, growth: int, model_id: str = "mine") -> tuple[Path, zoo.ModelCard]:
    config = {"scale": 2, "blocks": [1], "growth": growth}
    rescaler = build("irn", config, LatentPolicy("zeros"))
    place.mkdir()
    path = place / "mine.safetensors"
    card = zoo.describe(rescaler, model_id=model_id, title="Mine", licence="CC0-1.0")
    return path, zoo.save(path, rescaler, card)


def test_weights_are_fetched_once_and_kept_by_digest(
    folder: Path, published: tuple[Path, zoo.ModelCard]
) -> None:
    path, card = published
    kept = weights.fetch_weights(f"file://{path}", sha256=card.weights_sha256)
    assert kept == folder / f"{card.weights_sha256}.safetensors"
    assert zoo.load(kept).card == card
    path.unlink()
    assert weights.fetch_weights(f"file://{path}", sha256=card.weights_sha256) == kept


def test_other_bytes_than_pinned_are_refused_and_nothing_is_kept(
    folder: Path, published: tuple[Path, zoo.ModelCard]
) -> None:
    with pytest.raises(CheckpointError, match="nothing was kept"):
        weights.fetch_weights(str(published[0]), sha256="0" * 64)
    assert not list(folder.glob("*"))


def test_a_file_that_is_no_weights_file_is_not_kept(folder: Path, tmp_path: Path) -> None:
    import hashlib

    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing of the kind")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match="not a weights file"):
        weights.fetch_weights(str(path), sha256=digest)
    assert not list(folder.glob("*"))


def test_a_card_of_other_weights_is_not_taken_along(
    folder: Path, published: tuple[Path, zoo.ModelCard]
) -> None:
    path, card = published
    record = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(record | {"weights_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="not the weights its model card describes"):
        weights.fetch_weights(str(path), sha256=card.weights_sha256)
    assert not list(folder.glob("*"))


def test_what_is_not_there_or_not_pinned_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        weights.fetch_weights(str(tmp_path / "nope.safetensors"), sha256="0" * 64)
    with pytest.raises(UsageError, match="not a SHA-256"):
        weights.fetch_weights("s3://bucket/x.safetensors", sha256="latest")
    with pytest.raises(UsageError, match="pinned by its digest"):
        weights.load_rescaler("s3://bucket/x.safetensors")


def test_a_rescaler_is_found_by_url_id_path_and_digest(
    published: tuple[Path, zoo.ModelCard],
) -> None:
    path, card = published
    assert weights.load_rescaler("bicubic").id == "bicubic"
    assert weights.load_rescaler(str(path)).card == card
    with pytest.raises(UsageError, match="no rescaler 'mine'"):
        weights.load_rescaler("mine")
    by_url = weights.load_rescaler(f"file://{path}#sha256={card.weights_sha256}")
    assert by_url.card == card
    assert weights.load_rescaler("mine").card == card
    found = weights.find_by_digest(card.weights_sha256)
    assert found is not None
    assert found.load().card == card


def test_an_id_that_two_weights_share_is_not_guessed(
    published: tuple[Path, zoo.ModelCard], tmp_path: Path
) -> None:
    weights.keep_weights(published[0])
    other, card = _publish(tmp_path / "newer", growth=4)
    weights.keep_weights(other)
    with pytest.raises(UsageError, match="several weights have this id"):
        weights.load_rescaler("mine")
    found = weights.find_by_digest(card.weights_sha256)
    assert found is not None
    assert found.load().card == card


def test_a_name_without_its_tag_is_the_newest_of_that_name(tmp_path: Path) -> None:
    for month, growth in (("2026-12", 4), ("2027-01", 8), ("2026-12b", 12)):
        weights.keep_weights(_publish(tmp_path / month, growth, f"mine.{month}")[0])
    assert weights.load_rescaler("mine").id == "mine.2027-01"
    assert weights.load_rescaler("mine.2026-12").rescaler.config["growth"] == 4
    assert weights.load_rescaler("mine.2026-12b").rescaler.config["growth"] == 12
    with pytest.raises(UsageError, match=r"no rescaler 'mine\.2026-11'"):
        weights.load_rescaler("mine.2026-11")


def test_a_folder_that_cannot_be_listed_hides_nothing_that_ships(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(folder: Path, pattern: str) -> Iterator[Path]:
        if folder == weights.weights_folder():
            raise PermissionError(13, "Permission denied")
        return whole(folder, pattern)

    whole = Path.glob
    monkeypatch.setattr(Path, "glob", refused)
    assert weights.installed_models() == ()
    found = weights.find_weights("irn-x2-lite")
    assert found is not None
    assert found.sha256 == zoo.load("irn-x2-lite.2026-11").weights_sha256


def _official(tmp_path: Path) -> Path:
    network = build("irn", {"scale": 2, "blocks": [1], "growth": 8}, LatentPolicy("zeros"))
    path = tmp_path / "IRN_x2.pth"
    torch.save(network.state_dict(), path)
    return path


def test_an_official_checkpoint_is_imported_listed_and_shown(tmp_path: Path) -> None:
    run = CliRunner()
    arguments = ["import", str(_official(tmp_path)), "--family", "irn", "--scale", "2", "--json"]
    imported = run.invoke(models_app, arguments, catch_exceptions=False)
    card = json.loads(imported.stdout)["card"]
    assert card["id"] == "irn-x2"
    assert card["latent_policy"]["kind"] == "gaussian"
    assert list(card["training"]["imported_from"]) == ["IRN_x2.pth"]
    listed = json.loads(run.invoke(models_app, ["list", "--json"]).stdout)
    assert listed[-1] == card
    assert listed[0]["id"] == "bicubic"
    shown = json.loads(run.invoke(models_app, ["show", "irn-x2", "--json"]).stdout)
    assert shown == card
    assert "irn-x2" in run.invoke(models_app, ["list"]).stdout
    assert "latent_policy" in run.invoke(models_app, ["show", "irn-x2"]).stdout


def test_a_wrong_checkpoint_writes_nothing(folder: Path, tmp_path: Path) -> None:
    path, out = _official(tmp_path), tmp_path / "out"
    for family, scale, latent in (("sain", 2, None), ("irn", 4, None), ("irn", 2, "mixture")):
        with pytest.raises(CheckpointError, match=r"IRN_x2\.pth"):
            weights.import_weights([path], family=family, scale=scale, latent=latent, folder=out)
    with pytest.raises(UsageError, match="unknown latent kind"):
        weights.import_weights([path], family="irn", scale=2, latent="uniform")
    with pytest.raises(UsageError, match="cannot be read"):
        weights.import_weights([tmp_path / "nope.pth"], family="irn", scale=2)
    assert not out.exists()
    assert not folder.exists()


def test_an_imported_file_is_not_written_over_another(tmp_path: Path) -> None:
    path, out = _official(tmp_path), tmp_path / "out"
    kept, card = weights.import_weights([path], family="irn", scale=2, folder=out)
    assert zoo.load(kept).card == card
    with pytest.raises(UsageError, match="exists already"):
        weights.import_weights([path], family="irn", scale=2, folder=out)


def test_weights_are_downloaded_by_the_command(published: tuple[Path, zoo.ModelCard]) -> None:
    path, card = published
    arguments = ["download", f"file://{path}", "--sha256", card.weights_sha256, "--json"]
    result = CliRunner().invoke(models_app, arguments, catch_exceptions=False)
    assert Path(json.loads(result.stdout)["path"]).exists()
