"""Every mode, depth, format and number of pages: archived, restored, compared, as documented."""

from __future__ import annotations

import pytest

from tests.format_cells import cells, documented, ending, table

pytestmark = pytest.mark.filterwarnings("ignore")


def test_every_cell_ends_as_the_documented_table_says() -> None:
    files = cells()
    assert len(files) >= 120
    assert table({key: ending(data) for key, data in files.items()}) == documented()
