"""Plans that serve most collections, as the TOML an owner could have written.

`refold archive --preset NAME` uses them; `refold plan --show NAME` prints them to start from.
"""

from __future__ import annotations

from typing import Final

THUMBNAILS: Final = """\
# Two sizes of previews. Nothing can be restored from them: the sources stay what they are.
[[targets]]
target = "long-edge=256"

[[targets]]
target = "long-edge=1024"
"""

BALANCED: Final = """\
# 34 dB, in few bytes: whatever wins, photo by photo. The preset `smallest` saves more, and takes
# six times as long.
[[targets]]
target = "x2"
floor = { psnr_y = 34 }
candidates = [
  { rescaler = "none", codec = "avif-420", quality = { min = 10, max = 95 }, \
restorer = "restorer-avif" },
  { rescaler = "none", codec = "webp", quality = { min = 10, max = 98 } },
  { rescaler = "none", codec = "jxl", quality = { min = 20, max = 97 } },
  { rescaler = "lanczos", codec = "avif", quality = 20, restorer = "layered-avif-lite", \
residual = { luma = true, quality = { min = 10, max = 95 } } },
  { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
]

[[targets]]
target = "long-edge=256"
"""

SMALLEST: Final = """\
# 34 dB, in the fewest bytes there are, for who has the hours: an encoder that works ten times as
# long as that of `balanced`, and a larger restorer for what slow encoders leave.
[[targets]]
target = "x2"
floor = { psnr_y = 34 }
candidates = [
  { rescaler = "none", codec = "avif-420", effort = 7, quality = { min = 10, max = 95 }, \
restorer = "restorer-avif-slow" },
  { rescaler = "lanczos", codec = "avif", effort = 7, quality = 20, \
residual = { effort = 7, luma = true, quality = { min = 10, max = 95 } } },
  { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
]

[[targets]]
target = "long-edge=256"
"""

VIEWABLE: Final = """\
# Every file is a small image to look at, and 34 dB come back from it, in about as many bytes as
# full-size AVIF alone takes: a network enlarges the image, another filters the sum with what that
# missed.
[[targets]]
target = "x2"
floor = { psnr_y = 34 }
candidates = [
  { rescaler = "lanczos", codec = "avif", quality = 20, restorer = "layered-avif-lite", \
residual = { luma = true, quality = { min = 10, max = 95 } } },
  { rescaler = "lanczos", codec = "avif", quality = 20, \
residual = { luma = true, quality = { min = 10, max = 95 } } },
]
"""

FAITHFUL: Final = """\
# 40 dB and structure kept: differences can be measured, hardly seen.
[[targets]]
target = "x2"
floor = { psnr_y = 40, ssim_y = 0.97 }
candidates = [
  { rescaler = "none", codec = "avif-420", quality = { min = 40, max = 100 }, \
restorer = "restorer-avif" },
  { rescaler = "none", codec = "avif", quality = { min = 40, max = 100 } },
  { rescaler = "none", codec = "webp", quality = { min = 60, max = 100 } },
  { rescaler = "none", codec = "jxl", quality = { min = 50, max = 99 } },
  { rescaler = "lanczos", codec = "avif-420", quality = [20, 40], \
residual = { quality = { min = 20, max = 100 } } },
  { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
  { rescaler = "none", codec = "webp-lossless", sources = "other" },
  { rescaler = "repack", codec = "webp", quality = 80 },
]

[[targets]]
target = "long-edge=256"
"""

LOSSLESS: Final = """\
# Nothing is lost. A JPEG comes back as the very file it was, or is kept; of others every sample.
# What is deep, moving, of palettes, CMYK or several pages comes back as the file it was.
[[targets]]
target = "x1"
floor = { max_abs_error = 0 }
candidates = [
  { rescaler = "jpeg-transcode", codec = "jxl-lossless" },
  { rescaler = "none", codec = "webp-lossless", sources = "other" },
  { rescaler = "none", codec = "jxl-lossless", sources = "other" },
  { rescaler = "none", codec = "png", sources = "other" },
  { rescaler = "repack", codec = "webp", quality = 80 },
]
"""

DEFAULT: Final = "balanced"
"""What is done where nothing is stated: few bytes at a quality that holds, and a preview."""

PRESETS: Final = {
    "thumbnails": THUMBNAILS,
    "balanced": BALANCED,
    "smallest": SMALLEST,
    "viewable": VIEWABLE,
    "faithful": FAITHFUL,
    "lossless": LOSSLESS,
}
