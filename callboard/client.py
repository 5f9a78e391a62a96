"""Start and follow chains from any Python code: it needs only ``dramatiq`` and ``redis``.

client = Client("redis://localhost:6379/0")
chain_id = client.start("cr_extract_workflow", {"file_path": "scan.png"})
for message in client.follow(chain_id):
    print(message["state"], message["progress"])

Batches it cannot start: the rows that say what a batch holds must be in the ledger before anything of it
begins, and it knows no ledger. Start them by HTTP (``POST /pipeline/batch``).

It imports no other package of ours, so that a code base with a ``db`` or ``api`` of its own can use it. The
names of keys, queue and actor are those of ``db/keys.py`` and ``actors/starter.py``; a test holds them equal.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4, uuid5

import redis
from dramatiq import Broker, Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError

from .errors import BoardUnavailable, ChainError, WorkflowError

ACTOR_NAME = "callboard.start"
QUEUE_NAME = "callboard"
#: States in which a run has ended.
ENDED = ("END", "FAILED")
#: Seconds that a chain may take to appear before :meth:`Client.follow` gives it up.
START_SECONDS = 60.0
_STATUS_ENDED = {"SUCCESS": "END", "FAILURE": "FAILED", "REVOKED": "FAILED"}
_CHAIN_ID = re.compile(r"[\w][\w.-]{0,199}")
_IDEMPOTENT = UUID("5f2a7e0c-3b0d-4c52-8d0e-6a1c9d3e7b42")
#: Milliseconds that one look at the messages waits for the next.
_BLOCK = 1000


class Client:
    """Starts and follows chains. Making one opens no connection.

    Parameters:
        redis_url: the board's Redis (``REDIS_URL`` of the workers).
        namespace: their ``CALLBOARD_NAMESPACE``.
        broker: where the workers' messages travel, if not on the same Redis: a ``RabbitmqBroker``.
    """

    def __init__(self, redis_url: str, *, namespace: str = "callboard", broker: Broker | None = None) -> None:
        self._redis = redis.Redis.from_url(redis_url)
        self._namespace = namespace
        self._wakes = broker is None
        self._broker = broker or RedisBroker(url=redis_url, namespace=f"{namespace}:dramatiq", middleware=[])

    def start(
        self,
        workflow: str,
        data: Any,
        *,
        chain_id: str | None = None,
        idempotency_key: str | None = None,
        initiated_by: str | None = None,
    ) -> str:
        """Ask the workers to start a chain. What they refuse, :meth:`follow` tells.

        Parameters:
            workflow: its name.
            data: what the first stage is called with; JSON.
            chain_id: an id of one's own; a new UUID unless given, also where the workflow makes its ids in a
                form of its own. Two starts with one id are one chain.
            idempotency_key: the same key gives the same chain, and starts nothing twice.
            initiated_by: who asked, for the ledger.

        Returns:
            The chain's id.

        Raises:
            WorkflowError: ``data`` is not JSON, or the id cannot be used.
            BoardUnavailable: the broker does not answer.
        """
        try:
            json.dumps(data, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise WorkflowError(f"the input of {workflow} is not JSON: {error}") from None
        if chain_id is None and idempotency_key is not None:
            chain_id = str(uuid5(_IDEMPOTENT, f"{self._namespace}/{idempotency_key}"))
        elif chain_id is None:
            chain_id = str(uuid4())
        elif not _CHAIN_ID.fullmatch(chain_id):
            raise WorkflowError(
                f"chain id {chain_id[:80]!r}: expected 1 to 200 letters, digits, '_', '-' and '.'"
            )
        message: Message[Any] = Message(
            queue_name=QUEUE_NAME,
            actor_name=ACTOR_NAME,
            args=(workflow, data),
            kwargs={
                "chain_id": chain_id,
                "idempotency_key": idempotency_key,
                "initiated_by": initiated_by,
            },
            options={},
        )
        with _translated():
            self._broker.enqueue(message)
            if self._wakes:
                self._wake()
        return chain_id

    def status(self, chain_id: str) -> list[dict[str, Any]] | None:
        """The status array of a chain, one object a stage; None before its start and an hour after its end.

        Raises:
            BoardUnavailable: Redis does not answer.
        """
        with _translated():
            text: Any = self._redis.get(chain_id)
            if text is None:
                # The array of a chain that waits for long expires before its live state does.
                text = self._redis.hget(self._live(chain_id), "array")
            if text is None:
                return None
        found = json.loads(text)
        return found if isinstance(found, list) else [found]

    def follow(self, chain_id: str, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """The chain's progress messages from its first on, until one says END or FAILED.

        Each is ``{"run_id", "state", "progress"}``, and ``"log"`` where there is a line for people.

        Parameters:
            timeout: seconds in all.

        Raises:
            TimeoutError: the chain has not ended in time.
            ChainError: no worker has started the chain within a minute.
            BoardUnavailable: Redis does not answer.
        """
        begin = time.monotonic()
        last_id, last_state, seen = "0-0", None, False
        while True:
            left = _BLOCK if timeout is None else int((begin + timeout - time.monotonic()) * 1000)
            if left <= 0:
                raise TimeoutError(f"chain {chain_id} has not ended within {timeout} s")
            for entry_id, message in self._messages(chain_id, last_id, min(left, _BLOCK)):
                last_id, last_state, seen = entry_id, message.get("state", last_state), True
                yield message
            status = self._status(chain_id)
            if last_state in ENDED and (status is None or status in _STATUS_ENDED):
                return
            if status in _STATUS_ENDED and not self._messages(chain_id, last_id, None):
                # Its last message was lost with the stream.
                state = _STATUS_ENDED[status]
                yield {"run_id": chain_id, "state": state, "progress": 1 if state == "END" else 0}
                return
            seen = seen or status is not None
            if not seen and time.monotonic() - begin > START_SECONDS:
                raise ChainError(
                    chain_id,
                    f"no worker has started chain {chain_id} within {START_SECONDS:.0f} s: "
                    f"does one run on this Redis in the namespace {self._namespace!r}?",
                )

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        if self._wakes:
            self._broker.close()

    def _messages(self, chain_id: str, last_id: str, block: int | None) -> list[tuple[str, dict[str, Any]]]:
        key = f"{self._namespace}:messages:{chain_id}"
        with _translated():
            found: Any = self._redis.xread({key: last_id}, count=100, block=block)
        # A list of [key, entries], or with RESP3 a dictionary of them.
        streams = found.values() if isinstance(found, dict) else [entries for _, entries in found or []]
        entries = [entry for stream in streams for entry in _flat(stream)]
        return [(entry_id.decode(), json.loads(fields[b"message"])) for entry_id, fields in entries]

    def _status(self, chain_id: str) -> str | None:
        with _translated():
            text: Any = self._redis.hget(self._live(chain_id), "state")
        return None if text is None else json.loads(text)["status"]

    def _live(self, chain_id: str) -> str:
        return f"{self._namespace}:chain:{chain_id}"

    def _wake(self) -> None:
        """An idle worker waits on this list; without a word it would look again within a second."""
        key = f"{self._namespace}:dramatiq:{QUEUE_NAME}:wake"
        pipe = self._redis.pipeline(transaction=False)
        pipe.rpush(key, "1")
        pipe.ltrim(key, -16, -1)
        pipe.execute()


def _flat(stream: Any) -> list[Any]:
    """The entries of one stream; RESP3 wraps them in a list of batches."""
    return [entry for batch in stream for entry in (batch if isinstance(batch, list) else [batch])]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, BrokerConnectionError) as error:
        raise BoardUnavailable(f"Redis or the broker does not answer: {error}") from error
