"""A language model at any endpoint that speaks the protocol of OpenAI's chat completions.

The answer must be JSON that fits a schema; it is validated here, whatever the endpoint promises.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jsonschema

from callboard.errors import StageError

MAX_ATTEMPTS = 4
"""Requests made at most for one answer while the endpoint is busy, failing or silent."""

_LONGEST_PAUSE = 30.0


@dataclass
class Usage:
    """What the endpoint counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    requests: int = 0


@dataclass
class LlmClient:
    """Asks one model at one endpoint.

    Args:
        base_url: such as ``https://host/v1``.
        model: the model's name there.
        api_key: sent as a bearer token, where given.
        timeout: seconds that one request may take in all.
        pause: waits for some seconds between attempts; given for tests.
    """

    base_url: str
    model: str
    api_key: str | None = None
    timeout: float = 60.0
    pause: Callable[[float], None] = time.sleep
    usage: Usage = field(default_factory=Usage)

    def answer(self, instructions: str, text: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """The answer to a text, as JSON.

        Args:
            instructions: what to do with the text.
            name, schema: of the answer; an object.

        Raises:
            StageError: the endpoint refuses (4xx), stays busy or silent, or twice answers what does not fit.
        """
        fault = ""
        for _ in range(2):
            answer = self._request(instructions, text, name, schema)
            try:
                content = json.loads(answer["choices"][0]["message"]["content"])
                jsonschema.validate(content, schema)
            except (ValueError, KeyError, IndexError, TypeError) as error:
                fault = f"no JSON where it should be ({error!r})"
            except jsonschema.ValidationError as error:
                fault = error.message
            else:
                return dict(content)
        raise StageError(
            f"the answer of {self.model} at {self.base_url} does not fit the schema: {fault[:200]}"
        )

    def _request(self, instructions: str, text: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """One answer, with attempts repeated while a repetition may help."""
        fault, wait = "", 0.0
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                self.pause(wait)
            wait = min(2.0**attempt, _LONGEST_PAUSE)
            self.usage.requests += 1
            try:
                response = self._post(instructions, text, name, schema)
            except (httpx.TimeoutException, httpx.TransportError) as error:
                fault = f"no answer within {self.timeout:g} s" if _is_timeout(error) else repr(error)
                continue
            if response.status_code == 429 or response.status_code >= 500:
                fault = f"HTTP {response.status_code}"
                wait = min(_retry_after(response) or wait, _LONGEST_PAUSE)
                continue
            if not response.is_success:
                raise StageError(
                    f"{self.base_url} refused the request: HTTP {response.status_code} "
                    f"{response.text[:200]!r}; check LLM_BASE_URL, LLM_MODEL and LLM_API_KEY"
                )
            return self._counted(response)
        raise StageError(f"{self.base_url} did not answer in {MAX_ATTEMPTS} attempts; the last: {fault}")

    def _post(self, instructions: str, text: str, name: str, schema: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": instructions},
                {"role": "user", "content": text},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": name, "strict": True, "schema": schema},
            },
        }
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        deadline = time.monotonic() + self.timeout
        with (
            httpx.Client(timeout=self.timeout) as client,
            client.stream("POST", url, json=body, headers=headers) as response,
        ):
            parts = []
            # httpx limits the wait for each piece; an endpoint that drips would never reach that limit.
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the whole answer took too long")
            plain = {
                k: v for k, v in response.headers.items() if k not in ("content-encoding", "content-length")
            }
            return httpx.Response(response.status_code, headers=plain, content=b"".join(parts))

    def _counted(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            return {}
        if not isinstance(answer, dict):
            return {}
        usage = answer.get("usage")
        if isinstance(usage, dict):
            self.usage.prompt_tokens += int(usage.get("prompt_tokens") or 0)
            self.usage.completion_tokens += int(usage.get("completion_tokens") or 0)
        return answer


def _is_timeout(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.TimeoutException)


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the endpoint asks to wait, given as a number or as a date."""
    value = response.headers.get("Retry-After", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        due = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if due.tzinfo is None:
        due = due.replace(tzinfo=timezone.utc)
    return max((due - datetime.now(timezone.utc)).total_seconds(), 0.0)
