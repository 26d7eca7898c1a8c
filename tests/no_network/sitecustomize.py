"""With this folder on PYTHONPATH, no Python (nor its children) reaches anything but this machine.

An audit hook sees every name looked up and every address connected to, below whatever library asks.
"""

import errno
import sys

LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
SENDS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _stays_here(host) -> bool:
    if host is None or host == "":
        return True
    host = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    if host.startswith("127.") and host.replace(".", "").isdigit():
        return True
    if host.split("%")[0] in ("::1", "::ffff:127.0.0.1", "0.0.0.0", "::"):  # the last two are where a server listens
        return True
    import socket

    return host == socket.gethostname()  # a kernel asks who it is


def _watch(event, arguments):
    if event in LOOKUPS:
        host = arguments[0]
    elif event in SENDS:
        address = arguments[1]
        # Unix sockets have a path, and a message on a connected socket has no address: its connect was seen.
        host = address[0] if isinstance(address, tuple) and address and isinstance(address[0], (str, bytes)) else None
    else:
        return
    if not _stays_here(host):
        raise OSError(errno.ENETUNREACH, f"blocked: tests and notebooks run without a network (asked for {host})")


sys.addaudithook(_watch)
