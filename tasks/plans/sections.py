"""The fields of a plan file, and what is said of one that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from rescaling_core.photo import DEFAULT_MAX_CARRIED
from rescaling_core.plan import DEFAULT_MAX_PIXELS, LastFilter, LrMode, Sources, StoredAs
from rescaling_core.quality.scores import MEASURES


def _quality(value: Any) -> Any:
    """A number, a list of them, or a table of min and max; each told apart by its type."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return tuple(value)
    is_table = isinstance(value, dict) and set(value) == {"min", "max"}
    if is_table and all(type(item) is int for item in value.values()):
        return range(value["min"], value["max"] + 1)
    raise ValueError("a number, a list of numbers, or { min = 20, max = 95 }")


Quality = Annotated[Any, BeforeValidator(_quality)]


def _steps(value: Any) -> Any:
    """A number of steps, or a list of them."""
    steps = value if isinstance(value, list) else [value]
    if steps and all(type(item) is int for item in steps):
        return tuple(steps)
    raise ValueError("a number of steps, or a list of numbers")


Steps = Annotated[Any, BeforeValidator(_steps)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _floor_fields() -> dict[str, Any]:
    """What a plan may ask of each measure, and its margin."""
    values: dict[str, Any] = {}
    margins: dict[str, Any] = {}
    for name, measure in MEASURES.items():
        number = int if measure.whole else int | float
        values[name] = (number | None, None)
        margins[measure.margin_name] = (number | None, None)
    return values | margins


if TYPE_CHECKING:

    class FloorSection(_Section):
        """`[targets.floor]`, with the fields of a `Floor`."""

else:
    FloorSection = create_model("FloorSection", __base__=_Section, **_floor_fields())


class ResidualSection(_Section):
    """`residual` of a candidate."""

    codec: str = "avif-420"
    quality: Quality = None
    effort: int | None = None
    luma: bool = False


class CandidateSection(_Section):
    """`[[targets.candidates]]`."""

    rescaler: str
    codec: str
    quality: Quality = None
    effort: int | None = None
    residual: ResidualSection | None = None
    sources: Sources = "any"
    refinement: Steps = (0,)
    lr_mode: LrMode = "source"
    restorer: str | None = None
    filter: LastFilter = "none"


class TargetSection(_Section):
    """`[[targets]]`."""

    target: str
    floor: FloorSection | None = None
    store: StoredAs | None = None
    candidates: list[CandidateSection] = Field(default_factory=list)


class PlanSection(_Section):
    """The whole file."""

    targets: list[TargetSection]
    max_pixels: int = DEFAULT_MAX_PIXELS
    max_carried: int = DEFAULT_MAX_CARRIED


_SECTIONS: Final[dict[str, type[_Section]]] = {
    "": PlanSection,
    "targets": TargetSection,
    "floor": FloorSection,
    "candidates": CandidateSection,
    "residual": ResidualSection,
}


_WORDS: Final = {
    "sources": get_args(Sources),
    "lr_mode": get_args(LrMode),
    "filter": get_args(LastFilter),
    "store": get_args(StoredAs),
}


def explained(error: ValidationError) -> str:
    """The first complaint of pydantic: the field's path, what is wrong, what is allowed."""
    first = error.errors(include_url=False)[0]
    *parents, last = first["loc"]
    path = _path(first["loc"])
    section = next((part for part in reversed(parents) if isinstance(part, str)), "")
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown field; one of {', '.join(_SECTIONS[section].model_fields)}"
    if first["type"] == "missing":
        return f"{path}: missing"
    if last in _WORDS:
        return f"{path}: {first['input']!r}; one of {', '.join(_WORDS[last])}"
    return f"{path}: {first['input']!r}: {first['msg']}"


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in ("int", "float"):  # which branch of a union it was
            text += f".{part}" if text else part
    return text
