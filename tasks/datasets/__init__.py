"""Archives as datasets of torch: their images go straight into training, restored or as stored.

    from tasks.datasets import ArchiveDataset

    pairs = ArchiveDataset("s3://bucket/archive", where="psnr_y > 34", size=(256, 256))

The catalog is read once, where the dataset is made. What reads images (connections, networks) is
opened by the process that uses it, when it uses it, so that a DataLoader may fork its workers or
spawn them; nothing that was opened before is used after.
"""

from __future__ import annotations

from tasks.datasets.mapped import ArchiveDataset, Sample, SampleError
from tasks.datasets.reader import Size
from tasks.datasets.stream import ArchiveStream

__all__ = ["ArchiveDataset", "ArchiveStream", "Sample", "SampleError", "Size"]
