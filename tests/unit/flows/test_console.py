"""What the command prints, on terminals of any width."""

from __future__ import annotations

import pytest
from rich.table import Table

from flows.cli import console


def _listing() -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold", min_width=24)
    for name in ("target", "state", "size", "LR", "PSNR-Y"):
        table.add_column(name, no_wrap=True)
    table.add_row("roll 3/a photograph with a name.jpg", "x2", "archived", "1 MB", "1 kB", "38.1")
    return table


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_keys_are_seen_on_a_terminal_of_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "out", console._PlainConsole(width=width))
    console.print_table(_listing())
    said = capsys.readouterr().out
    together = "".join(said.split())
    assert "roll3/aphoto" in together
    for cell in ("x2", "archived", "1MB", "1kB", "38.1"):
        assert cell in together
