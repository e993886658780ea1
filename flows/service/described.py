"""Renditions as JSON."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from flows.service.ids import RenditionId
from tasks.catalog import Archived, CatalogRow, Quarantined
from tasks.catalog.history import can_be_restored

_EXAMPLE: Final[JsonDict] = {
    "id": "YXJjaGl2ZQB4MgAyMDE5L3BpZXIuanBn.3f0c1b2a4d5e6f70",
    "archive": "archive",
    "key": "2019/pier.jpg",
    "target": "x2",
    "state": "archived",
    "reason": None,
    "restorable": True,
    "width": 4000,
    "height": 3000,
    "mode": "RGB",
    "rescaler": "irn-x2-lite",
    "scale": 2.0,
    "codec": "avif",
    "quality": 60,
    "psnr_y": 35.2,
    "exact": False,
    "ssim_y": 0.962,
    "source_bytes": 4_812_331,
    "lr_bytes": 402_118,
    "lr_sha256": "3f0c1b2a4d5e6f70...",
    "committed_at": "2026-11-26T07:00:00Z",
    "links": {
        "self": "/v1/renditions/YXJjaGl2ZQB4MgAyMDE5L3BpZXIuanBn.3f0c1b2a4d5e6f70",
        "lr": "/v1/renditions/YXJjaGl2ZQB4MgAyMDE5L3BpZXIuanBn.3f0c1b2a4d5e6f70/lr",
        "hr": "/v1/renditions/YXJjaGl2ZQB4MgAyMDE5L3BpZXIuanBn.3f0c1b2a4d5e6f70/hr",
        "iiif": "/iiif/3/YXJjaGl2ZQB4MgAyMDE5L3BpZXIuanBn",
    },
}


class Described(BaseModel):
    """One rendition, or why there is none."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    """Names this very LR file; without what follows the dot, whichever is the current one."""
    archive: str
    key: str
    """Of the source."""
    target: str
    state: Literal["archived", "kept", "quarantined"]
    reason: str | None
    """Why it was kept, or put into quarantine."""
    restorable: bool
    """False of previews and of sources without a rendition."""
    width: int | None
    """Pixels of the source, as stored."""
    height: int | None
    mode: str | None
    rescaler: str | None
    scale: float | None
    codec: str | None
    quality: int | None
    psnr_y: float | None
    """dB, measured against the source when it was archived; null where it is infinite."""
    exact: bool
    """Whether the restoration is exact."""
    ssim_y: float | None
    source_bytes: int
    lr_bytes: int | None
    lr_sha256: str | None
    committed_at: datetime | None
    links: dict[str, str]


class Listed(BaseModel):
    """A page of renditions."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"renditions": [_EXAMPLE], "next": None}]}
    )

    renditions: list[Described]
    next: Annotated[str | None, Field(description="Cursor of the next page; null on the last.")]


class Problem(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "0a1b2c3d4e5f", "status": 404, "message": "There is no such image."}
            ]
        }
    )

    id: str
    """By which the operator finds the details in the log."""
    status: int
    message: str


class Failed(BaseModel):
    """Every answer that is not what was asked for."""

    error: Problem


def described(archive: str, row: CatalogRow) -> Described:
    """A row as clients see it."""
    id = RenditionId.of(archive, row)
    here = f"/v1/renditions/{id.exact}"
    links = {"self": here}
    stored = row if isinstance(row, Archived) else None
    if stored is not None:
        links["lr"] = f"{here}/lr"
    if can_be_restored(row):
        links |= {"hr": f"{here}/hr", "iiif": f"/iiif/3/{id.lasting}"}
    made = None if isinstance(row, Quarantined) else row
    return Described(
        id=id.exact,
        archive=archive,
        key=row.source_key,
        target=row.target,
        state=row.state,
        reason=None if isinstance(row, Archived) else row.reason,
        restorable=can_be_restored(row),
        width=made.width if made else None,
        height=made.height if made else None,
        mode=made.mode if made else None,
        rescaler=made.rescaler if made else None,
        scale=made.scale if made else None,
        codec=made.codec if made else None,
        quality=made.quality if made else None,
        psnr_y=_finite(row.psnr_y),
        exact=row.psnr_y == math.inf,
        ssim_y=_finite(row.ssim_y),
        source_bytes=row.source_size,
        lr_bytes=stored.lr_bytes if stored else None,
        lr_sha256=stored.lr_sha256 if stored else None,
        committed_at=row.committed_at,
        links=links,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
