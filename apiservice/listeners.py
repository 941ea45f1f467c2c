"""The sockets that are listened on: one for an address, and one for each family of addresses where no address is named.

``0.0.0.0`` and ``::`` both mean everything, as they do to the servers of Kubernetes (``--bind-address`` of kube-apiserver): a pod of an
IPv6-only cluster is probed at its IPv6 address, and one of a dual-stack cluster may be asked at both. There are two sockets and not one for
both, so that nobody who comes by IPv4 is seen at an address of IPv6.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Any

__all__ = ["bind"]

_ABSENT = frozenset({errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL})
"""What a host says that has no addresses of a family, or does not know it at all."""

_TRIES = 20
"""How many free ports of one family may be taken in the other."""


def bind(address: str, port: int) -> list[socket.socket]:
    """Sockets bound to an IP address, or to all of them where it is unspecified, all at the same port; 0 takes a free one.

    A family that the host lacks is left out. Raises :class:`OSError` when the address, or in one of the families the port, cannot be had.
    """
    if not ipaddress.ip_address(address).is_unspecified:
        # The zone of an address of IPv6 (fe80::1%eth0) is a number of its own in what is bound.
        family, *_, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0]
        return [_bound(family, where)]
    for _ in range(_TRIES - 1):
        try:
            return _everywhere(port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _everywhere(port)


def _everywhere(port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            # The empty host is every address of the family.
            sockets.append(_bound(family, ("", sockets[0].getsockname()[1] if sockets else port)))
        except OSError as error:
            if error.errno in _ABSENT:
                absent = error
                continue
            for each in sockets:
                each.close()
            raise
    if not sockets and absent is not None:
        raise absent
    return sockets


def _bound(family: int, where: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Connections of a server that has ended do not keep the next one from its port.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(where)
    except BaseException:
        made.close()
        raise
    return made
