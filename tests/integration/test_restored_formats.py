"""`refold restore --format`, as a worker does it: names, bytes and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.errors import UsageError
from tasks.jobs.restore.check import Request, check
from tasks.jobs.restore.choosing import choose, requests_of
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer, restore_lr_file
from tests.small_archive import SmallArchive
from tests.unit import photo_samples as samples

FORMATS = {"a.png": "PNG", "b.tiff": "TIFF", "c.webp": "WEBP", "d.bmp": "BMP", "e.jpg": "JPEG"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    root = tmp_path_factory.mktemp("formats")
    small = SmallArchive(f"{root}/photos", f"{root}/archive")
    for key, format in FORMATS.items():
        small.source.put(key, samples.written(samples.image(), format, lossless=True, quality=99))
    small.run("x2")
    assert {row.state for row in small.rows()} == {"archived"}
    return small


def _restored(made: SmallArchive, dest: Path, format: str) -> dict[str, Path]:
    chosen, missing = choose(made.archive_url, (), None, None, False, format)
    assert not missing
    restorer = Restorer(
        RestorationJob(
            archive_url=made.archive_url,
            destination_url=str(dest),
            overwrite=False,
            format=format,  # type: ignore[arg-type]
        )
    )
    outcomes = [restorer.restore(request) for request in requests_of(made.catalog, chosen)]
    assert all(isinstance(one, Restored) for one in outcomes), outcomes
    return {one.source_key: dest / one.output_key for one in outcomes if isinstance(one, Restored)}


def test_every_format_holds_the_same_samples(made: SmallArchive, tmp_path: Path) -> None:
    png = _restored(made, tmp_path / "png", "png")
    names = {
        "tiff": {"a.png": "a.png.tif", "b.tiff": "b.tiff", "e.jpg": "e.jpg.tif"},
        "webp": {"b.tiff": "b.tiff.webp", "c.webp": "c.webp"},
        "jxl": {"e.jpg": "e.jpg.jxl"},
        "source": dict(zip(FORMATS, [*list(FORMATS)[:4], "e.jpg.png"], strict=True)),
    }
    for format, expected in names.items():
        files = _restored(made, tmp_path / format, format)
        assert {key: files[key].name for key in expected} == expected
        for key, path in files.items():
            with Image.open(io.BytesIO(path.read_bytes())) as found, Image.open(png[key]) as same:
                np.testing.assert_array_equal(np.asarray(found), np.asarray(same))
                if format == "source":
                    wanted = {"JPEG": "PNG"}.get(FORMATS[key], FORMATS[key])
                    assert found.format == wanted


def test_one_lr_file_is_restored_to_its_own_format(made: SmallArchive, tmp_path: Path) -> None:
    row = next(row for row in made.rows() if row.source_key == "b.tiff")
    lr_file = tmp_path / "lr"
    lr_file.write_bytes(made.archive.get(str(getattr(row, "lr_key"))))  # noqa: B009
    restored = restore_lr_file(
        str(lr_file),
        f"{tmp_path}/out",
        overwrite=False,
        models_url=made.archive_url,
        format="source",
    )
    assert restored.output_key == "b.tiff"
    assert (tmp_path / "out" / "b.tiff").read_bytes()[:4] == b"II*\0"


def test_a_format_that_does_not_exist_is_refused_at_once(made: SmallArchive) -> None:
    request = Request(archive=made.archive_url, dest="x", format="gif")
    with pytest.raises(UsageError, match=r"gif.*source, png, tiff, webp, jxl"):
        check(request)
