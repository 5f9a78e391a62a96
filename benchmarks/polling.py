"""What the tasks endpoint costs: polls of a live chain, against a bare Falcon app that GETs one Redis key.

    python benchmarks/polling.py [--seconds 0.5] [--rounds 40] [--clients 16]

Both run under gunicorn with one uvicorn worker each and the same settings, on the same Redis, and are asked
in turn, a moment each, so that noise is shared. Processor time of the workers is told beside, as it is
less moved by what else the machine does. The bare app's key holds the same status array. The
clients are keep-alive connections of one process that speaks HTTP/1.1 by hand. Then 10,000 polls are
counted against the statements of PostgreSQL. Uses REDIS_URL (a database that may be flushed) where given.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests"), str(HERE)]

from servers import PostgresServer, RedisServer, free_port, fresh_database  # noqa: E402

from db.board import Board  # noqa: E402
from db.chains import Place, StagePlan, encode  # noqa: E402
from db.connection import open_database  # noqa: E402
from db.keys import Keys  # noqa: E402
from db.migrate import migrate  # noqa: E402
from db.redis_client import ThreadClients  # noqa: E402

CHAIN = "polled-chain"
PATH = f"/api/v1/tasks/ai-pipeline/{CHAIN}/tasks"
SYSTEMS = {"bare": "polling_bare:app", "callboard": "api.main:app"}


class Server:
    """One gunicorn with one uvicorn worker."""

    def __init__(self, target: str, environment: dict[str, str]) -> None:
        self.port = free_port()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the server)
        options = ["-c", "python:api.serve", "--bind", f"127.0.0.1:{self.port}", "--pythonpath", str(HERE)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *options, target],
            cwd=HERE.parent,
            env={**os.environ, **environment},
            stdout=self._log,
            stderr=self._log,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{PATH}", timeout=5) as answer:
                    self.sample = answer.read()
                    return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self._log.seek(0)
                    raise RuntimeError(self._log.read().decode()[-3000:]) from None
                time.sleep(0.1)

    def processor_seconds(self) -> float:
        """What its worker has used."""
        times = [child.cpu_times() for child in psutil.Process(self.process.pid).children()]
        return float(sum(used.user + used.system for used in times))

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


async def ask(port: int, clients: int, seconds: float, most: int | None = None) -> float:
    """Requests a second over ``clients`` connections, for so long or until ``most`` were answered."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    answered, deadline = 0, time.perf_counter() + seconds

    async def client() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < deadline and (most is None or answered < most):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            answered += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return answered / (time.perf_counter() - began)


def post_chain(redis_url: str) -> None:
    """A live chain of four stages, in its second."""
    board = Board(ThreadClients(redis_url), Keys())
    names = ("데이터 전처리", "특성 추출", "모델 추론", "후처리")
    plan = [
        StagePlan(name, [{"name": name, "task_id": name, "task_name": name, "queue_name": "default"}])
        for name in names
    ]
    board.apply(board.post(CHAIN, "polled", plan))
    first, second = (Place(CHAIN, number, 0, names[number - 1]) for number in (1, 2))
    begun = board.begin(first, actor="a", worker="w", retries=0)
    board.apply(board.finish(first, begun.token, encode({"execution_time": 4.2}), "{}"))
    begun = board.begin(second, actor="a", worker="w", retries=0)
    board.progress(second, begun.token, 50, encode({"substep": "벡터화"}), None)


@dataclass
class Measured:
    """One system's rounds: requests a second of each; and all requests and processor seconds."""

    rates: list[float] = field(default_factory=list)
    requests: float = 0
    processor: float = 0

    @property
    def micros(self) -> float:
        """Microseconds of the processor for one request."""
        return self.processor / self.requests * 1e6


def measure(servers: dict[str, Server], arguments: argparse.Namespace) -> dict[str, Measured]:
    """Round by round, each system first in every other one; a warm-up goes before."""
    found = {name: Measured() for name in servers}
    for server in servers.values():
        asyncio.run(ask(server.port, arguments.clients, 1.0))
    for number in range(arguments.rounds):
        for name in list(servers) if number % 2 else list(reversed(servers)):
            server, one = servers[name], found[name]
            before, began = server.processor_seconds(), time.perf_counter()
            rate = asyncio.run(ask(server.port, arguments.clients, arguments.seconds))
            one.requests += rate * (time.perf_counter() - began)
            one.processor += server.processor_seconds() - before
            one.rates.append(rate)
    return found


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = os.environ.get("REDIS_URL") or f"{stack.enter_context(RedisServer()).url}/0"
        postgres = stack.enter_context(PostgresServer())
        database = stack.enter_context(fresh_database(postgres.url))
        home = stack.enter_context(tempfile.TemporaryDirectory())
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        migrate(open_database(database))
        post_chain(url)
        environment = {"REDIS_URL": url, "DATABASE_URL": database, "CALLBOARD_HOME": home, "POLLED": CHAIN}
        servers = {name: Server(target, environment) for name, target in SYSTEMS.items()}
        try:
            found = measure(servers, arguments)
            before = postgres.statements()
            asyncio.run(ask(servers["callboard"].port, arguments.clients, 600, 10_000))
            statements = postgres.statements() - before
        finally:
            for server in servers.values():
                server.stop()
    table = Table(title=f"Polls of a live chain, {arguments.clients} connections, one worker process")
    for column in ("system", "requests/s (median)", "worst", "best", "processor µs/request"):
        table.add_column(column, justify="left" if column == "system" else "right")
    for name, one in found.items():
        rates = (statistics.median(one.rates), min(one.rates), max(one.rates))
        table.add_row(name, *(f"{rate:,.0f}" for rate in rates), f"{one.micros:,.1f}")
    bare, ours = found["bare"], found["callboard"]
    ratio = statistics.median(ours.rates) / statistics.median(bare.rates)
    console = Console()
    console.print(table)
    console.print(
        f"requests/s, callboard / bare: {ratio:.3f} (by processor time: {bare.micros / ours.micros:.3f})"
    )
    console.print(f"SQL statements during 10,000 polls: {statements}")


if __name__ == "__main__":
    main()
