"""Source files of any kind in fewer bytes, from which the very file comes back.

What cannot go through networks and codecs (deep, palette, CMYK and moving pictures, several pages)
is not decoded to a picture here: its file is taken apart, its samples are predicted and coded, all
other bytes are compressed, and it is put together again. Of a PNG the compression itself is not
kept: every chunk comes back byte for byte, but for how its rows were deflated.
"""

from rescaling_core.repack.deep import DeepFile, deep_file
from rescaling_core.repack.deep_pack import DeepPack, DeepPacker
from rescaling_core.repack.pack import MOST_UNPACKED, pack, same_file, unpack

__all__ = [
    "MOST_UNPACKED",
    "DeepFile",
    "DeepPack",
    "DeepPacker",
    "deep_file",
    "pack",
    "same_file",
    "unpack",
]
