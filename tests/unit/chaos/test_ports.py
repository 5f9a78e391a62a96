"""Ports for servers that start later."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from callboard.chaos import servers

#: Another process, which may choose among two ports only.
ANOTHER = """
import sys
from callboard.chaos import servers
servers._PORTS = [int(port) for port in sys.argv[1:]]
print(servers.free_port())
"""


def test_a_port_that_was_given_out_is_nobody_else_s_though_nothing_listens_there_yet() -> None:
    ours = servers.free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", ANOTHER, str(ours), str(free)], capture_output=True, text=True, check=True
        )
        assert int(done.stdout) == free
    with socket.create_server(("127.0.0.1", ours)) as server:
        assert server.getsockname()[1] == ours


def test_many_ports_take_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_MOST_GIVEN", 3)
    monkeypatch.setattr(servers, "_given", type(servers._given)())
    ports = [servers.free_port() for _ in range(20)]
    assert len(servers._given) == 3
    assert all(15_000 <= port < 32_000 for port in ports)
