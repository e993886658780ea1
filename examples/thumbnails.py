"""Print the preview of every photo, as JSON: thumbnails.py ARCHIVE TARGET."""

import json
import sys

from deltalake import DeltaTable

archive, target = sys.argv[1:]
table = DeltaTable(f"{archive}/catalog/renditions").to_pyarrow_dataset()
rows = table.to_table(columns=["source_key", "target", "state", "lr_key"]).to_pylist()
paths = {
    row["source_key"]: row["lr_key"]
    for row in rows
    if row["target"] == target and row["state"] == "archived"
}
print(json.dumps(dict(sorted(paths.items())), indent=2))
