"""The sources that were restored worst: catalog_polars.py ARCHIVE."""

import sys

import polars as pl

rows = pl.scan_delta(f"{sys.argv[1]}/catalog/renditions")
worst = (
    rows.filter(pl.col("psnr_y").is_not_null())
    .select("source_key", "target", "codec", "psnr_y", "lr_bytes")
    .sort("psnr_y")
    .head(10)
    .collect()
)
print(worst)
