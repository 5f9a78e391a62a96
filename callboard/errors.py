"""Every error that Callboard raises on purpose.

    CallboardError
    ├── SettingsError            an environment variable cannot be used
    ├── EmbeddedError            the embedded Redis could not be started
    ├── WorkflowError            a definition that cannot run
    │   ├── UnknownWorkflow      no workflow of that name is declared
    │   └── ExtraMissing         what its stages import is not installed
    ├── ChainError
    │   ├── UnknownChain         neither board nor ledger knows the chain
    │   └── ChainStateError      the chain's state forbids what was asked
    ├── BatchError               a batch cannot be started as asked, or its state forbids what was asked
    │   └── UnknownBatch         neither board nor ledger knows the batch
    ├── BoardUnavailable         Redis does not answer
    ├── LedgerUnavailable        the database does not answer
    └── StageError               what a stage may raise about its own work
        ├── WorkerDied           too many workers have died while they ran the stage
        ├── BadInput             the input cannot be processed; a retry cannot help
        └── ResultError          a stage returned what cannot be stored

Facts are attributes; the text says what to do next.
"""

from __future__ import annotations


class CallboardError(Exception):
    """Base of all errors that Callboard raises on purpose."""


class SettingsError(CallboardError):
    """An environment variable cannot be used.

    Attributes:
        variable: its name, e.g. ``"REDIS_URL"``.
        value: what was read.
        expected: what it should look like.
    """

    def __init__(self, variable: str, value: str, expected: str) -> None:
        super().__init__(f"{variable}: read {value!r}, expected {expected}")
        self.variable = variable
        self.value = value
        self.expected = expected


class EmbeddedError(CallboardError):
    """The embedded Redis could not be started."""


class WorkflowError(CallboardError):
    """A workflow's definition cannot run."""


class UnknownWorkflow(WorkflowError):
    """No workflow of that name is declared in this process."""

    def __init__(self, name: str, known: list[str]) -> None:
        listed = ", ".join(sorted(known)) or "none"
        super().__init__(
            f"no workflow is named {name!r} (known: {listed}); is its module listed in WORKFLOWS?"
        )
        self.name = name
        self.known = known


class ExtraMissing(WorkflowError):
    """What a workflow's stages import is not installed. A stage that raises it is not retried.

    Attributes:
        workflow: its name.
        missing: the modules.
        install: the command that installs them; None where no extra of ours brings them.
    """

    def __init__(self, workflow: str, missing: list[str], extra: str | None, where: str) -> None:
        self.workflow = workflow
        self.missing = missing
        self.install = None if extra is None else f"pip install 'callboard[{extra}]'"
        remedy = self.install or "install what brings them"
        modules = ", ".join(missing)
        super().__init__(
            f"{workflow} cannot run here without {modules}: {remedy}"
            if where == "here"
            else f"{workflow} cannot run, as no worker on its queues has {modules}: {remedy} "
            "where they run, then start them again"
        )


class ChainError(CallboardError):
    """Something about one chain. Attribute: ``chain_id``."""

    def __init__(self, chain_id: str, message: str) -> None:
        super().__init__(message)
        self.chain_id = chain_id


class UnknownChain(ChainError):
    """Neither the board nor the ledger knows the chain."""

    def __init__(self, chain_id: str) -> None:
        super().__init__(chain_id, f"no chain {chain_id!r} on the board or in the ledger")


class ChainStateError(ChainError):
    """The chain's state forbids what was asked. Attribute: ``status``."""

    def __init__(self, chain_id: str, status: str, message: str) -> None:
        super().__init__(chain_id, message)
        self.status = status


class BatchError(CallboardError):
    """A batch cannot be started as asked, or its state forbids what was asked."""


class UnknownBatch(BatchError):
    """Neither the board nor the ledger knows the batch. Attribute: ``batch_id``."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"no batch {batch_id!r} on the board or in the ledger")
        self.batch_id = batch_id


class BoardUnavailable(CallboardError):
    """Redis does not answer; nothing was started."""


class LedgerUnavailable(CallboardError):
    """The database does not answer; nothing was started."""


class StageError(CallboardError):
    """What a stage may raise about its own work."""


class WorkerDied(StageError):
    """Too many workers have died while they ran the stage: it is not tried again."""


class BadInput(StageError):
    """The input cannot be processed as it is. A stage that raises it is not retried."""


class ResultError(StageError):
    """A stage returned what cannot be stored: it is not JSON."""
