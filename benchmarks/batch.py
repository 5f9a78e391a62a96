"""Batches: start, speed, memory, fairness and estimates.

    python benchmarks/batch.py [--parts linear,fair,share,estimates] [--images 1000,10000] [--json]

Everything runs on one Redis and one PostgreSQL of its own, with two worker processes, the clock and the API.
``linear`` runs batches of small images, and beside each the same stages as stock Dramatiq pipelines on the
same Redis, all enqueued at once. ``fair`` starts single chains while a large batch runs; their stages, and
the batch's, wait 0.1 s each, as for a model behind HTTP. ``share`` runs two batches side by side.
``estimates`` asks small batches, half-way, when they will end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

from servers import PostgresServer, RedisServer, free_port  # noqa: E402
from waiting import wait_until  # noqa: E402

DONE = "batch:done"
PARTS = ("linear", "fair", "share", "estimates")
PROCESSES, THREADS = 2, 4
MEGABYTE = 1 << 20


def small_png(number: int) -> bytes:
    """A greyscale PNG of 64 × 64 whose brightness tells its number."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\0" + bytes((number + x) % 256 for x in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * 64))
        + chunk(b"IEND", b"")
    )


def draw(folder: Path, count: int) -> list[str]:
    """So many images; what is there already is left."""
    paths = [folder / f"page-{number:06d}.png" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(small_png(number))
    return [str(path) for path in paths]


@contextmanager
def processes(commands: list[list[str]], log: Path, **environment: str) -> Iterator[list[psutil.Process]]:
    """Processes with all that they fork, ended at the end."""
    with log.open("ab") as out:
        started = [
            psutil.Popen(command, cwd=HERE, env={**os.environ, **environment}, stdout=out, stderr=out)
            for command in commands
        ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            with suppress(psutil.TimeoutExpired):
                process.wait(30)


def worker(system: str, module: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of two worker processes."""
    command = [sys.executable, "-m", "dramatiq", module, "-p", str(PROCESSES), "-t", str(THREADS)]
    return command, {"BATCH_SYSTEM": system, "dramatiq_queue_prefetch": str(THREADS)}


def resident(process: psutil.Process) -> float:
    """Megabytes that a process and its children hold."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / MEGABYTE


class House:
    """The tracked side: workers, clock and API that run, and the batches started from here."""

    def __init__(self, client: redis.Redis, port: int, members: list[psutil.Process]) -> None:
        self.client = client
        self.port = port
        self.worker, self.clock, self.web = members

    def start(self, name: str, paths: list[str], **options: Any) -> str:
        """Start a batch."""
        from actors.batches.start import start_batch_pipeline  # noqa: PLC0415

        return start_batch_pipeline(name, paths, **options)

    def ask(self, batch_id: str) -> dict[str, Any]:
        """The batch as the API has it."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.port}/pipeline/batch/{batch_id}", timeout=10
        ) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
        return found

    def wait(
        self, batch_id: str, seconds: float = 900, look: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """The batch once it has ended; ``look`` is called with each answer."""

        def ended() -> dict[str, Any] | None:
            found = self.ask(batch_id)
            if look is not None:
                look(found)
            return found if found["finished_at"] is not None else None

        found: dict[str, Any] = wait_until(ended, seconds, f"batch {batch_id} has not ended", interval=0.1)
        return found

    def memory(self) -> dict[str, float]:
        """Megabytes: workers, API, Redis."""
        facts: Any = self.client.info("memory")
        return {
            "workers": resident(self.worker),
            "api": resident(self.web),
            "redis": facts["used_memory"] / MEGABYTE,
        }


def run_bare(client: redis.Redis, paths: list[str], log: Path) -> float:
    """Seconds that stock pipelines of the same stages take, from the first enqueue to the last end."""
    command, environment = worker("bare", "batch_stages")
    client.delete(DONE)
    with processes([command], log, **environment) as _:
        code = (
            "import sys, dramatiq, batch_stages as s\n"
            "read, weigh = s.ACTORS['read_image'], s.ACTORS['weigh_image']\n"
            "for line in sys.stdin:\n"
            "    dramatiq.pipeline([read.message({'file_path': line.strip()}), weigh.message()]).run()\n"
        )
        run_code(code, paths[:100], "bare")
        wait_until(lambda: client.llen(DONE) >= 100, 60, "the bare workers did not warm up")
        client.delete(DONE)
        begun = time.monotonic()
        starter = threading.Thread(target=run_code, args=(code, paths, "bare"))
        starter.start()
        wait_until(lambda: client.llen(DONE) >= len(paths), 900, "the bare pipelines have not ended")
        seconds = time.monotonic() - begun
        starter.join()
    return seconds


def run_code(code: str, lines: list[str], system: str) -> None:
    """Run a program of ours with lines to read."""
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=HERE,
        env={**os.environ, "BATCH_SYSTEM": system},
        input="\n".join(lines),
        text=True,
        check=True,
    )


def linear(house: House, folder: Path, log: Path, sizes: list[int]) -> list[dict[str, Any]]:
    """Batches of growing size against stock pipelines."""
    found = []
    house.wait(house.start("warm-up", draw(folder, 200), workflow="batch_images"))
    for size in sizes:
        paths = draw(folder, size)
        house.client.delete(DONE)
        memory: list[tuple[float, dict[str, float]]] = []

        def look(status: dict[str, Any], memory: list[Any] = memory) -> None:
            if not memory or status["progress_percentage"] >= memory[-1][0] + 10:
                memory.append((status["progress_percentage"], house.memory()))

        before = house.memory()
        begun = time.monotonic()
        batch_id = house.start(f"{size} images", paths, workflow="batch_images")
        started = time.monotonic() - begun
        status = house.wait(batch_id, look=look)
        seconds = time.monotonic() - begun
        ends = [path.decode() for path in house.client.lrange(DONE, 0, -1)]
        found.append(
            {
                "images": size,
                "start_s": round(started, 2),
                "seconds": round(seconds, 2),
                "images_per_s": round(size / seconds, 1),
                "status": status["status"],
                "completed": status["completed_images"],
                "distinct": len(set(ends)),
                "repeated": len(ends) - len(set(ends)),
                "memory_before": rounded(before),
                "memory": [(percent, rounded(one)) for percent, one in memory],
            }
        )
    with paused(house.worker):
        for one in found:
            seconds = run_bare(house.client, draw(folder, one["images"]), log)
            one["bare_images_per_s"] = round(one["images"] / seconds, 1)
            one["ratio"] = round(one["images_per_s"] / one["bare_images_per_s"], 2)
    per_image = [one["seconds"] / one["images"] for one in found]
    for one, seconds in zip(found, per_image, strict=True):
        one["time_per_image_against_smallest"] = round(seconds / per_image[0], 3)
    return found


@contextmanager
def paused(process: psutil.Process) -> Iterator[None]:
    """A process and its children, stopped."""
    tree = [process, *process.children(recursive=True)]
    for one in tree:
        one.suspend()
    try:
        yield
    finally:
        for one in tree:
            one.resume()


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """Whole megabytes."""
    return {name: round(value) for name, value in figures.items()}


def fair(house: House, folder: Path, images: int, singles: int) -> dict[str, Any]:
    """Single chains while nothing else runs, and while a large batch does."""
    from actors.application import current  # noqa: PLC0415

    workflow = current().workflow("batch_waits")
    client = house.client

    def single(number: int) -> float:
        name = f"single-{number}-{time.monotonic()}"
        begun = time.monotonic()
        chain_id = workflow.start({"file_path": name})

        def ended() -> bool:
            chain = current().status.find(chain_id)
            return chain is not None and chain.status == "SUCCESS"

        wait_until(ended, 120, "a single chain has not ended", interval=0.005)
        return time.monotonic() - begun

    client.delete(DONE)
    idle = [single(number) for number in range(10)]
    batch_id = house.start("large", draw(folder, images), workflow="batch_waits", chunk_size=10)
    time.sleep(5)
    busy = [single(number) for number in range(singles)]
    still_runs = house.ask(batch_id)
    from actors.batches.revoke import revoke_batch  # noqa: PLC0415

    revoke_batch(batch_id)
    house.wait(batch_id, 120)
    stage = float(os.environ.get("BATCH_WAIT", "0.1"))
    limit = 2 * statistics.median(idle) + stage
    return {
        "idle_s": round(statistics.median(idle), 3),
        "busy_p50_s": round(statistics.median(busy), 3),
        "busy_max_s": round(max(busy), 3),
        "limit_s": round(limit, 3),
        "within": sum(one <= limit for one in busy),
        "of": len(busy),
        "batch_ended_meanwhile": still_runs["finished_at"] is not None,
        "batch_images_done": still_runs["completed_images"],
    }


def share(house: House, folder: Path, images: int) -> dict[str, Any]:
    """Two batches side by side: of one priority, and of two."""
    found = {}
    for name, priorities in {"equal": ("default", "default"), "high_and_low": ("low", "high")}.items():
        paths = draw(folder, images)
        first = house.start("first", paths, workflow="batch_waits", priority=priorities[0])
        second = house.start("second", paths, workflow="batch_waits", priority=priorities[1])
        wait_until(lambda: house.ask(second)["progress_percentage"] >= 80, 600, "no progress")  # noqa: B023
        one, other = house.ask(first), house.ask(second)
        found[name] = {
            "first_percent": one["progress_percentage"],
            "second_percent": other["progress_percentage"],
        }
        house.wait(first)
        house.wait(second)
    return found


def estimates(house: House, folder: Path, batches: int, images: int) -> dict[str, Any]:
    """How many batches ended within what was said half-way."""
    within_p90 = within_estimate = told = 0
    errors = []
    for number in range(batches):
        batch_id = house.start(
            f"estimate {number}", draw(folder, images), workflow="batch_uneven", chunk_size=5
        )
        wait_until(lambda: house.ask(batch_id)["progress_percentage"] >= 50, 300, "no progress")  # noqa: B023
        said, at = house.ask(batch_id), time.monotonic()
        house.wait(batch_id)
        took = time.monotonic() - at
        expected, p90 = said["estimated_time_remaining"], said.get("estimated_time_remaining_p90")
        if expected is None or p90 is None:
            continue
        told += 1
        within_p90 += took <= p90
        within_estimate += took <= expected
        errors.append(abs(took - expected) / took)
    return {
        "batches": batches,
        "told": told,
        "within_p90": within_p90,
        "within_estimate": within_estimate,
        "median_error": round(statistics.median(errors), 3) if errors else None,
    }


def main() -> None:
    """Run the parts and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--images", default="1000,10000", help="sizes for linear")
    parser.add_argument("--large", type=int, default=3000, help="images of the batch of fair")
    parser.add_argument("--singles", type=int, default=30)
    parser.add_argument("--share", type=int, default=300, help="images of each batch of share")
    parser.add_argument("--batches", type=int, default=20, help="batches of estimates")
    parser.add_argument("--batch-images", type=int, default=200, help="images of each batch of estimates")
    parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")
    options = parser.parse_args()
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_url = stack.enter_context(RedisServer()).url
        port = free_port()
        os.environ |= {
            "REDIS_URL": redis_url,
            "DATABASE_URL": stack.enter_context(PostgresServer()).url,
            "STORAGE_URL": f"file://{folder}/storage",
            "WORKFLOWS": "batch_stages",
            "BATCH_SYSTEM": "tracked",
            "PORT": str(port),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        }
        subprocess.run([sys.executable, "-m", "callboard", "migrate"], check=True, stdout=subprocess.DEVNULL)
        log = folder / "log"
        command, environment = worker("tracked", "actors")
        os.environ |= environment
        web = [sys.executable, "-m", "gunicorn", "-k", "uvicorn_worker.UvicornWorker"]
        web += ["-b", f"127.0.0.1:{port}", "api.main:app"]
        commands = [command, [sys.executable, "-m", "actors.clock"], web]
        client = redis.Redis.from_url(redis_url)
        images = folder / "images"
        images.mkdir()
        members = stack.enter_context(processes(commands, log))
        house = House(client, port, members)
        wait_until(lambda: answers(port), 60, "the API did not start")
        results: dict[str, Any] = {}
        for part in parts:
            if part == "linear":
                sizes = [int(size) for size in options.images.split(",")]
                results[part] = linear(house, images, log, sizes)
            elif part == "fair":
                results[part] = fair(house, images, options.large, options.singles)
            elif part == "share":
                results[part] = share(house, images, options.share)
            else:
                results[part] = estimates(house, images, options.batches, options.batch_images)
            if not options.json:
                print(part, json.dumps(results[part], indent=2), flush=True)
    if options.json:
        print(json.dumps(results))


def answers(port: int) -> bool:
    """Whether the API listens."""
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
        return True
    return False


if __name__ == "__main__":
    main()
