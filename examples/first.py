"""A first workflow, in one file.

WORKFLOWS=examples.first callboard run greeting --input '{"names": ["Kim", "Lee"]}'
"""

import actors  # noqa: F401 (configures the broker on which the stages are declared)
from callboard import Workflow, parallel, progress, stage


@stage(name="Greet", max_retries=3)
def greet(data: dict) -> list[str]:
    for done, name in enumerate(data["names"], start=1):
        progress(100 * done / len(data["names"]), log=f"greeted {name}")
    return [f"Hello, {name}!" for name in data["names"]]


@stage(name="Count")
def count(greetings: list[str]) -> int:
    return len(greetings)


@stage(name="Shout")
def shout(greetings: list[str]) -> list[str]:
    return [greeting.upper() for greeting in greetings]


@stage(name="Report")
def report(both: list) -> dict:
    return {"people": both[0], "shouted": both[1]}


greeting = Workflow("greeting", [greet, parallel(count, shout, name="Both"), report], title="Greets people")
