"""The socket of remoted where the kernel has no IPv6."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from ossec.remoted import daemon


def test_a_kernel_without_ipv6_is_served_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int, *rest: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    opened = daemon._open_socket(socket.SOCK_DGRAM, None)
    assert opened.family == socket.AF_INET
    opened.close()
    with pytest.raises(OSError, match="not supported"):
        daemon._open_socket(socket.SOCK_DGRAM, "2001:db8::1")
