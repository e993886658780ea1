"""An FTP server of a few verbs, for one folder, which can fall silent after the log-in."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server, socket
from threading import Thread

_ANSWERS = {"USER": "230 welcome", "TYPE": "200 so be it"}


class _Session(socketserver.StreamRequestHandler):
    """What one client asks for on its connection, one thing after the other."""

    server: _Server

    def handle(self) -> None:
        self._say("220 good day")
        channel: socket | None = None
        while line := self.rfile.readline().decode().strip():
            verb, _, argument = line.partition(" ")
            if verb != "USER" and self.server.silent:
                continue
            if verb in _ANSWERS:
                self._say(_ANSWERS[verb])
            elif verb in ("PASV", "EPSV"):
                channel = create_server(("127.0.0.1", 0))
                port = channel.getsockname()[1]
                told = {
                    "EPSV": f"229 (|||{port}|)",
                    "PASV": f"227 (127,0,0,1,{port >> 8},{port & 255})",
                }
                self._say(told[verb])
            elif argument.endswith("/locked") and channel is not None:
                channel.close()
                channel = None
                self._say("550 not for you")
            elif verb in ("MLSD", "LIST", "RETR") and channel is not None:
                self._send(channel, verb, self.server.folder / argument.strip("/"))
                channel = None
            else:
                self._say("502 not here")

    def _send(self, channel: socket, verb: str, path: Path) -> None:
        """A file, or what is in a folder; to `LIST`, which only asks whether it may, nothing."""
        if not path.exists():
            channel.close()
            self._say("550 no such thing")
            return
        self._say("150 here it comes")
        data = b""
        if verb == "RETR":
            data = path.read_bytes()
        elif verb == "MLSD":
            data = "".join(map(_fact, path.iterdir())).encode()
        with channel, channel.accept()[0] as taker:
            taker.sendall(data)
        self._say("226 done")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, folder: Path, silent: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.folder, self.silent = folder, silent


def _fact(path: Path) -> str:
    kind = "dir" if path.is_dir() else "file"
    return f"type={kind};size={path.stat().st_size};modify=20260102030405; {path.name}\r\n"


@contextmanager
def ftp_server(folder: Path, *, silent: bool = False) -> Iterator[str]:
    """Serve a folder; yields its URL. Nobody may look into folders that are called `locked`.

    Args:
        folder: What is served.
        silent: Whether nothing is answered but the greeting and the name.
    """
    with _Server(folder, silent) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"ftp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
