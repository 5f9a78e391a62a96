"""The proxy forwards, cuts, refuses and stalls."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from callboard.chaos.proxy import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1000):
                    connection.sendall(data)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with Proxy(server.getsockname()[1]) as proxy:
        yield proxy
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def test_what_is_sent_comes_back(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"line")
        assert client.recv(100) == b"line"


def test_a_cut_resets_what_is_open_and_takes_new_connections(proxy: Proxy) -> None:
    with connect(proxy) as client:
        client.sendall(b"line")
        assert client.recv(100) == b"line"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    with connect(proxy) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def test_while_it_refuses_nobody_gets_in(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.restore()
    with connect(proxy) as client:
        client.sendall(b"line")
        assert client.recv(100) == b"line"


def test_while_it_stalls_nothing_gets_through_and_nothing_is_lost(proxy: Proxy) -> None:
    with connect(proxy) as client:
        proxy.stall()
        client.sendall(b"line")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.restore()
        client.settimeout(10)
        assert client.recv(100) == b"line"
