"""What tracking costs: four stages that do nothing, tracked by Callboard, against a bare Dramatiq pipeline.

    python benchmarks/overhead.py [--chains 500] [--rounds 3] [--threads 8] [--processes 1,2]

Both systems run in turn on the same Redis, so that noise is shared; Callboard also keeps its ledger in
PostgreSQL. In a round the chains are enqueued while the workers are stopped (SIGSTOP); the time runs from
SIGCONT to the last chain's last stage. Round trips are reads on Redis' sockets, statements are what
PostgreSQL counts between those two moments and the last row; the start of chains is counted apart.
Uses REDIS_URL (a database that may be flushed) and DATABASE_URL where given, else servers of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import redis
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

from servers import PostgresServer, RedisServer  # noqa: E402

DONE = "overhead:done"
SYSTEMS = ("bare", "tracked")


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until ``condition`` holds.

    Raises:
        TimeoutError: it did not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)


class Workers:
    """A ``dramatiq`` master with its processes, stopped and continued as one."""

    def __init__(self, system: str, processes: int, threads: int) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the workers)
        command = [
            sys.executable,
            "-m",
            "dramatiq",
            "overhead_stages",
            "-p",
            str(processes),
            "-t",
            str(threads),
        ]
        self.process = subprocess.Popen(
            command,
            cwd=HERE,
            env={**os.environ, "OVERHEAD_SYSTEM": system},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the tree."""
        root = psutil.Process(self.process.pid)
        for process in [root, *root.children(recursive=True)]:
            process.send_signal(number)

    def seconds(self) -> float:
        """CPU seconds, user and system, that the processes have taken."""
        root = psutil.Process(self.process.pid)
        times = [process.cpu_times() for process in [root, *root.children(recursive=True)]]
        return sum(one.user + one.system for one in times)

    def end(self) -> None:
        """End all of them."""
        self.signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Starter:
    """A process that starts chains when told to, so that both systems can be driven from here."""

    def __init__(self, system: str) -> None:
        code = (
            "import sys, overhead_stages as s\nfor line in sys.stdin: s.start(int(line)); print(flush=True)"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=HERE,
            env={**os.environ, "OVERHEAD_SYSTEM": system},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, count: int) -> None:
        """Start ``count`` chains and return when they are enqueued."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)


def reads(client: redis.Redis) -> int:
    """Reads on Redis' sockets so far."""
    facts: Any = client.info("stats")
    return int(facts["total_reads_processed"])


def redis_cpu(client: redis.Redis) -> float:
    """CPU seconds that Redis has taken."""
    facts: Any = client.info("cpu")
    return float(facts["used_cpu_user"] + facts["used_cpu_sys"])


def postgres_cpu() -> float:
    """CPU seconds that this machine's PostgreSQL processes have taken."""
    seconds = 0.0
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if process.info["name"] == "postgres" and times:
            seconds += times.user + times.system
    return seconds


def measure(  # noqa: PLR0915 (one run, told from its start to its end)
    system: str, processes: int, options: argparse.Namespace, statements: Callable[[], int]
) -> Any:
    """One run of one system."""
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    workers, starter = Workers(system, processes, options.threads), Starter(system)
    figures: dict[str, Any] = {"system": system, "processes": processes}
    polls = 0

    def done(count: int) -> bool:
        nonlocal polls
        polls += 1
        length: Any = client.llen(DONE)
        return int(length) >= count

    def single(count: int, rest: float) -> float:
        times = []
        for _ in range(count):
            time.sleep(rest)
            begun = time.perf_counter()
            starter.start(1)
            client.blpop([DONE], 30)
            times.append((time.perf_counter() - begun) * 1000)
        return statistics.median(times)

    def settled() -> bool:
        return system == "bare" or not client.xlen("callboard:events")

    try:
        warm = 4 * processes * options.threads
        starter.start(warm)
        wait(lambda: done(warm), 60, "warm-up")
        client.delete(DONE)
        if processes == 1:
            figures["p50_ms"] = single(options.singles, 0)
            figures["rest_p50_ms"] = single(options.rests, 2.0)
        wait(settled, 30, "the ledger")
        time.sleep(0.3)
        client.delete(DONE)
        workers.signal(signal.SIGSTOP)
        reads_before, statements_before = reads(client), statements()
        begun = time.perf_counter()
        starter.start(options.chains)
        figures["start_per_s"] = options.chains / (time.perf_counter() - begun)
        starts = reads(client) - reads_before
        statements_started = statements()
        polls = 0
        seconds, redis_seconds, postgres_seconds = workers.seconds(), redis_cpu(client), postgres_cpu()
        workers.signal(signal.SIGCONT)
        begun = time.perf_counter()
        wait(lambda: done(options.chains), 120, "the last chain")
        figures["chains_per_s"] = options.chains / (time.perf_counter() - begun)
        figures["cpu_ms"] = (workers.seconds() - seconds) / options.chains * 1000
        figures["redis_ms"] = (redis_cpu(client) - redis_seconds) / options.chains * 1000
        figures["postgres_ms"] = (postgres_cpu() - postgres_seconds) / options.chains * 1000
        wait(settled, 30, "the ledger")
        # Less what this script asks: its polls, and the probe that each last stage pushes.
        trips = reads(client) - reads_before - polls - options.chains - 4
        figures["trips"] = trips / options.chains
        figures["trips_of_start"] = starts / options.chains
        figures["statements"] = (statements() - statements_started) / options.chains
        figures["statements_of_start"] = (statements_started - statements_before) / options.chains
    finally:
        workers.end()
        starter.end()
        client.flushdb()
    return figures


def main() -> None:
    """Run all rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--singles", type=int, default=40)
    parser.add_argument("--rests", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        if "REDIS_URL" not in os.environ:
            os.environ["REDIS_URL"] = stack.enter_context(RedisServer()).url
        statements: Callable[[], int] = lambda: 0  # noqa: E731
        if "DATABASE_URL" not in os.environ:
            postgres = stack.enter_context(PostgresServer())
            os.environ["DATABASE_URL"] = postgres.url
            statements = postgres.statements
        os.environ.pop("WORKFLOWS", None)
        subprocess.run([sys.executable, "-m", "callboard", "migrate"], check=True, stdout=subprocess.DEVNULL)
        runs = []
        for number in range(options.rounds):
            for processes in map(int, options.processes.split(",")):
                # The order turns with the round, so that neither system always goes first.
                for system in SYSTEMS if number % 2 else reversed(SYSTEMS):
                    runs.append(measure(system, processes, options, statements))
                    print(json.dumps(runs[-1]), file=sys.stderr)
    report(runs, options)


def report(runs: list[Any], options: argparse.Namespace) -> None:
    """Print medians, and ratios to the bare pipeline."""

    def median(system: str, processes: int, figure: str) -> float | None:
        values = [
            run[figure]
            for run in runs
            if run["system"] == system and run["processes"] == processes and figure in run
        ]
        return statistics.median(values) if values else None

    figures = (
        "chains_per_s",
        "cpu_ms",
        "redis_ms",
        "postgres_ms",
        "p50_ms",
        "rest_p50_ms",
        "trips",
        "trips_of_start",
        "statements",
        "statements_of_start",
    )
    table = Table(title=f"four no-op stages, {options.chains} chains, {options.threads} threads a process")
    for column in ("processes", "system", *figures, "throughput ratio"):
        table.add_column(column)
    results = []
    for processes in sorted({run["processes"] for run in runs}):
        for system in SYSTEMS:
            values = {figure: median(system, processes, figure) for figure in figures}
            bare = median("bare", processes, "chains_per_s")
            assert bare is not None
            assert values["chains_per_s"] is not None
            ratio = values["chains_per_s"] / bare
            results.append({"processes": processes, "system": system, "ratio": ratio, **values})
            shown = ["-" if values[figure] is None else f"{values[figure]:.2f}" for figure in figures]
            table.add_row(str(processes), system, *shown, f"{ratio:.2f}")
    if options.json:
        print(json.dumps(results))
    else:
        Console(width=150).print(table)


if __name__ == "__main__":
    main()
