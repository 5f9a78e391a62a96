"""The clock process: what has to happen from time to time, run by APScheduler.

python -m actors.clock
"""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
from datetime import datetime, timedelta
from types import FrameType

import redis
from apscheduler.schedulers.background import BackgroundScheduler
from dramatiq.common import dq_name

from callboard.errors import CallboardError

from . import prune
from .application import Application
from .redis_broker import RedisBroker
from .sweep import SWEEP_INTERVAL, Sweep

#: Seconds between two rounds of Dramatiq's own maintenance, for messages of workers that are not ours.
MAINTENANCE_INTERVAL = 60

logger = logging.getLogger(__name__)


def maintain_broker(application: Application) -> None:
    """Give messages of workers that died back to their queues; Dramatiq leaves the moment to chance."""
    broker = application.broker
    if not isinstance(broker, RedisBroker):
        return
    try:
        for queue_name in sorted(broker.get_declared_queues()):
            broker.maintain(queue_name)
            broker.maintain(dq_name(queue_name))
    except redis.RedisError as error:
        logger.warning("Broker maintenance waits for Redis: %s", error)


def build_scheduler(application: Application, sweep: Sweep) -> BackgroundScheduler:
    """The clock's jobs, not started."""
    scheduler = BackgroundScheduler(job_defaults={"coalesce": True, "max_instances": 1})
    scheduler.add_job(sweep.tick, "interval", seconds=SWEEP_INTERVAL, next_run_time=datetime.now())
    scheduler.add_job(maintain_broker, "interval", args=[application], seconds=MAINTENANCE_INTERVAL)
    # Soon after the start, too: a clock that is restarted each hour would never get to it.
    first = datetime.now() + timedelta(seconds=random.uniform(60, 600))
    scheduler.add_job(prune.hourly, "interval", args=[application], hours=1, jitter=600, next_run_time=first)
    return scheduler


def main() -> None:
    """Run the clock until SIGTERM or SIGINT."""
    from actors.application import current  # noqa: PLC0415 (this module runs as __main__)

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    application = current()
    try:
        application.prepare()
    except CallboardError as error:
        sys.exit(f"callboard: {error}")
    sweep = Sweep(application)
    scheduler = build_scheduler(application, sweep)
    scheduler.start()
    logger.info("The clock runs.")
    stop.wait()
    scheduler.shutdown(wait=False)
    sweep.release()


if __name__ == "__main__":
    main()
