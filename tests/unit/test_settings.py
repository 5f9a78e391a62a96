"""Every environment variable: its default, what it accepts, and the line that refuses the rest."""

from __future__ import annotations

from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from callboard.errors import SettingsError
from callboard.settings import Settings, without_password

HOME = {"CALLBOARD_HOME": "/srv/board"}
MODEL = {"LLM_MODEL": "small", "SMTP_FROM": "news@example.com"}

DEFAULTS: dict[str, Any] = {
    "home": Path("/srv/board"),
    "database_url": "sqlite:////srv/board/ledger.sqlite3",
    "redis_url": None,
    "broker_url": None,
    "storage_url": "file:///srv/board/storage",
    "namespace": "callboard",
    "workflows": (),
    "status_ttl": 3600,
    "retention_days": 90,
    "idempotency_days": 7,
    "stale_days": 7,
    "storage_days": 0,
    "result_limit": 1 << 20,
    "lease_ttl": 30,
    "max_worker_deaths": 5,
    "language": "ko",
    "llm_base_url": None,
    "llm_model": None,
    "llm_api_key": None,
    "llm_timeout": 60.0,
    "host": "127.0.0.1",
    "port": 8000,
    "api_keys": (),
    "allow_open": False,
    "signing_secret": None,
    "cors_origins": (),
    "input_roots": (),
    "max_body_bytes": 1 << 20,
    "max_batch_bytes": 32 << 20,
    "max_upload_bytes": 100 << 20,
    "max_upload_total": 2 << 30,
    "max_upload_files": 1000,
    "max_sockets": 100,
    "webhook_secret": None,
    "webhook_private": False,
    "smtp_url": None,
    "smtp_from": None,
    "smtp_ca_file": None,
    "smtp_timeout": 30.0,
    "webhook_url": None,
    "webhook_token": None,
}
KEY = "k" * 16
KEY_DIGEST = sha256(KEY.encode()).hexdigest()

ACCEPTED = [
    ("CALLBOARD_HOME", "/elsewhere", "home", Path("/elsewhere")),
    ("CALLBOARD_HOME", "~/board", "home", Path("~/board").expanduser().resolve()),
    ("DATABASE_URL", "postgresql://u:p@host:5432/name", "database_url", "postgresql://u:p@host:5432/name"),
    ("DATABASE_URL", "postgres://u:p@host/name", "database_url", "postgresql://u:p@host/name"),
    ("DATABASE_URL", "sqlite:////var/x.sqlite3", "database_url", "sqlite:////var/x.sqlite3"),
    ("REDIS_URL", "redis://localhost:6379/3", "redis_url", "redis://localhost:6379/3"),
    ("REDIS_URL", "rediss://:secret@host:6380", "redis_url", "rediss://:secret@host:6380"),
    ("REDIS_URL", "unix:///run/redis.sock?db=2", "redis_url", "unix:///run/redis.sock?db=2"),
    ("REDIS_URL", "  redis://host  ", "redis_url", "redis://host"),
    ("REDIS_URL", "", "redis_url", None),
    ("BROKER_URL", "redis://host/1", "broker_url", "redis://host/1"),
    ("BROKER_URL", "amqp://guest:guest@host:5672/v", "broker_url", "amqp://guest:guest@host:5672/v"),
    ("BROKER_URL", "amqps://host", "broker_url", "amqps://host"),
    ("STORAGE_URL", "/data/files", "storage_url", "file:///data/files"),
    ("STORAGE_URL", "s3://bucket/folder/", "storage_url", "s3://bucket/folder"),
    ("STORAGE_URL", "memory://", "storage_url", "memory://"),
    ("CALLBOARD_NAMESPACE", "shop-2_test", "namespace", "shop-2_test"),
    ("WORKFLOWS", "shop.workflows, billing,", "workflows", ("shop.workflows", "billing")),
    ("STATUS_TTL", "60", "status_ttl", 60),
    ("RETENTION_DAYS", "0", "retention_days", 0),
    ("IDEMPOTENCY_DAYS", "1", "idempotency_days", 1),
    ("STALE_DAYS", "30", "stale_days", 30),
    ("STORAGE_DAYS", "36500", "storage_days", 36_500),
    ("RESULT_LIMIT", "2048", "result_limit", 2048),
    ("LEASE_TTL", "10", "lease_ttl", 10),
    ("MAX_WORKER_DEATHS", "3", "max_worker_deaths", 3),
    ("CALLBOARD_LANGUAGE", "en", "language", "en"),
    ("LLM_BASE_URL", "https://host/v1", "llm_base_url", "https://host/v1"),
    ("LLM_MODEL", "large", "llm_model", "large"),
    ("LLM_API_KEY", "key", "llm_api_key", "key"),
    ("LLM_TIMEOUT", "0.5", "llm_timeout", 0.5),
    ("HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("PORT", "5050", "port", 5050),
    ("API_KEYS", f"{KEY}:read, {KEY}:operate", "api_keys", ((KEY_DIGEST, "read"), (KEY_DIGEST, "operate"))),
    ("ALLOW_OPEN", "1", "allow_open", True),
    ("ALLOW_OPEN", "no", "allow_open", False),
    ("SIGNING_SECRET", "s" * 16, "signing_secret", "s" * 16),
    ("WEBHOOK_SECRET", "s" * 16, "webhook_secret", "s" * 16),
    ("WEBHOOK_PRIVATE", "1", "webhook_private", True),
    ("CORS_ORIGINS", "https://a.example/, *", "cors_origins", ("https://a.example", "*")),
    ("INPUT_ROOTS", "/data/in, s3://bucket/in/", "input_roots", ("file:///data/in", "s3://bucket/in")),
    ("MAX_BODY_BYTES", "2048", "max_body_bytes", 2048),
    ("MAX_BATCH_BYTES", "2048", "max_batch_bytes", 2048),
    ("MAX_UPLOAD_BYTES", "2048", "max_upload_bytes", 2048),
    ("MAX_UPLOAD_TOTAL", "2048", "max_upload_total", 2048),
    ("MAX_UPLOAD_FILES", "7", "max_upload_files", 7),
    ("MAX_SOCKETS", "1200", "max_sockets", 1200),
    ("SMTP_URL", "smtp+starttls://me:p%40ss@host:587", "smtp_url", "smtp+starttls://me:p%40ss@host:587"),
    ("SMTP_URL", "smtp://me:pass@127.0.0.1:25", "smtp_url", "smtp://me:pass@127.0.0.1:25"),
    ("SMTP_FROM", "club@example.com", "smtp_from", "club@example.com"),
    ("SMTP_CA_FILE", __file__, "smtp_ca_file", Path(__file__).resolve()),
    ("SMTP_TIMEOUT", "5", "smtp_timeout", 5.0),
    ("WEBHOOK_URL", "https://host/messages", "webhook_url", "https://host/messages"),
    ("WEBHOOK_TOKEN", "token", "webhook_token", "token"),
]

REFUSED = [
    ("CALLBOARD_HOME", "~nobody-of-that-name/board", "a path that leads somewhere"),
    ("DATABASE_URL", "mysql://host/name", "postgresql://user:password@host:5432/name"),
    ("DATABASE_URL", "postgresql://host", "postgresql://user:password@host:5432/name"),
    ("DATABASE_URL", "sqlite://relative.db", "sqlite:////absolute/path"),
    ("DATABASE_URL", "postgresql://host:99999/name", "postgresql://user:password@host:5432/name"),
    ("DATABASE_URL", "postgresql://[host/name", "postgresql://user:password@host:5432/name"),
    ("REDIS_URL", "localhost:6379", "a URL like redis://host:6379/0"),
    ("REDIS_URL", "redis://", "a URL like redis://host:6379/0"),
    ("REDIS_URL", "redis://host:70000", "a URL like redis://host:6379/0"),
    ("REDIS_URL", "amqp://host", "redis://, rediss://, unix://"),
    ("REDIS_URL", "redis://host/shop", "a number as the database"),
    ("REDIS_URL", "redis://host/0?socket_timeout=soon", "options that the Redis client knows"),
    ("REDIS_URL", "redis://host/0?colour=red", "options that the Redis client knows"),
    ("BROKER_URL", "redis://host/shop", "a number as the database"),
    ("BROKER_URL", "kafka://host", "amqp://"),
    ("STORAGE_URL", "s 3://bucket", "a folder or an fsspec URL"),
    ("CALLBOARD_NAMESPACE", "a:b", "letters, digits"),
    ("CALLBOARD_NAMESPACE", "n" * 65, "up to 64"),
    ("WORKFLOWS", "shop workflows", "module names with commas"),
    ("STATUS_TTL", "3601", "seconds from 1 to 3600"),
    ("STATUS_TTL", "an hour", "seconds from 1 to 3600"),
    ("RETENTION_DAYS", "-1", "days from 1 to 36500, or 0 for ever"),
    ("IDEMPOTENCY_DAYS", "a week", "days from 1 to 36500"),
    ("STALE_DAYS", "0.5", "days from 1 to 36500"),
    ("STORAGE_DAYS", "36501", "days from 1 to 36500"),
    ("RESULT_LIMIT", "1", "bytes from 1024"),
    ("LEASE_TTL", "1", "seconds from 2 to 3600"),
    ("MAX_WORKER_DEATHS", "0", "a number from 1 to 1000"),
    ("CALLBOARD_LANGUAGE", "de", "ko or en"),
    ("LLM_BASE_URL", "host/v1", "https://host/v1"),
    ("STORAGE_URL", "~nobody-of-that-name/files", "a path that leads somewhere"),
    ("INPUT_ROOTS", "~nobody-of-that-name/in", "a path that leads somewhere"),
    ("LLM_TIMEOUT", "soon", "seconds from 0.1 to 3600"),
    ("LLM_TIMEOUT", "nan", "seconds from 0.1 to 3600"),
    ("HOST", "a host", "an address"),
    ("PORT", "0", "a port from 1 to 65535"),
    ("ALLOW_OPEN", "maybe", "1 or 0"),
    ("WEBHOOK_PRIVATE", "maybe", "1 or 0"),
    ("CORS_ORIGINS", "a.example", "origins such as https://host"),
    ("CORS_ORIGINS", "https://[a.example", "origins such as https://host"),
    ("CORS_ORIGINS", "https://a.example:99999", "origins such as https://host"),
    ("CORS_ORIGINS", "https://a.example/page", "origins such as https://host"),
    ("MAX_BODY_BYTES", "1", "bytes from 1024"),
    ("MAX_UPLOAD_FILES", "0", "files from 1"),
    ("MAX_SOCKETS", "0", "sockets from 1"),
    ("SMTP_URL", "mail.example.com:25", "smtps://user:password@host:465"),
    ("SMTP_URL", "smtps://w%C3%B6rd@host", "a user and a password in ASCII"),
    ("SMTP_URL", "smtps://host/inbox", "nothing after the port"),
    ("SMTP_FROM", "news", "an address such as news@example.com"),
    ("SMTP_FROM", "news@example.com, x@y", "an address such as news@example.com"),
    ("SMTP_CA_FILE", "/nowhere.pem", "a file that is there"),
    ("SMTP_CA_FILE", "~nobody-of-that-name/ca.pem", "a path that leads somewhere"),
    ("SMTP_TIMEOUT", "0", "seconds from 0.1"),
    ("WEBHOOK_URL", "ftp://host", "https://host/path"),
]


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_default(name: str) -> None:
    assert getattr(Settings.from_environment(HOME), name) == DEFAULTS[name]


def test_home_is_the_users_by_default() -> None:
    assert Settings.from_environment({}).home == Path.home() / ".callboard"


def test_what_lies_at_home_moves_with_it() -> None:
    settings = Settings.from_environment({"CALLBOARD_HOME": "/x"})
    assert settings.database_url == "sqlite:////x/ledger.sqlite3"
    assert settings.storage_url == "file:///x/storage"


@pytest.mark.parametrize(("variable", "text", "name", "value"), ACCEPTED)
def test_accepted(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(Settings.from_environment({**HOME, **MODEL, variable: text}), name) == value


@pytest.mark.parametrize(("variable", "text", "expected"), REFUSED)
def test_refused_in_one_line(variable: str, text: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({**HOME, **MODEL, variable: text})
    message = str(caught.value)
    assert message.startswith(f"{variable}: read {text!r}, expected ")
    assert expected in caught.value.expected
    assert "\n" not in message
    assert (caught.value.variable, caught.value.value) == (variable, text)


def test_every_documented_variable_is_tried() -> None:
    documented = {word for word in (Settings.__doc__ or "").split("``") if word.isupper()}
    assert documented == {variable for variable, *_ in ACCEPTED}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("API_KEYS", "s3cret:read"),
        ("API_KEYS", "s3cret-s3cret-s3cret:admin"),
        ("SIGNING_SECRET", "s3cret"),
        ("WEBHOOK_SECRET", "s3cret"),
        ("LLM_API_KEY", "s3cret-é"),
    ],
)
def test_a_secret_is_never_shown(variable: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: text})
    assert "s3cret" not in str(caught.value)
    assert caught.value.value == "***"


@pytest.mark.parametrize(
    "variable", ["DATABASE_URL", "REDIS_URL", "BROKER_URL", "LLM_BASE_URL", "SMTP_URL", "WEBHOOK_URL"]
)
@pytest.mark.parametrize("url", ["wrong://me:s3cret@host/x", "wrong://:s3cret@host:99999"])
def test_a_password_is_never_shown(variable: str, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: url})
    assert "s3cret" not in str(caught.value)
    assert ":***@host" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cr#et@host",
        "redis://me:s3c/r?et@host",
        "redis://me:s3c[ret@host",
        "redis://me:s@cret@host/x",
    ],
)
def test_a_password_that_breaks_its_url_is_not_shown_either(url: str) -> None:
    for variable in ("DATABASE_URL", "REDIS_URL"):
        with pytest.raises(SettingsError) as caught:
            Settings.from_environment({variable: url})
        assert "redis://me:***@host" in str(caught.value)
    assert without_password(f"{url}?password=s3cret&db=1") == f"{without_password(url)}?password=***&db=1"


def test_an_endless_value_is_cut_short() -> None:
    for variable in ("PORT", "REDIS_URL", "SMTP_CA_FILE"):
        with pytest.raises(SettingsError) as caught:
            Settings.from_environment({variable: "9" * 100_000})
        assert len(str(caught.value)) < 400


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(SettingsError, match=r"^CALLBOARD_HOME: .*this user has no home"):
        Settings.from_environment({})
    assert Settings.from_environment(HOME).home == Path("/srv/board")


def test_an_endpoint_needs_a_model() -> None:
    with pytest.raises(SettingsError, match=r"^LLM_MODEL: "):
        Settings.from_environment({"LLM_BASE_URL": "https://host/v1"})


def test_a_mail_server_needs_a_sender_and_no_password_goes_in_the_clear() -> None:
    with pytest.raises(SettingsError, match=r"^SMTP_FROM: "):
        Settings.from_environment({"SMTP_URL": "smtps://host"})
    with pytest.raises(SettingsError, match=r"a password must not travel unencrypted") as caught:
        Settings.from_environment({**MODEL, "SMTP_URL": "smtp://me:s3cret@host:25"})
    assert "s3cret" not in str(caught.value)


def test_the_board_is_embedded_without_a_url() -> None:
    assert Settings.from_environment(HOME).embedded
    assert not Settings.from_environment({"REDIS_URL": "redis://host"}).embedded
