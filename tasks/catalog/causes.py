"""Why a Delta table could not be read or written, in one line."""

from __future__ import annotations

import re
from typing import Final

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_ANSWER: Final = re.compile(r"<Error>.*?<Code>(.*?)</Code>(?:.*?<Message>(.*?)</Message>)?.*", re.S)
_LONGEST: Final = 400


def reason_of(error: BaseException) -> str:
    """What the innermost cause says, such as the code of an S3 server's answer.

    delta-rs writes a tree: each line below another is its cause, marked with an arrow. The first
    one only says that some request failed, and the last ones say why.
    """
    tree = _COLOUR.sub("", str(error)).split("↳")
    levels = [text for level in tree if (text := " ".join(_answer(level).split()))]
    if not levels:
        return type(error).__name__
    causes = levels[1:][-2:]
    text = ": ".join([levels[0].removeprefix("Kernel error -> "), *causes])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _answer(text: str) -> str:
    """An S3 server's answer in XML as `Code: message`; other text as it is."""
    return _ANSWER.sub(lambda found: f"{found[1]}: {found[2] or 'no reason given'}", text)
