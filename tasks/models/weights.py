"""Weights beyond those that ship: fetched from anywhere, pinned by digest, kept in one folder."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from rescaling_core import networks, zoo
from rescaling_core.errors import CheckpointError, RefoldError, UsageError
from rescaling_core.model_ids import matching
from rescaling_core.networks import LatentPolicy
from rescaling_core.zoo import LoadedRescaler, ModelCard
from tasks.models.weights_file import SHA256, WeightsFile
from tasks.settings import current
from tasks.storage import ObjectNotFoundError, StorageError, open_store
from tasks.storage.secrets import refuse_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.latent import LatentKind

_PIN: Final = "#sha256="


def weights_folder() -> Path:
    """Where fetched and imported weights are kept, each file named by its digest."""
    return current().weights or Path.home() / ".cache" / "refold" / "weights"


def fetch_weights(url: str, *, sha256: str) -> Path:
    """Fetch weights, unless they are here already.

    Args:
        url: A path or an fsspec URL (`s3://…`, `hf://…`, `https://…`) of a `.safetensors` file.
            Its model card is fetched too, if one lies beside it.
        sha256: The digest the file must have, in hexadecimal.

    Returns:
        The file in `weights_folder()`, checked and known to load.

    Raises:
        UsageError: The digest is not one, or there is no such object.
        CheckpointError: The file has another digest or is not a weights file. Nothing is kept.
        StorageError: The store cannot be reached.
    """
    digest = sha256.lower()
    if not SHA256.fullmatch(digest):
        raise UsageError(f"{sha256!r} is not a SHA-256: 64 hexadecimal digits are expected")
    path = weights_folder() / f"{digest}.safetensors"
    if path.exists():
        zoo.load(path, sha256=digest)
        return path
    refuse_credentials(url)
    folder, _, name = url.rpartition("/")
    store = open_store(folder or ("/" if url.startswith("/") else "."))
    try:
        data = store.get(name)
    except ObjectNotFoundError as error:
        raise UsageError(f"{url}: there is no such file") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise CheckpointError(f"{url}: SHA-256 is {found}, not {digest}; nothing was kept")
    try:
        card: bytes | None = store.get(name.removesuffix(".safetensors") + ".json")
    except StorageError:
        card = None
    return _keep(data, card, digest)


def keep_weights(path: Path) -> Path:
    """Copy a weights file and its card into `weights_folder()`, so that its id is known.

    Raises:
        UsageError: The file cannot be read.
        CheckpointError: It is not a weights file of Refold.
    """
    loaded = zoo.load(path)
    return _keep(path.read_bytes(), loaded.card.to_json().encode(), loaded.weights_sha256)


def import_weights(
    files: Sequence[Path],
    *,
    family: str,
    scale: float,
    model_id: str | None = None,
    latent: str | None = None,
    licence: str = "unknown",
    folder: Path | None = None,
) -> tuple[Path, ModelCard]:
    """Convert an official checkpoint.

    Args:
        files: One file; two where a family is published as two (`irn-crm`).
        family: A key of `rescaling_core.networks.FAMILIES`.
        scale: One it was trained for.
        model_id: By default the first file's name in small letters.
        latent: A latent kind, instead of the family's own policy.
        licence: Of the weights.
        folder: Write `<id>.safetensors` and its card here; by default into `weights_folder()`.

    Returns:
        The file written, and its card.

    Raises:
        UsageError: A file cannot be read, the latent kind is unknown, or the output exists.
        CheckpointError: Not a checkpoint of this family and scale. Nothing is written.
    """
    contents = {path.name: _read(path) for path in files}
    try:
        policy = None if latent is None else LatentPolicy(cast("LatentKind", latent))
    except ValueError as error:
        raise UsageError(str(error)) from error
    rescaler = zoo.import_checkpoint(
        contents, family_name=family, scale=scale, latent_policy=policy
    )
    name = model_id or re.sub(r"[^a-z0-9.+-]+", "-", files[0].stem.lower())
    digests = {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()}
    card = zoo.describe(
        rescaler,
        model_id=name,
        title=f"{networks.family(family).title}, official weights",
        licence=licence,
        training={"imported_from": digests},
    )
    if folder is None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / f"{name}.safetensors"
            card = zoo.save(path, rescaler, card)
            return keep_weights(path), card
    path = folder / f"{name}.safetensors"
    if path.exists():
        raise UsageError(f"{path} exists already")
    folder.mkdir(parents=True, exist_ok=True)
    return path, zoo.save(path, rescaler, card)


def installed_models() -> tuple[ModelCard, ...]:
    """The cards of the weights in `weights_folder()`, by id; what is unreadable is left out."""
    cards = []
    try:
        paths = sorted(weights_folder().glob("*.safetensors"))
    except OSError:  # a home that this process may not enter
        return ()
    for path in paths:
        try:
            cards.append(zoo.load(path).card)
        except RefoldError:
            continue
    return tuple(sorted(cards, key=lambda card: card.id))


def find_weights(reference: str) -> WeightsFile | None:
    """Find the weights that an owner names on a command line or in a plan.

    What a record in storage says is never given to this: see `tasks.models.lookup`.

    Args:
        reference: An id of `installed_models`, an id of the zoo with its tag, or either without it
            for the newest; a path; or `URL#sha256=DIGEST`.

    Returns:
        None for a filter, which has no weights.

    Raises:
        UsageError: Nothing is known by that name.
        CheckpointError: The weights are damaged or have another digest.
        StorageError: The store cannot be reached.
    """
    if zoo.load_filter(reference) is not None:
        return None
    if "://" in reference:
        url, pin, digest = reference.partition(_PIN)
        if not pin:
            raise UsageError(f"{reference}: a URL is pinned by its digest: {url}{_PIN}…")
        return _file(fetch_weights(url, sha256=digest), name=url)
    if reference.endswith(".safetensors"):
        return _file(Path(reference), name=reference)
    shipped = None if SHA256.fullmatch(reference) else zoo.shipped_path(reference)
    if shipped is not None and shipped.stem != reference and _is_installed(reference):
        shipped = None  # what the owner brought in under this very id, not others of that name
    return _file(shipped or _installed_path(reference), name=reference)


def find_by_digest(sha256: str) -> WeightsFile | None:
    """Find weights in `weights_folder()`, else among those that ship; None if they are in neither.

    Args:
        sha256: In hexadecimal, small letters.
    """
    for path in (weights_folder() / f"{sha256}.safetensors", zoo.shipped_path(sha256)):
        if path is not None and path.is_file():
            found = _file(path, name=str(path))
            if found.sha256 == sha256:
                return found
    return None


def load_rescaler(reference: str) -> LoadedRescaler:
    """Load a rescaler however an owner names it; see `find_weights`.

    Raises:
        UsageError: Nothing is known by that name.
        CheckpointError: The weights are damaged or have another digest.
        StorageError: The store cannot be reached.
    """
    found = find_weights(reference)
    return zoo.load(reference) if found is None else found.load()


def _is_installed(model_id: str) -> bool:
    return any(card.id == model_id for card in installed_models())


def _installed_path(reference: str) -> Path:
    """The file in the folder that has an id; the newest where only its name is given."""
    cards = installed_models()
    ids = matching(reference, {card.id for card in cards})
    if not ids:
        zoo.load(reference)  # says what ids there are
    digests = [card.weights_sha256 for card in cards if card.id == ids[0]]
    if len(digests) > 1:
        listed = ", ".join(digest[:12] for digest in digests)
        raise UsageError(
            f"{reference}: several weights have this id: {listed}; name one of them by its path "
            f"in {weights_folder()}"
        )
    return weights_folder() / f"{digests[0]}.safetensors"


def _file(path: Path, *, name: str) -> WeightsFile:
    card = path.with_suffix(".json")
    text = card.read_text("utf-8", "replace") if card.is_file() else None
    return WeightsFile(_read(path), text, name=name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def _keep(data: bytes, card: bytes | None, digest: str) -> Path:
    """Put a file and its card into the folder; whole or not at all, the card first."""
    folder = weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / f"{digest}.safetensors"
        path.write_bytes(data)
        if card is not None:
            path.with_suffix(".json").write_bytes(card)
        loaded = zoo.load(path, sha256=digest)
        path.with_suffix(".json").write_text(loaded.card.to_json(), encoding="utf-8")
        for suffix in (".json", ".safetensors"):
            path.with_suffix(suffix).replace(folder / f"{digest}{suffix}")
    return folder / f"{digest}.safetensors"
