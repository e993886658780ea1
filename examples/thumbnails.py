"""Print the preview of every photo, as JSON: thumbnails.py ARCHIVE TARGET."""

import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

archive, target = sys.argv[1:]
table = DeltaTable(f"{archive}/catalog/renditions")
sql = "SELECT source_key, target, lr_key FROM renditions WHERE state = 'archived'"
rows = pa.table(QueryBuilder().register("renditions", table).execute(sql)).to_pylist()
paths = {row["source_key"]: row["lr_key"] for row in rows if row["target"] == target}
print(json.dumps(dict(sorted(paths.items())), indent=2))
