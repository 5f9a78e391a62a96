"""Every environment variable that Callboard reads, typed, in one place.

``Settings.from_environment()`` reads and checks them all; a value that cannot be used raises
:class:`~callboard.errors.SettingsError`, which names the variable, what was read and what is expected.
Reading settings opens no connection and starts no server.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import SettingsError

T = TypeVar("T")

REDIS_SCHEMES = ("redis", "rediss", "unix")
SMTP_SCHEMES = ("smtps", "smtp+starttls", "smtp")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")
DATABASE_SCHEMES = ("postgresql", "sqlite")
LANGUAGES = ("ko", "en")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
ROLES = ("read", "start", "operate")
#: Characters that an API key or a signing secret has at least.
SHORTEST_SECRET = 16
#: Characters of a refused value that are shown.
_SHOWN = 200
#: A password, also where a letter in it keeps the URL from being taken apart.
_PASSWORD = re.compile(r"(://[^:/?#]*:).*@|([?&]password=)[^&]*")


@dataclass(frozen=True)
class Settings:
    """What the environment says. URLs are whole and normalised; durations are in the unit of their name.

    Attributes:
        home: ``CALLBOARD_HOME``: folder of everything kept locally (SQLite, embedded Redis, storage).
        database_url: ``DATABASE_URL``: ``postgresql://…`` or ``sqlite:////absolute/path``.
        redis_url: ``REDIS_URL``: the board's server; None means the embedded one.
        broker_url: ``BROKER_URL``: where messages travel; None means the same server as the board.
        storage_url: ``STORAGE_URL``: any fsspec URL under which chains keep their files.
        namespace: ``CALLBOARD_NAMESPACE``: first part of every Redis key but the status arrays'.
        workflows: ``WORKFLOWS``: modules that declare workflows of one's own, imported by each process.
        status_ttl: ``STATUS_TTL``: seconds that a status array lives after its last change.
        retention_days: ``RETENTION_DAYS``: how long finished chains stay in the ledger; 0 for ever.
        idempotency_days: ``IDEMPOTENCY_DAYS``: how long a finished chain holds its idempotency key; 0 for
            ever.
        stale_days: ``STALE_DAYS``: how long Redis keeps what does not move and is not open in the ledger; 0
            for ever.
        storage_days: ``STORAGE_DAYS``: how long files of finished chains stay in the storage; 0 for ever.
        result_limit: ``RESULT_LIMIT``: bytes of JSON up to which a result is kept in Redis and the ledger; a
            larger one is a file in the storage.
        lease_ttl: ``LEASE_TTL``: seconds that a worker counts as alive after its last proof of life.
        max_worker_deaths: ``MAX_WORKER_DEATHS``: how many workers may die under a task before it fails.
        language: ``CALLBOARD_LANGUAGE``: of messages for people, ``ko`` or ``en``.
        llm_base_url: ``LLM_BASE_URL``: an OpenAI-compatible endpoint, e.g. ``https://host/v1``; or None.
        llm_model: ``LLM_MODEL``: the model to ask for; needed with an endpoint.
        llm_api_key: ``LLM_API_KEY``: sent as a bearer token where given.
        llm_timeout: ``LLM_TIMEOUT``: seconds for one request.
        host: ``HOST``: the address that the API listens on.
        port: ``PORT``: the port that it listens on.
        api_keys: ``API_KEYS``: ``key:role`` with commas between them, role ``read``, ``start`` or
            ``operate``; kept as (SHA-256 of the key, role).
        allow_open: ``ALLOW_OPEN``: whether the API may be reached from other machines without keys.
        signing_secret: ``SIGNING_SECRET``: signs the short-lived tokens; made from the keys unless set.
        cors_origins: ``CORS_ORIGINS``: pages of elsewhere that may call the API, such as ``https://host``.
        input_roots: ``INPUT_ROOTS``: folders and URLs, beside the storage, that an input may name files in.
        max_body_bytes: ``MAX_BODY_BYTES``: of a request that is no upload.
        max_batch_bytes: ``MAX_BATCH_BYTES``: of a request that names the files of a batch.
        max_upload_bytes: ``MAX_UPLOAD_BYTES``: of one uploaded file.
        max_upload_total: ``MAX_UPLOAD_TOTAL``: bytes of all files of one upload.
        max_upload_files: ``MAX_UPLOAD_FILES``: files of one upload.
        max_sockets: ``MAX_SOCKETS``: WebSockets that one API process keeps open.
        webhook_secret: ``WEBHOOK_SECRET``: signs what is posted to webhooks; unsigned without.
        webhook_private: ``WEBHOOK_PRIVATE``: whether requests may name webhooks at private addresses.
        smtp_url: ``SMTP_URL``: the mail server, ``smtps://user:password@host:465``; ``smtp+starttls://`` for
            STARTTLS, ``smtp://`` for a server without TLS. User and password are percent-encoded.
        smtp_from: ``SMTP_FROM``: the address that mail comes from; needed with a server.
        smtp_ca_file: ``SMTP_CA_FILE``: certificates to trust beside the system's, in one PEM file.
        smtp_timeout: ``SMTP_TIMEOUT``: seconds that one answer of the mail server may take.
        webhook_url: ``WEBHOOK_URL``: where messages are posted as JSON.
        webhook_token: ``WEBHOOK_TOKEN``: sent as a bearer token where given.
    """

    home: Path
    database_url: str
    redis_url: str | None
    broker_url: str | None
    storage_url: str
    namespace: str
    workflows: tuple[str, ...]
    status_ttl: int
    retention_days: int
    idempotency_days: int
    stale_days: int
    storage_days: int
    result_limit: int
    lease_ttl: int
    max_worker_deaths: int
    language: str
    llm_base_url: str | None
    llm_model: str | None
    llm_api_key: str | None
    llm_timeout: float
    host: str
    port: int
    api_keys: tuple[tuple[str, str], ...]
    allow_open: bool
    signing_secret: str | None
    cors_origins: tuple[str, ...]
    input_roots: tuple[str, ...]
    max_body_bytes: int
    max_batch_bytes: int
    max_upload_bytes: int
    max_upload_total: int
    max_upload_files: int
    max_sockets: int
    webhook_secret: str | None
    webhook_private: bool
    smtp_url: str | None
    smtp_from: str | None
    smtp_ca_file: Path | None
    smtp_timeout: float
    webhook_url: str | None
    webhook_token: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and check the environment (``os.environ`` unless one is given).

        Raises:
            SettingsError: a value cannot be used.
        """
        read = _Reader(os.environ if environment is None else environment)
        home = read.optional("CALLBOARD_HOME", _path) or _default_home()
        settings = cls(
            home=home,
            database_url=read.value("DATABASE_URL", _database_url, f"sqlite:///{home}/ledger.sqlite3"),
            redis_url=read.optional("REDIS_URL", _redis_url(REDIS_SCHEMES, "redis://host:6379/0")),
            broker_url=read.optional("BROKER_URL", _redis_url(BROKER_SCHEMES, "redis://… or amqp://…")),
            storage_url=read.value("STORAGE_URL", _storage_url, f"file://{home}/storage"),
            namespace=read.value("CALLBOARD_NAMESPACE", _namespace, "callboard"),
            workflows=read.value("WORKFLOWS", _modules, ()),
            status_ttl=read.value("STATUS_TTL", _whole(1, 3600, "seconds from 1 to 3600"), 3600),
            retention_days=read.value("RETENTION_DAYS", _days, 90),
            idempotency_days=read.value("IDEMPOTENCY_DAYS", _days, 7),
            stale_days=read.value("STALE_DAYS", _days, 7),
            storage_days=read.value("STORAGE_DAYS", _days, 0),
            result_limit=read.value(
                "RESULT_LIMIT", _whole(1024, 64 << 20, "bytes from 1024 to 67108864"), 1 << 20
            ),
            lease_ttl=read.value("LEASE_TTL", _whole(2, 3600, "seconds from 2 to 3600"), 30),
            max_worker_deaths=read.value("MAX_WORKER_DEATHS", _whole(1, 1000, "a number from 1 to 1000"), 5),
            language=read.value("CALLBOARD_LANGUAGE", _one_of(LANGUAGES), "ko"),
            llm_base_url=read.optional("LLM_BASE_URL", _url(("http", "https"), "https://host/v1")),
            llm_model=read.optional("LLM_MODEL", str),
            llm_api_key=read.optional("LLM_API_KEY", _token, secret=True),
            llm_timeout=read.value("LLM_TIMEOUT", _seconds, 60.0),
            host=read.value("HOST", _host, "127.0.0.1"),
            port=read.value("PORT", _whole(1, 65_535, "a port from 1 to 65535"), 8000),
            api_keys=read.value("API_KEYS", _keys, (), secret=True),
            allow_open=read.value("ALLOW_OPEN", _yes_or_no, False),
            signing_secret=read.optional("SIGNING_SECRET", _secret, secret=True),
            cors_origins=read.value("CORS_ORIGINS", _origins, ()),
            input_roots=read.value("INPUT_ROOTS", _roots, ()),
            max_body_bytes=read.value("MAX_BODY_BYTES", _bytes(1 << 30), 1 << 20),
            max_batch_bytes=read.value("MAX_BATCH_BYTES", _bytes(1 << 30), 32 << 20),
            max_upload_bytes=read.value("MAX_UPLOAD_BYTES", _bytes(1 << 40), 100 << 20),
            max_upload_total=read.value("MAX_UPLOAD_TOTAL", _bytes(1 << 40), 2 << 30),
            max_upload_files=read.value(
                "MAX_UPLOAD_FILES", _whole(1, 100_000, "files from 1 to 100000"), 1000
            ),
            max_sockets=read.value("MAX_SOCKETS", _whole(1, 100_000, "sockets from 1 to 100000"), 100),
            webhook_secret=read.optional("WEBHOOK_SECRET", _secret, secret=True),
            webhook_private=read.value("WEBHOOK_PRIVATE", _yes_or_no, False),
            smtp_url=read.optional("SMTP_URL", _smtp_url),
            smtp_from=read.optional("SMTP_FROM", _mailbox),
            smtp_ca_file=read.optional("SMTP_CA_FILE", _file),
            smtp_timeout=read.value("SMTP_TIMEOUT", _seconds, 30.0),
            webhook_url=read.optional("WEBHOOK_URL", _url(("http", "https"), "https://host/path")),
            webhook_token=read.optional("WEBHOOK_TOKEN", _token, secret=True),
        )
        if settings.llm_base_url and not settings.llm_model:
            raise SettingsError("LLM_MODEL", "", "a model's name, as LLM_BASE_URL is set")
        if settings.smtp_url and not settings.smtp_from:
            raise SettingsError("SMTP_FROM", "", "an address such as news@example.com, as SMTP_URL is set")
        return settings

    @property
    def embedded(self) -> bool:
        """Whether the board lives on the embedded Redis."""
        return self.redis_url is None


class _Reader:
    """Reads variables one at a time; an empty value counts as unset."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def optional(self, name: str, parse: Callable[[str], T], *, secret: bool = False) -> T | None:
        text = self._environment.get(name, "").strip()
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            shown = "***" if secret else without_password(text)
            shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
            raise SettingsError(name, shown, str(error)) from None

    def value(self, name: str, parse: Callable[[str], T], default: T, *, secret: bool = False) -> T:
        found = self.optional(name, parse, secret=secret)
        return default if found is None else found


def without_password(text: str) -> str:
    """A URL that can be shown."""
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", text)


def _default_home() -> Path:
    try:
        return Path.home() / ".callboard"
    except RuntimeError:
        raise SettingsError("CALLBOARD_HOME", "", "a folder, as this user has no home") from None


def _parts(text: str) -> SplitResult | None:
    """A URL's parts; None where it cannot be taken apart, or its port is none."""
    try:
        parts = urlsplit(text)
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def _url(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        parts = _parts(text)
        place = parts and (parts.path if parts.scheme == "unix" else parts.hostname)
        if not parts or not place or parts.scheme not in schemes:
            raise ValueError(f"a URL like {example} ({', '.join(f'{s}://' for s in schemes)})")
        return text

    return parse


def _redis_url(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    """URLs of which those of a Redis are one that its client understands, down to the options."""
    whole = _url(schemes, example)

    def parse(text: str) -> str:
        parts = urlsplit(whole(text))
        if parts.scheme not in REDIS_SCHEMES:
            return text
        # The client itself takes database 0 for a word in its place.
        if parts.scheme != "unix" and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
            raise ValueError("a number as the database, such as redis://host:6379/0")
        from redis import ConnectionPool, RedisError  # noqa: PLC0415 (only where one is named)

        try:
            ConnectionPool.from_url(text).make_connection()  # connects to nothing
        except (ValueError, TypeError, RedisError) as error:
            raise ValueError(f"options that the Redis client knows ({error})") from None
        return text

    return parse


def _smtp_url(text: str) -> str:
    _url(SMTP_SCHEMES, "smtps://user:password@host:465")(text)
    parts = urlsplit(text)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("a URL like smtps://user:password@host:465, with nothing after the port")
    if not unquote(f"{parts.username or ''}{parts.password or ''}").isascii():
        raise ValueError("a user and a password in ASCII, as the login of mail servers takes no other")
    if parts.password and parts.scheme == "smtp" and parts.hostname not in _LOOPBACK:
        raise ValueError("smtps:// or smtp+starttls://, as a password must not travel unencrypted")
    return text


def _mailbox(text: str) -> str:
    name, _, domain = text.rpartition("@")
    if not name or not domain or not text.isascii() or any(letter in ' \t\r\n<>,;"' for letter in text):
        raise ValueError("an address such as news@example.com")
    return text


def _token(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("printable ASCII")
    return text


def _file(text: str) -> Path:
    path = _path(text)
    if not os.path.isfile(path):
        raise ValueError("a file that is there")
    return path


def _database_url(text: str) -> str:
    if text.startswith("postgres://"):
        text = "postgresql://" + text.removeprefix("postgres://")
    parts = _parts(text)
    named = parts and len(parts.path) > 1 and (parts.scheme != "sqlite" or not parts.netloc)
    if not parts or parts.scheme not in DATABASE_SCHEMES or not named:
        raise ValueError("postgresql://user:password@host:5432/name or sqlite:////absolute/path")
    return text


def _storage_url(text: str) -> str:
    if "://" not in text:
        return f"file://{_path(text)}"
    if not text.partition("://")[0].replace("+", "").isalnum():
        raise ValueError("a folder or an fsspec URL such as file:///data, s3://bucket/folder, memory://")
    return text.rstrip("/") if not text.endswith("://") else text


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, OSError) as error:
        raise ValueError(f"a path that leads somewhere ({error})") from None


def _namespace(text: str) -> str:
    if not text.replace("-", "").replace("_", "").isalnum() or len(text) > 64:
        raise ValueError("up to 64 letters, digits, '-' and '_'")
    return text


def _modules(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise ValueError("module names with commas between them, such as shop.workflows,billing")
    return names


def _whole(least: int, most: int, expected: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ValueError(expected)
        return number

    return parse


def _bytes(most: int) -> Callable[[str], int]:
    return _whole(1024, most, f"bytes from 1024 to {most}")


def _days(text: str) -> int:
    return _whole(0, 36_500, "days from 1 to 36500, or 0 for ever")(text)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _host(text: str) -> str:
    if not all(letter.isalnum() or letter in ".:-_" for letter in text):
        raise ValueError("an address such as 127.0.0.1 or 0.0.0.0")
    return text


def _keys(text: str) -> tuple[tuple[str, str], ...]:
    keys = []
    for part in _listed(text):
        key, _, role = part.rpartition(":")
        if len(key) < SHORTEST_SECRET or role not in ROLES:
            raise ValueError(
                f"key:role with commas between them, a key of {SHORTEST_SECRET} characters or more, "
                f"a role of {', '.join(ROLES)}"
            )
        keys.append((sha256(key.encode("utf-8", "surrogateescape")).hexdigest(), role))
    return tuple(keys)


def _secret(text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"{SHORTEST_SECRET} characters or more")
    return text


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("1", "0", "true", "false", "yes", "no"):
        raise ValueError("1 or 0")
    return text.lower() in ("1", "true", "yes")


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.rstrip("/") for part in _listed(text))
    for origin in origins:
        parts = _parts(origin)
        page = parts and parts.scheme in ("http", "https") and parts.hostname and not parts.path
        if origin != "*" and not page:
            raise ValueError("origins such as https://host, with commas between them, or *")
    return origins


def _roots(text: str) -> tuple[str, ...]:
    return tuple(_storage_url(part) for part in _listed(text))


def _seconds(text: str) -> float:
    expected = "seconds from 0.1 to 3600"
    try:
        number = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if not 0.1 <= number <= 3600:
        raise ValueError(expected)
    return number


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(" or ".join(choices))
        return text

    return parse
