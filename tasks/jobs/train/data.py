"""Images and recipes for training, read from where the user keeps them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from rescaling_core import limits
from rescaling_core.errors import UsageError
from rescaling_core.training.recipe import Recipe
from rescaling_core.training.restorer_recipe import RestorerRecipe
from tasks.collection.images import list_images, read_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.pixels.arrays import U8Array

RECIPES_DIR: Final = Path(str(files("rescaling_core.zoo"))) / "recipes"
"""The recipes of the weights that ship with Refold: `<id>.toml`."""

_HELD_OUT: Final = 20
_VALIDATION_SIDE: Final = 256
"""Side, in pixels, of the crops that validation measures."""


AnyRecipe = Recipe | RestorerRecipe

Parsed = TypeVar("Parsed")


def load_any_recipe(config: str) -> AnyRecipe:
    """Read a recipe, of whichever kind, from a TOML file, or one that ships with Refold by its id.

    Raises:
        UsageError: There is no such file or id, it is not TOML, or not a recipe.
    """
    path = Path(config)
    if not path.suffix:
        path = RECIPES_DIR / f"{config}.toml"
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        known = ", ".join(sorted(recipe.stem for recipe in RECIPES_DIR.glob("*.toml")))
        raise UsageError(f"no recipe {config!r}; a TOML file, or one of {known}") from error
    return parse_recipe(text, name=config)


def load_recipe(config: str) -> Recipe:
    """As `load_any_recipe`, for callers that need the recipe of a rescaler.

    Raises:
        UsageError: There is no such file or id, it is not TOML, or not the recipe of a rescaler.
    """
    recipe = load_any_recipe(config)
    if isinstance(recipe, RestorerRecipe):
        raise UsageError(f"{config}: the recipe of a restorer, not of a rescaler")
    return recipe


def parse_recipe(text: str, *, name: str) -> AnyRecipe:
    """Validate the text of a recipe: of a restorer if its `kind` says so, else of a rescaler.

    Raises:
        UsageError: It is not TOML, or not a recipe; the message names the first field at fault.
    """

    def validated(values: dict[str, Any]) -> AnyRecipe:
        kind = _RESTORER_RECIPE if "kind" in values else _RECIPE
        return kind.validate_python(values)

    return parse_toml(text, validated, name=name, what="recipe")


def parse_toml(
    text: str, validated: Callable[[dict[str, Any]], Parsed], *, name: str, what: str
) -> Parsed:
    """Validate the text of a TOML file.

    Args:
        text: Of the file.
        validated: Makes what is wanted of the values, or raises pydantic's `ValidationError`.
        name: What to call the file in an error.
        what: What to call the whole in an error.

    Raises:
        UsageError: It is not TOML, or not what is wanted; the message names the first field at
            fault.
    """
    try:
        return validated(limits.read_toml(text))
    except ValidationError as error:  # which is a ValueError too
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{name}: {field or what}: {first['msg']}") from error
    except ValueError as error:
        raise UsageError(f"{name}: not TOML: {error}") from error


def hold_out(paths: list[str]) -> tuple[list[str], list[str]]:
    """Split off every 20th path for validation, at least one: those to train on, the others.

    Raises:
        UsageError: There is only one.
    """
    if len(paths) < 2:
        raise UsageError("one image is not enough: some are trained on, others measured")
    return [p for i, p in enumerate(paths) if i % _HELD_OUT], paths[::_HELD_OUT]


def read_training_set(data: str, validation: str | None) -> tuple[list[U8Array], list[U8Array]]:
    """Decode all images: those to train on, and windows to measure on.

    Args:
        data: URL or path of a folder.
        validation: A folder to measure on; None holds out some of `data`.

    Raises:
        UsageError: A folder is missing or empty, or an image damaged.
    """
    paths = list_images(data)
    if validation is None:
        paths, held_out = hold_out(paths)
        return read_images(data, paths), validation_crops(read_images(data, held_out))
    measured = read_images(validation, list_images(validation))
    return read_images(data, paths), validation_crops(measured)


def validation_crops(images: list[U8Array]) -> list[U8Array]:
    """The middle of each image, small enough to be measured often."""
    return [_middle(image) for image in images]


def _middle(image: U8Array) -> U8Array:
    top, left = (max(0, side - _VALIDATION_SIDE) // 2 for side in image.shape[:2])
    crop = image[top : top + _VALIDATION_SIDE, left : left + _VALIDATION_SIDE]
    return np.ascontiguousarray(crop)


_RECIPE: Final[TypeAdapter[AnyRecipe]] = TypeAdapter(Recipe)
_RESTORER_RECIPE: Final[TypeAdapter[AnyRecipe]] = TypeAdapter(RestorerRecipe)
