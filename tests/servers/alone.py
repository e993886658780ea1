"""A network of its own for a command, where all that would leave the machine is written down.

Run as `unshare -rn python alone.py LOG COMMAND…`: the only ways out of the new network are loopback
and a device at whose other end this module reads, look-ups of names included.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from threading import Thread

_TUNSETIFF, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


def main(log: str, *command: str) -> int:
    """Run a command; a line of the log says the protocol and address of each packet."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", b"out", _TUN_WITHOUT_HEADER))
    for order in (
        "link set lo up",
        "link set out up",
        "address add 198.51.100.1/24 dev out",
        "route add default dev out",
    ):
        subprocess.run(["ip", *order.split()], check=True)
    Thread(target=_write_down, args=(device, log), daemon=True).start()
    return subprocess.call(command)


def _write_down(device: int, log: str) -> None:
    with open(log, "w", buffering=1) as lines:
        while packet := os.read(device, 65536):
            if packet[0] >> 4 != 4:  # what IPv6 does by itself when a device comes up
                continue
            header = 4 * (packet[0] & 15)
            protocol = _PROTOCOLS.get(packet[9], str(packet[9]))
            port = struct.unpack("!H", packet[header + 2 : header + 4])[0]
            lines.write(f"{protocol} {socket.inet_ntoa(packet[16:20])}:{port}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
