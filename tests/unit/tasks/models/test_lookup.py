"""Networks are found by the digest that was recorded, in places that an owner chose."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rescaling_core import zoo
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.errors import RefoldError, UsageError, WeightsNotFoundError
from rescaling_core.metadata import finalise, read_metadata
from rescaling_core.networks import LatentPolicy, build
from rescaling_core.photo import decode_photo
from rescaling_core.restore import restore
from rescaling_core.zoo.restorers import list_restorers
from tasks.jobs.restore.worker import restore_lr_file
from tasks.models import lookup, weights
from tasks.models.archived import missing_models, put_model, settle
from tasks.models.lookup import Models
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import Store, open_store
from tests.command import photograph


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and a process that has loaded nothing yet."""
    monkeypatch.setenv("REFOLD_WEIGHTS", str(tmp_path / "weights"))
    for held in (lookup._HELD, lookup._KNOWN):
        held.clear()
    return tmp_path / "weights"


@pytest.fixture
def archive(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "archive"))


def _weights(path: Path, seed: int, model_id: str = "mine") -> zoo.ModelCard:
    """An IRN for x2 whose weights are drawn, so that other seeds restore other pixels."""
    rescaler = build("irn", {"scale": 2, "blocks": [1], "growth": 4}, LatentPolicy("zeros"))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in rescaler.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    path.parent.mkdir(parents=True, exist_ok=True)
    return zoo.save(path, rescaler, zoo.describe(rescaler, model_id=model_id, title="Mine"))


def _rendition(tmp_path: Path, reference: str, archive: Store | None = None) -> bytes:
    """An LR file that a rescaler made, as `refold archive` would."""
    photo_path = tmp_path / "photo.png"
    photograph("astronaut", 64, 48, 10, 20).save(photo_path)
    data = photo_path.read_bytes()
    plan, models = settle(build_plan(PlanOptions(rescalers=(reference,))), archive)
    ref = SourceRef(key="photo.png", etag="e", size=len(data), sha256="0" * 64)
    photo = decode_photo(data, max_pixels=10**6)
    made = convert(photo, ref, plan.targets[0], models, software="test", data=data)
    assert isinstance(made, Rendition)
    return made.lr_data


def _renamed(lr_data: bytes, rescaler: str, sha256: str | None = None) -> bytes:
    """The same file with another rescaler in its record, which may hold anything."""
    recorded = read_metadata(lr_data)
    forged = replace(recorded, rescaler=rescaler, weights_sha256=sha256 or recorded.weights_sha256)
    return finalise(lr_data, forged)


def test_other_weights_under_the_same_id_do_not_orphan_what_was_made_before(
    tmp_path: Path, archive: Store
) -> None:
    path = tmp_path / "here" / "mine.safetensors"
    _weights(path, seed=1)
    lr_data = _rendition(tmp_path, str(path), archive)
    before = restore(lr_data, Models(archive)).pixels
    _weights(path, seed=2)
    weights.keep_weights(path)  # the same id, installed by now
    lookup._HELD.clear()
    assert weights.load_rescaler("mine").weights_sha256 != read_metadata(lr_data).weights_sha256
    assert np.array_equal(restore(lr_data, Models(archive)).pixels, before)


def test_the_archive_is_asked_first_then_the_folder_then_the_package(
    tmp_path: Path, archive: Store, folder: Path
) -> None:
    path = tmp_path / "here" / "mine.safetensors"
    card = _weights(path, seed=1)
    with pytest.raises(WeightsNotFoundError, match=card.weights_sha256):
        Models(archive)("mine", card.weights_sha256)
    kept = weights.keep_weights(path)
    assert Models(archive).find("mine", card.weights_sha256).name == str(kept)
    found = weights.find_weights(str(path))
    assert found is not None
    put_model(archive, found)
    assert Models(archive).find("mine", card.weights_sha256).name.startswith(archive.url)
    shipped = zoo.load("irn-x2-lite")
    assert Models(archive).find("any name", shipped.weights_sha256).load().id == shipped.id


def test_a_damaged_copy_in_the_archive_is_passed_over_and_replaced(
    tmp_path: Path, archive: Store
) -> None:
    path = tmp_path / "here" / "mine.safetensors"
    card = _weights(path, seed=1)
    key = f"models/{card.weights_sha256}.safetensors"
    archive.put(key, b"damaged")
    archive.put(f"models/{card.weights_sha256}.json", b"\xff nor a card")
    weights.keep_weights(path)
    assert Models(archive)("mine", card.weights_sha256).weights_sha256 == card.weights_sha256
    found = weights.find_by_digest(card.weights_sha256)
    assert found is not None
    put_model(archive, found)
    assert archive.get(key) == path.read_bytes()


def test_a_plan_puts_its_networks_into_the_archive_and_records_ids_not_paths(
    tmp_path: Path, archive: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = _weights(tmp_path / "here" / "w.safetensors", seed=1, model_id="mine.2026-11")
    monkeypatch.chdir(tmp_path / "here")
    recorded = read_metadata(_rendition(tmp_path, "w.safetensors", archive))
    assert (recorded.rescaler, recorded.weights_sha256) == ("mine.2026-11", card.weights_sha256)
    assert recorded.strategy == "mine, png"
    digest = card.weights_sha256
    assert {info.key for info in archive.list("models/")} >= {
        f"models/{digest}.safetensors",
        f"models/{digest}.json",
    }
    assert missing_models(archive, [recorded]) == []
    archive.delete(f"models/{digest}.safetensors")
    (line,) = missing_models(archive, [recorded])
    assert "the network 'mine.2026-11' is not in the archive" in line
    assert f"models/{digest}.safetensors" in line


def test_filters_and_full_size_files_need_no_network(tmp_path: Path, archive: Store) -> None:
    recorded = read_metadata(_rendition(tmp_path, "lanczos", archive))
    assert recorded.rescaler == "lanczos"
    assert list(archive.list("models/")) == []
    assert missing_models(archive, [recorded]) == []


def test_weights_whose_id_is_another_things_are_not_archived_with(
    tmp_path: Path, archive: Store
) -> None:
    for number, model_id in enumerate(("../../x", "none", "bicubic", "jpeg-transcode", "a b", "")):
        path = tmp_path / f"{number}.safetensors"
        _weights(path, seed=number, model_id=model_id)
        with pytest.raises(UsageError, match="cannot be an id"):
            settle(build_plan(PlanOptions(rescalers=(str(path),))), archive)
    assert list(archive.list("")) == []


def test_an_lr_file_away_from_its_archive_says_which_weights_it_wants_and_takes_them_from_there(
    tmp_path: Path, archive: Store
) -> None:
    path = tmp_path / "here" / "mine.safetensors"
    card = _weights(path, seed=1)
    lr_path = tmp_path / "lone.png"
    lr_path.write_bytes(_rendition(tmp_path, str(path), archive))
    lookup._HELD.clear()
    with pytest.raises(RefoldError, match=card.weights_sha256) as error:
        restore_lr_file(str(lr_path), str(tmp_path / "out"), overwrite=False)
    assert "--models" in str(error.value)
    assert "\n" not in str(error.value)
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / f"{card.weights_sha256}.safetensors").write_bytes(path.read_bytes())
    for place in (archive.url, str(flat), f"file://{flat}"):
        lookup._HELD.clear()
        out = str(tmp_path / "out")
        restore_lr_file(str(lr_path), out, overwrite=False, models_url=place)
    assert (tmp_path / "out" / "photo.png").exists()


def test_what_reads_may_restore_in_bfloat16_while_what_converts_does_not(
    tmp_path: Path, archive: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "here" / "mine.safetensors"
    digest = _weights(path, seed=1).weights_sha256
    _rendition(tmp_path, str(path), archive)
    monkeypatch.setenv("REFOLD_PRECISION", "bfloat16")
    converting, reading = Models(archive), Models.for_reading(archive)
    for _ in range(2):  # both in one process, as in the service with its try page
        assert converting("mine", digest).rescaler.precision == "float32"
        assert reading("mine", digest).rescaler.precision == "bfloat16"
        assert converting.restorer("restorer-avif-lite").network.precision == "float32"
    card = next(one for one in list_restorers() if one.id.startswith("restorer-avif-lite"))
    assert reading.restorer(card.id, card.weights_sha256).network.precision == "bfloat16"
    assert converting.restorer(card.id, card.weights_sha256).network.precision == "float32"
    monkeypatch.delenv("REFOLD_PRECISION")
    assert Models.for_reading(archive)("mine", digest).rescaler.precision == "float32"


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A web server, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("digest", ["0" * 64, "ab" * 32, ""])
def test_what_a_record_calls_its_rescaler_is_never_opened(
    tmp_path: Path,
    listener: tuple[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    digest: str,
) -> None:
    url, asked = listener
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.safetensors").symlink_to("/dev/zero")
    lr_path, out = tmp_path / "lr.png", tmp_path / "out"
    lr_data = _rendition(tmp_path, "irn-x2-lite")
    for named in (
        *("/dev/zero", "zero.safetensors", "../../x", "file:///dev/zero", "irn-x2-lite", "bicubic"),
        *(f"{url}/x.safetensors", f"{url}/x.safetensors#sha256={digest}", f"{url}/models"),
    ):
        lr_path.write_bytes(_renamed(lr_data, named, digest or None))
        if digest:
            with pytest.raises(RefoldError, match="WeightsNotFoundError"):
                restore_lr_file(str(lr_path), str(out), overwrite=True)
            assert not out.exists()
        else:  # the digest is that of the weights that made it: the name alone does no harm
            restore_lr_file(str(lr_path), str(out), overwrite=True)
    assert asked == []
    assert not folder.exists()


def test_a_record_without_weights_names_a_filter_or_nothing(tmp_path: Path) -> None:
    lr_data = _rendition(tmp_path, "lanczos")
    for name in ("/dev/zero", "irn-x2-lite", "http://127.0.0.1:9/x.safetensors"):
        with pytest.raises(WeightsNotFoundError, match="no filter of that name"):
            restore(_renamed(lr_data, name), Models())
