"""Plans name the new codec, and what is stored in it is measured, restored, and found again."""

import hashlib
import io

import numpy as np
from PIL import Image

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec, attachment
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.metadata import names_restoration, read_metadata
from rescaling_core.photo import decode_photo
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from tasks.plans.toml import read_plan

PLAN = """
[[targets]]
target = "x2"
floor = { psnr_y = 36 }
candidates = [{ rescaler = "none", codec = "jp2", quality = { min = 20, max = 59 } }]

[[targets]]
target = "x4"
floor = { psnr_y = 34 }
candidates = [{ rescaler = "bicubic", codec = "jp2-lossless", residual = RESIDUAL }]
"""
RESIDUAL = '{ codec = "jp2", quality = { min = 20, max = 59 } }'


def models(name: str, weights_sha256: str | None = None) -> zoo.LoadedRescaler:
    """Give the filters and networks that ship with Refold."""
    return zoo.load(name)


y, x = np.mgrid[:120, :160]
noise = np.random.default_rng(0).integers(0, 12, (120, 160, 3))
pixels = np.clip(np.stack((x, y, x + y), axis=2) % 200 + noise, 0, 255).astype(np.uint8)
buffer = io.BytesIO()
Image.fromarray(pixels).save(buffer, "BMP")
data = buffer.getvalue()
source = SourceRef(
    key="photo.bmp", etag="1", size=len(data), sha256=hashlib.sha256(data).hexdigest()
)

for text in ("jp2", "jp2-lossless"):
    assert str(CodecSpec.parse(text)) == text
for shape in (pixels, pixels[..., :1]):
    coded = codecs.encode(shape, CodecSpec.parse("jp2-lossless"))
    assert np.array_equal(codecs.decode(coded), shape)

plan = read_plan(PLAN.replace("RESIDUAL", RESIDUAL), name="plan")
for target in plan.targets:
    photo = decode_photo(data, max_pixels=10**6)
    made = convert(photo, source, target, models, software="example")
    assert isinstance(made, Rendition), made
    assert made.extension == ".jp2"
    assert names_restoration(made.lr_data)
    assert read_metadata(made.lr_data) == made.metadata
    assert (attachment.read(made.lr_data, "rsdl") is None) == (target.target.name == "x2")
    restored = restore(made.lr_data, models).pixels
    assert metrics.psnr_y(restored, pixels) == made.metadata.psnr_y >= target.floor.psnr_y
    with Image.open(io.BytesIO(made.lr_data)) as image:
        assert (image.format, image.size) == (
            "JPEG2000",
            (made.metadata.lr_width, made.metadata.lr_height),
        )
print("ok")
