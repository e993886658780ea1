"""The tables of a JPEG source, which mostly are the standard's at some quality."""

from __future__ import annotations

import io
import json
from itertools import product

import pytest
from PIL import Image

from rescaling_core.containers.jpeg_standard import standard_qualities, standard_table
from rescaling_core.errors import MetadataError
from rescaling_core.metadata import compact_parts
from rescaling_core.metadata.carried import Carried
from rescaling_core.photo.record import JpegTraits, Traits

OWN = ((3,) * 64, tuple(range(1, 65)))


def _tables(quality: int, mode: str = "RGB") -> tuple[tuple[int, ...], ...]:
    file = io.BytesIO()
    Image.new(mode, (16, 16)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        tables = image.quantization  # type: ignore[attr-defined]  # of JPEG files alone
    return tuple(tuple(tables[number]) for number in sorted(tables))


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_libjpegs_tables_are_the_standards_at_its_quality(mode: str) -> None:
    for quality in range(1, 101):
        tables = _tables(quality, mode)
        found = standard_qualities(tables)
        assert found is not None
        again = tuple(standard_table(number, one) for number, one in enumerate(found))
        assert again == tables


def test_other_tables_are_written_down_whole() -> None:
    for tables in (OWN, (standard_table(0, 80), OWN[1]), (standard_table(1, 80),) * 2, OWN[:1]):
        assert standard_qualities(tables) is None
    assert standard_qualities(()) is None


@pytest.mark.parametrize("tables", [OWN, _tables(40), _tables(92, "L"), ()])
def test_the_way_a_jpeg_was_written_comes_back(tables: tuple[tuple[int, ...], ...]) -> None:
    for subsampling, progressive, segments in product(
        (None, "4:4:4", "4:2:2", "4:2:0"), (True, False), (b"", b"\xff\xfe\x00\x03!")
    ):
        traits = JpegTraits(
            quantisation=tables,
            subsampling=subsampling,
            progressive=progressive,
            segments=segments,
        )
        document = json.loads(json.dumps(Carried(traits=Traits(jpeg=traits)).to_json()))
        assert Carried.from_json(document).traits.jpeg == traits
        packed = compact_parts.pack_jpeg(document["jpeg"])
        assert (packed is None) == (tables in (OWN, ()) or bool(segments))
        if packed is not None:
            assert len(packed) <= 8
            assert compact_parts.unpack_jpeg(packed) == document["jpeg"]


@pytest.mark.parametrize("qualities", [[0], [101], [75] * 5, [7.5], ["75"], 75])
def test_qualities_that_no_file_has_are_refused(qualities: object) -> None:
    jpeg = {"qualities": qualities, "subsampling": None, "progressive": False}
    with pytest.raises(MetadataError):
        Carried.from_json({"jpeg": jpeg})
