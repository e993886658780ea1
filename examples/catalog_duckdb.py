"""How many bytes are stored, by target and state: catalog_duckdb.py ARCHIVE."""

import sys

import duckdb
from deltalake import DeltaTable, QueryBuilder

table = DeltaTable(f"{sys.argv[1]}/catalog/renditions")
rows = QueryBuilder().register("renditions", table).execute("SELECT * FROM renditions")
duckdb.sql("""
    SELECT target, state, count(*) AS sources, sum(source_size)::BIGINT AS source_bytes,
           sum(lr_bytes)::BIGINT AS stored_bytes, round(min(psnr_y), 2) AS least_psnr
    FROM rows GROUP BY ALL ORDER BY ALL
""").show()
