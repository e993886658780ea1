"""Why sources were kept or put into quarantine, counted by kinds of reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

EXAMPLES: Final = 5
"""Number of example keys shown for each kind, those that sort first."""

MAX_KINDS: Final = 500
"""Most kinds that are told apart: reasons may contain keys, of which there are millions."""

OTHER: Final = "other reasons"

_NUMBER: Final = r"[0-9]+([.,][0-9]+)*"
_LONGEST: Final = 400
"""Number of leading characters of a reason that are compared."""


@dataclass(slots=True)
class Kind:
    """Reasons that differ in their numbers only."""

    state: str
    """`kept` or `quarantined`."""
    error_class: str
    """Class of the error; empty where there was none."""
    pattern: str
    """The reason, with every number replaced by …."""
    by_target: Counter[str] = field(default_factory=Counter)
    """Number of sources, by target."""
    examples: dict[str, str] = field(default_factory=dict)
    """Full reasons, by source key."""

    @property
    def count(self) -> int:
        """Rows of the catalog."""
        return self.by_target.total()

    @property
    def text(self) -> str:
        """The reason itself where the examples agree on it, else the pattern."""
        reasons = set(self.examples.values())
        return reasons.pop() if len(reasons) == 1 and self.pattern != OTHER else self.pattern


@dataclass(slots=True)
class Reasons:
    """Kinds of reasons, gathered from batches of catalog rows."""

    kinds: dict[tuple[str, str, str], Kind] = field(default_factory=dict)

    def add(self, rows: pa.Table) -> None:
        """Count rows that are not archived.

        Args:
            rows: With source_key, target, state, reason and error_class.
        """
        reason = pc.utf8_slice_codeunits(pc.fill_null(rows["reason"], ""), 0, _LONGEST)
        named = pa.table(
            {
                "state": rows["state"],
                "error_class": pc.fill_null(rows["error_class"], ""),
                "pattern": pc.replace_substring_regex(reason, _NUMBER, "…"),
                "target": rows["target"],
                "source_key": rows["source_key"],
                "reason": reason,
            }
        )
        counts = named.group_by(["state", "error_class", "pattern", "target"]).aggregate(
            [([], "count_all")]
        )
        for entry in counts.to_pylist():
            kind = self._kind(entry["state"], entry["error_class"], entry["pattern"])
            kind.by_target[entry["target"]] += entry["count_all"]
        for entry in _first_of_each(named).to_pylist():
            kind = self._kind(entry["state"], entry["error_class"], entry["pattern"])
            kind.examples[entry["source_key"]] = entry["reason"]
            if len(kind.examples) > EXAMPLES:
                del kind.examples[max(kind.examples)]

    def _kind(self, state: str, error_class: str, pattern: str) -> Kind:
        name = (state, error_class, pattern)
        if name not in self.kinds and len(self.kinds) >= MAX_KINDS:
            name = (state, "", OTHER)
        return self.kinds.setdefault(name, Kind(*name))

    def of(self, state: str) -> list[Kind]:
        """The kinds of one state, the most frequent first."""
        kinds = [kind for kind in self.kinds.values() if kind.state == state]
        return sorted(kinds, key=lambda kind: (-kind.count, kind.error_class, kind.pattern))


def _first_of_each(named: pa.Table) -> pa.Table:
    """Of each kind, the rows of the keys that sort first."""
    if not named.num_rows:
        return named
    kind = pc.binary_join_element_wise(
        named["state"], named["error_class"], named["pattern"], "\x1f"
    )
    table = named.append_column("kind", kind).sort_by(
        [("kind", "ascending"), ("source_key", "ascending")]
    )
    new_kind = _changes(table["kind"])
    # A source in quarantine has a row for each target: one of them is enough.
    distinct = new_kind | _changes(table["source_key"])
    table, starts = table.filter(pa.array(distinct)), np.flatnonzero(new_kind[distinct])
    lengths = np.diff(np.append(starts, table.num_rows))
    place = np.arange(table.num_rows) - np.repeat(starts, lengths)
    return table.filter(pa.array(place < EXAMPLES))


def _changes(column: pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each value differs from the one before; the first always does."""
    values = column.combine_chunks()
    differs = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate(([True], differs.astype(bool)))
