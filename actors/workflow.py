"""Workflows: stages composed as Dramatiq pipelines and groups. Pure definition, checked when declared.

@stage(name="OCRStage", max_retries=3)
def ocr_stage(document: dict) -> dict: ...

cr_extract = Workflow("cr_extract_workflow", [ocr_stage, parallel(a, b), excel_stage])
chain_id = cr_extract.start({"file_path": "scan.png"})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, TypeAlias, TypeVar, overload
from uuid import UUID, uuid5

import dramatiq
from dramatiq import Actor, Broker, Message, group, pipeline
from dramatiq.middleware import AsyncIO

from callboard.errors import WorkflowError
from db.chains import StagePlan
from db.status_keys import JOB_STATUS, StatusFormat, StatusKeys
from db.values import clean_text
from middleware.pipelines import FAN_OUT, PLACE, THEN

from . import application, availability, starting
from .spans import spans_of

#: Task ids are made from the chain's id and the place in it, so that every process finds the same one.
_TASKS = UUID("8c9d2f0e-54b1-4a0a-9f60-0d6a4b0f7c11")
#: How a stage is retried unless it says otherwise.
RETRY_OPTIONS = {"max_retries": 3, "min_backoff": 1000}
POLICIES = ("fail", "continue")
#: Characters of a name.
MOST_CHARACTERS = 255
#: A message holds those of all stages that follow, one inside of another.
MOST_STAGES = 200
#: Each transition of a member reads all of them, while Redis does nothing else.
MOST_MEMBERS = 1000

P = ParamSpec("P")
R = TypeVar("R")
AnyActor: TypeAlias = "Actor[Any, Any]"
StageLike: TypeAlias = "AnyActor | str | Parallel"


@overload
def stage(function: Callable[P, R]) -> Actor[P, R]: ...


@overload
def stage(*, name: str | None = None, **options: Any) -> Callable[[Callable[P, R]], Actor[P, R]]: ...


def stage(
    function: Callable[P, R] | None = None, *, name: str | None = None, **options: Any
) -> Actor[P, R] | Callable[[Callable[P, R]], Actor[P, R]]:
    """Declare a stage: a Dramatiq actor, retried 3 times with a back-off from 1 s unless it says otherwise.

    Parameters:
        name: shown as ``metadata.stage_name``; the function's name unless given.
        **options: every option that ``dramatiq.actor`` takes.

    Returns:
        The actor, or a decorator when called with options only.
    """

    def declare(function: Callable[P, R]) -> Actor[P, R]:
        chosen = {**RETRY_OPTIONS, "stage_name": name or function.__name__, **options}
        if "retry_when" in options:
            chosen.pop("max_retries")
        actor: Actor[P, R] = dramatiq.actor(**chosen)(function)
        if iscoroutinefunction(function):
            _run_coroutines(actor.broker)
        return actor

    return declare if function is None else declare(function)


def _run_coroutines(broker: Broker) -> None:
    if not any(isinstance(middleware, AsyncIO) for middleware in broker.middleware):
        broker.add_middleware(AsyncIO())


@dataclass(frozen=True)
class Parallel:
    """A stage whose members run side by side; the next stage gets their results as a list, in order.

    Attributes:
        members: actors, or names of declared ones.
        name: shown as ``metadata.stage_name``.
        on_failure: what a member that fails for good means: ``fail`` the stage, or ``continue`` with the
            results of the others and an entry ``{"failed": name, "error": text}`` in its place.
        weights: how much each member counts in the stage's progress; alike where None.
    """

    members: tuple[AnyActor | str, ...]
    name: str | None
    on_failure: str
    weights: tuple[int, ...] | None = None


def parallel(
    *members: AnyActor | str,
    name: str | None = None,
    on_failure: str = "fail",
    weights: Sequence[int] | None = None,
) -> Parallel:
    """A stage of several actors that run side by side. See :class:`Parallel`.

    Raises:
        WorkflowError: no members or too many, an unknown policy, or weights that do not fit the members.
    """
    if not 1 <= len(members) <= MOST_MEMBERS:
        raise WorkflowError(f"parallel(): read {len(members)} actors, expected 1 to {MOST_MEMBERS}")
    if on_failure not in POLICIES:
        raise WorkflowError(f"on_failure: read {on_failure!r}, expected {' or '.join(map(repr, POLICIES))}")
    if weights is not None and (len(weights) != len(members) or min(weights) < 1):
        raise WorkflowError(f"weights: read {weights!r}, expected {len(members)} numbers from 1")
    return Parallel(members, name, on_failure, None if weights is None else tuple(weights))


@dataclass(frozen=True)
class _Stage:
    """A checked stage: its actors, and whether they are members of a parallel one."""

    name: str
    actors: tuple[AnyActor, ...]
    is_parallel: bool
    policy: str
    weights: tuple[int, ...] | None = None


class Workflow:
    """A named sequence of stages that can be started any number of times.

    Parameters:
        name: e.g. ``"cr_extract_workflow"``; unique in a process.
        stages: actors, names of declared actors, or :func:`parallel` stages, in order.
        title: one line for people.
        accepts: a JSON schema of the input, for clients and for the check at start.
        files: kinds of uploaded files that it takes, as the API calls them (``xlsx``, ``mp4``, …); every kind
            that the API knows unless given.
        channel: the Redis channel of its progress messages; the common one unless given.
        spans: for each stage, from where to where it takes the run's progress (0.0 to 1.0, in order); it is
            then told in whole percents. Unless given the stages count alike.
        log_lines: for each stage the log line that its begin brings, and one more for the run's end.
        make_chain_id: gives a chain its id from its input where the start names none; a suffix is added where
            that id is taken.
        needs: modules that its stages import and ``pip install callboard`` does not bring, such as ``cv2``.
            Where one is missing the workflow is listed as unavailable, and its stages fail at once.
        extra: the extra of callboard that brings them; errors and lists name the command.
        progress_key, status_key: templates of keys for readers of existing systems, such as
            ``job:{chain_id}:progress``; see :mod:`db.status_keys`.
        status_format: in which words these keys tell it.

    Raises:
        WorkflowError: the definition cannot run.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[StageLike],
        *,
        title: str = "",
        accepts: dict[str, Any] | None = None,
        files: tuple[str, ...] | None = None,
        channel: str | None = None,
        spans: Sequence[tuple[float, float]] | None = None,
        log_lines: Sequence[str] | None = None,
        make_chain_id: Callable[[Any], str] | None = None,
        needs: Sequence[str] = (),
        extra: str | None = None,
        progress_key: str | None = None,
        status_key: str | None = None,
        status_format: StatusFormat = JOB_STATUS,
    ) -> None:
        if not name or not isinstance(name, str):
            raise WorkflowError("a workflow needs a name")
        _check_name(f"workflow {name[:80]!r}", name)
        if not stages:
            raise WorkflowError(f"workflow {name!r} has no stages")
        if len(stages) > MOST_STAGES:
            raise WorkflowError(
                f"workflow {name!r}: read {len(stages)} stages, expected {MOST_STAGES} at most"
            )
        if isinstance(needs, str) or (extra and not needs):
            raise WorkflowError(f"workflow {name!r}: needs: read {needs!r}, expected a list of module names")
        self.name = name
        self.title = title
        self.accepts = accepts
        self.files = files
        self.channel = channel
        self.make_chain_id = make_chain_id
        self.needs = tuple(needs)
        self.extra = extra
        self.stages = [_check(name, declared) for declared in stages]
        for declared in self.stages:
            _check_name(f"workflow {name!r}: stage {declared.name[:80]!r}", declared.name)
        _refuse_repeats(name, self.stages)
        weights = [declared.weights for declared in self.stages]
        self._spans = spans_of(name, weights, spans, log_lines)
        self.application = application.application_of(self.stages[0].actors[0].broker)
        self.status_keys = StatusKeys(progress_key, status_key, status_format)
        self.status_keys.check(name, self.application.board.keys.namespace)
        if name in self.application.workflows:
            raise WorkflowError(f"two workflows are named {name!r}")
        self.application.workflows[name] = self
        if self.needs:
            for actor in {actor.actor_name: actor for one in self.stages for actor in one.actors}.values():
                availability.guard(actor, self.application)

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, {[declared.name for declared in self.stages]})"

    def start(self, data: Any, **options: Any) -> str:
        """Start a chain; see :func:`actors.starting.start` for the options. Returns its id."""
        return starting.start(self, data, **options)

    def start_many(self, inputs: Iterable[Any], **options: Any) -> list[str]:
        """Start one chain for each input; see :func:`actors.starting.start_many`. Returns their ids."""
        return starting.start_many(self, inputs, **options)

    def plan(self, chain_id: str) -> list[StagePlan]:
        """The stages of a chain with the ids of its tasks, as board and ledger store them."""
        return [
            StagePlan(
                name=declared.name,
                tasks=[
                    {
                        "name": actor.options.get("stage_name", actor.actor_name),
                        "task_id": task_id(chain_id, number, member),
                        "task_name": actor.actor_name,
                        "queue_name": actor.queue_name,
                    }
                    for member, actor in _members(declared)
                ],
                parallel=declared.is_parallel,
                policy=declared.policy,
                span=self._spans[number - 1],
            )
            for number, declared in enumerate(self.stages, start=1)
        ]

    def compile(self, chain_id: str, *arguments: Any, from_stage: int = 1) -> pipeline | group:
        """The chain's messages from a stage on: a ``dramatiq.pipeline``, or a ``group`` for a parallel stage.

        Each message names its successor in ``pipe_target``, as Dramatiq's own pipelines do; before a parallel
        stage the option ``callboard_fan_out`` holds the messages of the group, and ``callboard_then`` the
        options by which they name theirs.

        Parameters:
            arguments: what the first of the stages is called with.
        """
        following: pipeline | group | None = None
        for number in range(len(self.stages), from_stage - 1, -1):
            given = arguments if number == from_stage else ()
            following = self._compile_stage(chain_id, number, given, following)
        assert following is not None
        return following

    def first_messages(self, chain_id: str, *arguments: Any, from_stage: int = 1) -> list[Message[Any]]:
        """The messages by which a chain begins, or goes on from a stage; see :meth:`compile`."""
        composition = self.compile(chain_id, *arguments, from_stage=from_stage)
        if isinstance(composition, group):
            return list(composition.children)
        return composition.messages[:1]

    def _compile_stage(
        self, chain_id: str, number: int, arguments: tuple[Any, ...], following: pipeline | group | None
    ) -> pipeline | group:
        declared = self.stages[number - 1]
        messages = [
            _message(actor, chain_id, number, member, arguments) for member, actor in _members(declared)
        ]
        broker = self.application.broker
        if not declared.is_parallel and isinstance(following, pipeline):
            return pipeline([*messages, following], broker=broker)
        for message in messages:
            if isinstance(following, pipeline):
                message.options["pipe_target"] = following.messages[0].asdict()
            elif following is not None:
                message.options.update(_fan_out(following))
        if declared.is_parallel:
            return group(messages, broker=broker)
        return pipeline(messages, broker=broker)


def task_id(chain_id: str, stage_number: int, member: int) -> str:
    """The id of a task: the same in every process, at every attempt."""
    return str(uuid5(_TASKS, f"{chain_id}/{stage_number}.{member}"))


def _members(declared: _Stage) -> list[tuple[int, AnyActor]]:
    """The stage's actors by member number: from 1 in a parallel stage, else 0."""
    return list(enumerate(declared.actors, start=1 if declared.is_parallel else 0))


def _message(
    actor: AnyActor, chain_id: str, number: int, member: int, arguments: tuple[Any, ...]
) -> Message[Any]:
    options: dict[str, Any] = {PLACE: {"chain": chain_id, "stage": number, "member": member}}
    if "stage_name" not in actor.options:
        # A plain actor keeps its own options; where it has none it is retried as a stage is.
        options |= {key: value for key, value in RETRY_OPTIONS.items() if key not in actor.options}
    return Message(
        queue_name=actor.queue_name,
        actor_name=actor.actor_name,
        args=arguments,
        kwargs={},
        options=options,
        message_id=task_id(chain_id, number, member),
    )


def _fan_out(following: group) -> dict[str, Any]:
    """The options of a message before a group. What follows the group is the same for all, and told once."""
    members = [member.asdict() for member in following.children]
    onwards = ("pipe_target", FAN_OUT, THEN)
    then = {name: value for name, value in members[0]["options"].items() if name in onwards}
    for member in members:
        member["options"] = {name: value for name, value in member["options"].items() if name not in onwards}
    return {FAN_OUT: members, **({THEN: then} if then else {})}


def _check(workflow: str, declared: StageLike) -> _Stage:
    if isinstance(declared, Parallel):
        actors = tuple(_actor(workflow, member) for member in declared.members)
        name = declared.name or " + ".join(_name(actor) for actor in actors)
        return _Stage(name, actors, True, declared.on_failure, declared.weights)
    actor = _actor(workflow, declared)
    return _Stage(_name(actor), (actor,), False, "fail")


def _actor(workflow: str, declared: Any) -> AnyActor:
    if isinstance(declared, Actor):
        application.application_of(declared.broker)
        return declared
    if isinstance(declared, str):
        known = application.current().broker.actors
        if declared in known:
            return known[declared]
        raise WorkflowError(f"workflow {workflow!r}: no actor is named {declared!r}")
    raise WorkflowError(
        f"workflow {workflow!r}: a stage is an actor, not {declared!r}; decorate it with @stage"
    )


def _name(actor: AnyActor) -> str:
    name: str = actor.options.get("stage_name", actor.actor_name)
    return name


def _check_name(whose: str, name: str) -> None:
    # By its name the workflow is found again when a chain comes back from the ledger.
    if clean_text(name, MOST_CHARACTERS) != name:
        raise WorkflowError(
            f"{whose}: expected a name of up to {MOST_CHARACTERS} characters, without NUL and lone surrogates"
        )


def _refuse_repeats(workflow: str, stages: list[_Stage]) -> None:
    names = [declared.name for declared in stages]
    for name in names:
        if names.count(name) > 1:
            raise WorkflowError(f"workflow {workflow!r} has two stages named {name!r}")
    brokers = {id(actor.broker) for declared in stages for actor in declared.actors}
    if len(brokers) > 1:
        raise WorkflowError(f"workflow {workflow!r}: its actors are declared on different brokers")
