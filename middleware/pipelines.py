"""Which messages follow: a chain's by the options that its messages carry, others' as Dramatiq has it."""

from __future__ import annotations

from typing import Any

from dramatiq import Broker, Message, MessageProxy
from dramatiq.middleware import Pipelines

#: The message option that names a task's place: ``{"chain": id, "stage": 1, "member": 0}``.
PLACE = "callboard"
#: Message option: the id under which it lies in a queue of Redis, where that is not to be made up.
QUEUE_ID = "callboard_queue_id"
#: The message option that holds the members of the parallel stage that follows.
FAN_OUT = "callboard_fan_out"
#: The options by which each of these members names what follows in its turn: once for all of them.
THEN = "callboard_then"


def successors(message: MessageProxy, result: Any, *, ignore: bool = False) -> list[Message[Any]]:
    """The messages of the stage that follows a delivered message, ``result`` handed to each.

    After a member of a parallel stage nothing is handed on: the begin of the next stage brings the results
    of all members.
    """
    if PLACE not in message.options:
        return []
    following = message.options.get(FAN_OUT)
    if following is None:
        target = message.options.get("pipe_target")
        following = [target] if target else []
    then = message.options.get(THEN, {})
    messages: list[Message[Any]] = [Message(**fields).copy(options=then) for fields in following]
    if message.options[PLACE]["member"]:
        return messages
    return [
        following_message
        if ignore or following_message.options.get("pipe_ignore")
        else following_message.copy(args=(*following_message.args, result))
        for following_message in messages
    ]


class UntrackedPipelines(Pipelines):
    """Dramatiq's own Pipelines for messages that belong to no chain."""

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if PLACE not in message.options and message.options.get("pipe_target") is not False:
            super().after_process_message(broker, message, result=result, exception=exception)
