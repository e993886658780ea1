"""Ending on SIGTERM, SIGHUP and Ctrl-C: one sentence, nothing left behind, the signal's exit code.

Prefect and Ray put handlers of their own in place of the command's, and give them back at times of
their choosing. So what has to happen in any case does not hang on a handler: Python writes the
number of every signal into a pipe as well, which a thread of this module reads.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress
from threading import Event, Thread, Timer
from types import FrameType
from typing import Final, NoReturn

import psutil

from flows.cli import reaper
from flows.cli.exits import Exit

EXITS: Final = {
    signal.SIGHUP: Exit.HANGUP,
    signal.SIGINT: Exit.INTERRUPTED,
    signal.SIGTERM: Exit.TERMINATED,
}

PATIENCE: Final = 6.0
"""Seconds for an orderly end. After that, children are killed: within the ten seconds that
`docker stop` allows, which is the least of the usual supervisors."""


_TURN: Final = 1.0
"""Seconds until a thread that has something to do has done it, on a busy machine too."""


class EndedBySignal(KeyboardInterrupt):
    """Raised where the command is when it is told to end. What is not committed is dropped."""


class _Received:
    """The first signal that told this command to end."""

    code: Exit | None = None
    said: Event = Event()
    """Whether the sentence about it has been written."""


def watch() -> None:
    """Begin to listen; from the main thread, before anything is started."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in EXITS:
        # What nohup or a shell's `&` made ignored stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    Thread(target=_listen, args=(reading,), name="signals", daemon=True).start()


def exit_code() -> Exit | None:
    """That of the signal which told this command to end, or None."""
    return _Received.code


def was_told() -> None:
    """Wait until the signal that interrupted this command has been said, if it was one.

    The main thread may be through with its work before the thread that listens has its turn.
    """
    _Received.said.wait(_TURN)


def leave(code: int) -> NoReturn:
    """End this process, with this exit code and no other.

    The interpreter is not taken down piece by piece: threads that libraries have running by then
    can abort it, or wait for a server that is gone, and the exit code would tell of that.
    """
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise EndedBySignal(signal.Signals(number).name)


def _listen(pipe: int) -> None:
    while numbers := os.read(pipe, 64):
        for number in numbers:
            if number not in EXITS:
                continue
            if _Received.code is not None:  # told again: no more patience
                _end_now()
            _Received.code = EXITS[signal.Signals(number)]
            _say(signal.Signals(number).name)
            _Received.said.set()
            timer = Timer(PATIENCE, _end_now)
            timer.daemon = True
            timer.start()


def _say(name: str) -> None:
    """Straight to the file: the main thread may hold any lock."""
    sentence = f"refold: ended by {name}; what was committed counts, and the next run goes on\n"
    os.write(sys.stderr.fileno(), b"\n" * sys.stderr.isatty() + sentence.encode())


def _end_now() -> NoReturn:
    """End this process and all that it started."""
    assert _Received.code is not None
    for child in descendants():
        try:
            child.kill()
        except psutil.Error:
            continue
    os._exit(_Received.code)


def descendants() -> list[psutil.Process]:
    """What this command has started and what that has, by parents and by the mark they inherit."""
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    known = {process.pid for process in found} | {os.getpid()}
    mark = os.environ.get(reaper.MARK)
    return found + (reaper.left_behind(mark, known) if mark else [])
