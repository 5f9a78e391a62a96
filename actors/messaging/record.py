"""What is known of a chain's deliveries: in Redis message by message, and now and then in the chain's folder.

Redis says which message was under way when a worker died. The folder's copy is for the day on which Redis has
been emptied: what was sent since the last copy is then all that can be sent again.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from actors.storage import Folder, read_json
from callboard.errors import BadInput
from db.deliveries import DEFERRED, SENT, UNCERTAIN, Deliveries, Delivery
from middleware.run import Run, RunLost

FILE = "deliveries.json"
#: Seconds between two copies, and how many times as long as a copy takes there is none after it.
COPY_SECONDS, COPY_SHARE = 10.0, 20
NOTHING = Delivery(DEFERRED)


class Record:
    """The deliveries of one run.

    Parameters:
        deliveries: those in Redis.
        folder: the chain's.
    """

    def __init__(self, deliveries: Deliveries, folder: Folder) -> None:
        self._deliveries = deliveries
        self._folder = folder
        self._known: dict[str, Delivery] = {}
        self._next_copy = 0.0

    def load(self) -> bool:
        """Read both; what either has as sent, is sent.

        Returns:
            Whether the list has been gone through to its end.
        """
        self._known = self._deliveries.read()
        return self._take_copy_in()

    def load_to_send(self, *, repeat_uncertain: bool) -> None:
        """Read both, for another pass. Those that have failed are tried again where the list has been gone
        through to its end before, as it has when a chain is resumed.

        Parameters:
            repeat_uncertain: and those of which nobody knows.
        """
        if self.load():
            closed = {SENT} if repeat_uncertain else {SENT, UNCERTAIN}
            self._known = {one: known for one, known in self._known.items() if known.status in closed}
            self._deliveries.forget()
            self._write(finished=False)
        self._deliveries.end(self._known)
        self._next_copy = time.monotonic() + COPY_SECONDS

    def of(self, message_id: str) -> Delivery:
        """What is known of a message."""
        return self._known.get(message_id, NOTHING)

    def begin(self, run: Run, message_id: str, delivery: Delivery) -> bool:
        """Note that a message is about to be sent. Returns whether it is to be, and has not been before.

        Raises:
            RunLost: the chain was revoked, or another worker has taken the stage over.
        """
        answer = self._deliveries.begin(run.place, run.token, message_id, delivery)
        if answer == "stale":
            raise RunLost(f"stage {run.stage_name} has lost its task: nothing more is sent")
        self._known[message_id] = delivery.changed(status=SENT) if answer == SENT else delivery
        return answer == "go"

    def end(self, message_id: str, delivery: Delivery) -> None:
        """Note what became of a message."""
        self._known[message_id] = delivery
        self._deliveries.end({message_id: delivery})
        if time.monotonic() > self._next_copy:
            begun = time.monotonic()
            self.save()
            self._next_copy = time.monotonic() + max(COPY_SECONDS, COPY_SHARE * (time.monotonic() - begun))

    def save(self) -> None:
        """Bring the folder's copy up to date. What it has as sent stays so: another run may be at work."""
        self._write(finished=self._take_copy_in())

    def finish(self) -> str:
        """Note that the list has been gone through to its end. Returns the URL of the folder's copy."""
        url = self._write(finished=True)
        self._deliveries.end(self._known, finished=True)
        return url

    def _write(self, *, finished: bool) -> str:
        facts = {message_id: delivery.as_json() for message_id, delivery in self._known.items()}
        return self._folder.write_json(FILE, {"finished": finished, "deliveries": facts})

    def _take_copy_in(self) -> bool:
        """What the folder's copy knows and we do not; whether the list has been gone through to its end."""
        copy: dict[str, Any] = {"finished": False, "deliveries": {}}
        with suppress(BadInput):
            copy = read_json(self._folder.url_of(FILE))
        for message_id, facts in copy["deliveries"].items():
            delivery = Delivery(**facts)
            if delivery.status == SENT or message_id not in self._known:
                self._known[message_id] = delivery
        return bool(copy["finished"])
