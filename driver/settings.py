"""The server's settings: one frozen dataclass whose fields carry their help, flag and environment variable.

The command line, the environment and docs/settings.md are all read off `DEFINITIONS`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENVIRONMENT_PREFIX = "VOLTRAY_"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30
_SIZE_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": MEBIBYTE, "g": GIBIBYTE, "t": 1 << 40}
_SIZE = re.compile(r"(\d+)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
# A quarter of the machine for Ray's shared object store, half for what the executors compute.
_OBJECT_STORE_SHARE = 0.25
_EXECUTORS_SHARE = 0.5


class SettingError(ValueError):
    """A setting's value cannot be read, or is out of its range."""


def parse_text(text: str) -> str:
    """Read a setting that is plain text."""
    return text


def parse_path(text: str) -> Path:
    """Read a path; relative ones count from the working directory of the driver."""
    return Path(text).expanduser().absolute()


def parse_count(text: str) -> int:
    """Read a whole number, zero or more."""
    if not text.isdecimal():
        raise SettingError(f"expected a whole number, got {text!r}")
    return int(text)


def parse_positive_count(text: str) -> int:
    """Read a whole number, one or more."""
    if not (count := parse_count(text)):
        raise SettingError("expected a number above zero")
    return count


def parse_size(text: str) -> int:
    """Read a size in bytes, with Spark's suffixes: `512m`, `8g`, `1048576`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise SettingError(f"expected a size such as 512m or 8g, got {text!r}")
    return int(match[1]) * _SIZE_UNITS[match[2].lower()]


def parse_seconds(text: str) -> float:
    """Read a duration in seconds, zero or more."""
    try:
        seconds = float(text)
    except ValueError:
        raise SettingError(f"expected seconds, got {text!r}") from None
    if not 0 <= seconds < float("inf"):
        raise SettingError(f"expected seconds, zero or more, got {text!r}")
    return seconds


def parse_factor(text: str) -> float:
    """Read how many times something, zero or more."""
    try:
        factor = float(text)
    except ValueError:
        factor = -1.0
    if not 0 <= factor < float("inf"):
        raise SettingError(f"expected a number, zero or more, got {text!r}")
    return factor


def parse_port(text: str) -> int:
    """Read a TCP port; 0 lets the system choose a free one."""
    port = parse_count(text)
    if port > 65535:
        raise SettingError(f"expected a port from 0 to 65535, got {text!r}")
    return port


def parse_flag(text: str) -> bool:
    """Read true or false."""
    if text.lower() not in ("true", "false"):
        raise SettingError(f"expected true or false, got {text!r}")
    return text.lower() == "true"


def parse_log_level(text: str) -> str:
    """Read the name of a log level."""
    if text.lower() not in LOG_LEVELS:
        raise SettingError(f"expected one of {', '.join(LOG_LEVELS)}, got {text!r}")
    return text.lower()


def parse_log_format(text: str) -> str:
    """Read the form of log lines."""
    if text.lower() not in LOG_FORMATS:
        raise SettingError(f"expected one of {', '.join(LOG_FORMATS)}, got {text!r}")
    return text.lower()


# How the values of one kind are shown in help texts and in docs/settings.md.
METAVARS: dict[Callable[[str], Any], str] = {
    parse_text: "TEXT",
    parse_path: "PATH",
    parse_count: "N",
    parse_positive_count: "N",
    parse_size: "SIZE",
    parse_seconds: "SECONDS",
    parse_factor: "FACTOR",
    parse_port: "PORT",
    parse_log_level: "LEVEL",
    parse_log_format: "FORMAT",
    parse_flag: "true|false",
}


def _setting(default: Any, parse: Callable[[str], Any], help_text: str, automatic: str | None = None) -> Any:
    """Define a setting; `automatic` says what the default None becomes."""
    return field(
        default=default, metadata={"parse": parse, "help": help_text, "automatic": automatic, "shown": None}
    )


def _size(size: str, help_text: str) -> Any:
    """Define a size whose default is written as users write it."""
    metadata = {"parse": parse_size, "help": help_text, "automatic": None, "shown": size}
    return field(default=parse_size(size), metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set on a server; None is never left where a default is worked out."""

    host: str = _setting(
        "127.0.0.1", parse_text, "Address to listen on. Anything but loopback lets other machines in."
    )
    port: int = _setting(15002, parse_port, "Port to listen on; 0 takes a free one.")
    ray_address: str | None = _setting(
        None, parse_text, "Ray cluster to attach to (`auto`, `host:port`).", "a local Ray of our own"
    )
    executors: int = _setting(1, parse_positive_count, "Number of executors: Ray actors that run the stages.")
    executor_cpus: int = _setting(
        None, parse_positive_count, "CPUs of each executor.", "the machine's CPUs divided by the executors"
    )
    executor_memory: int = _setting(
        None, parse_size, "Memory budget of each executor.", "half of the machine's divided by the executors"
    )
    memory_wait_seconds: float = _setting(
        600.0, parse_seconds, "Seconds that a task waits for an executor's memory before its query is refused."
    )
    spill_dir: Path = _setting(
        None,
        parse_path,
        "Folder on each node for exchanged rows that the object store does not hold.",
        "`voltray-spill` in the folder for temporary files",
    )
    executor_silence_seconds: float = _setting(
        120.0, parse_seconds, "Seconds without an answer after which an executor is ended and replaced."
    )
    max_executors: int = _setting(
        0, parse_count, "Executors up to which the server grows as the Ray cluster gets nodes with room; 0: never."
    )
    straggler_multiple: float = _setting(
        0.0, parse_factor, "A task that takes so many times its stage's median runs a second time elsewhere; 0: never."
    )
    object_store_memory: int = _setting(
        None,
        parse_size,
        "Shared memory of the local Ray's object store, where exchanged partitions lie.",
        "a quarter of the machine's memory",
    )
    python_worker_memory: int = _setting(
        None,
        parse_size,
        "Memory that one Python worker may hold before it is killed, and its query with it; 0 sets no limit.",
        "an executor's memory divided by its CPUs, but 1g at least",
    )
    python_task_seconds: float = _setting(
        0.0, parse_seconds, "Seconds that one task may keep a Python worker before it is killed; 0 sets no limit."
    )
    warehouse_dir: Path = _setting(
        Path("spark-warehouse"), parse_path, "Folder of managed tables (`spark.sql.warehouse.dir`)."
    )
    catalog_path: Path = _setting(
        None,
        parse_path,
        "SQLite file that keeps databases, tables and persistent views.",
        "`metastore.sqlite` beside the warehouse folder",
    )
    session_idle_timeout: float = _setting(
        3600.0, parse_seconds, "Seconds after which an unused session is closed; 0 never closes one."
    )
    reattach_buffer_bytes: int = _size(
        "64m", "Responses of one operation kept for a reattaching client; a full buffer holds the work back."
    )
    single_stage_bytes: int = _size(
        "8g", "Input size up to which a query runs as one stage on one executor, without any exchange."
    )
    shuffle_partitions: int = _setting(
        200, parse_positive_count, "Most partitions that an exchange makes, whatever a session asks for."
    )
    result_batch_rows: int = _setting(
        65536, parse_positive_count, "Rows in one Arrow batch of a result; batches are cut by size as well."
    )
    max_message_bytes: int = _size("512m", "Largest message taken from a client; a larger one is refused.")
    tls_certificate: str = _setting(
        "", parse_text, "PEM file of the server's certificate and its chain; read anew when renewed.", "no TLS"
    )
    tls_key: str = _setting("", parse_text, "PEM file of the certificate's private key.", "no TLS")
    tls_client_ca: str = _setting(
        "", parse_text, "PEM file of the authority whose certificates clients must show (mTLS).", "none are asked for"
    )
    allow_unauthenticated: bool = _setting(
        False, parse_flag, "Let other machines in without any proof of who they are."
    )
    auth_tokens: str = _setting("", parse_text, "TOML file of tokens and their users (docs/security.md).", "none")
    auth_jwt_keys: str = _setting(
        "", parse_text, "JWKS file or URL: the keys that JSON web tokens are signed by.", "none"
    )
    auth_jwt_issuer: str = _setting("", parse_text, "The `iss` that JSON web tokens must have.", "none")
    auth_jwt_audience: str = _setting("", parse_text, "The `aud` that JSON web tokens must have.", "none")
    auth_jwt_algorithms: str = _setting(
        "RS256,ES256", parse_text, "Signature algorithms that are taken, with commas between them."
    )
    auth_jwt_user_claim: str = _setting("sub", parse_text, "The claim that becomes the user's name.")
    auth_jwt_groups_claim: str = _setting("groups", parse_text, "The claim that lists the user's groups.")
    auth_proxy_header: str = _setting(
        "", parse_text, "Header in which a trusted proxy names the user, such as `x-forwarded-user`.", "none"
    )
    auth_proxy_groups_header: str = _setting(
        "", parse_text, "Header in which it lists the user's groups, with commas between them.", "none"
    )
    auth_proxy_peers: str = _setting(
        "", parse_text, "Addresses and networks of trusted proxies, with commas between them.", "none"
    )
    auth_certificates: bool = _setting(
        False, parse_flag, "Take the common name of a client's certificate as the user's name."
    )
    auth_mint_key: str = _setting(
        "", parse_text, "File of the key that minted tokens are signed by.", "a new one at each start"
    )
    auth_mint_seconds: float = _setting(86400.0, parse_seconds, "Longest life of a minted token.")
    policy: str = _setting(
        "", parse_text, "TOML file of paths and tables that users may read and write.", "everything for everyone"
    )
    health_port: int = _setting(
        0, parse_port, "Port of the health service alone, for probes without a token; 0 opens none."
    )
    limits: str = _setting(
        "", parse_text, "TOML file of limits of users and groups (docs/many-users.md); read anew when changed.", "none"
    )
    running_queries: int = _setting(
        500, parse_count, "Queries of all users that run at a time; more wait in a queue; 0 sets no limit."
    )
    queued_queries: int = _setting(1000, parse_count, "Queries of all users that may wait; more are refused.")
    user_running_queries: int = _setting(
        0, parse_count, "Queries of one user that run at a time, where the limits file says nothing; 0 sets no limit."
    )
    user_queue_seconds: float = _setting(
        600.0, parse_seconds, "Seconds that a query may wait, where the limits file says nothing; 0 sets no limit."
    )
    ui_port: int = _setting(
        4040, parse_port, "Port of the status page; the next free one where it is taken; 0 opens none."
    )
    ui_operations: int = _setting(1000, parse_positive_count, "Operations that the status page keeps once they ended.")
    ui_hosts: str = _setting(
        "", parse_text, "More host names, with commas, under which browsers may ask for the status page.", "none"
    )
    metrics_port: int = _setting(
        0, parse_port, "Port of the Prometheus metrics alone, for scrapers without a token; 0 opens none."
    )
    otel_endpoint: str = _setting(
        "", parse_text, "OTLP endpoint (HTTP) to which traces go.", "`OTEL_EXPORTER_OTLP_ENDPOINT`, else no traces"
    )
    log_level: str = _setting("info", parse_log_level, f"One of {', '.join(LOG_LEVELS)}.")
    log_format: str = _setting("text", parse_log_format, f"One of {', '.join(LOG_FORMATS)}: lines, or JSON objects.")
    graceful_stop_seconds: float = _setting(
        10.0, parse_seconds, "Seconds that running queries get to finish when the server stops."
    )

    def __post_init__(self) -> None:
        """Work out the defaults that depend on the machine or on another setting."""
        memory = machine_memory()
        warehouse = Path(self.warehouse_dir).expanduser().absolute()
        derived: dict[str, Any] = {
            "executor_cpus": max(1, machine_cpus() // self.executors),
            "executor_memory": int(memory * _EXECUTORS_SHARE) // self.executors,
            "object_store_memory": int(memory * _OBJECT_STORE_SHARE),
            "catalog_path": warehouse.parent / "metastore.sqlite",
            "spill_dir": Path(tempfile.gettempdir()) / "voltray-spill",
        }
        for name, value in derived.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.python_worker_memory is None:
            object.__setattr__(self, "python_worker_memory", max(GIBIBYTE, self.executor_memory // self.executor_cpus))
        object.__setattr__(self, "warehouse_dir", warehouse)


@dataclass(frozen=True)
class Definition:
    """One setting as the command line, the environment and the documentation show it."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    help_text: str
    automatic: str | None
    default_text: str

    @property
    def flag(self) -> str:
        """Return the command line flag: `--ray-address`."""
        return "--" + self.name.replace("_", "-")

    @property
    def environment_variable(self) -> str:
        """Return the environment variable: `VOLTRAY_RAY_ADDRESS`."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def metavar(self) -> str:
        """Return what stands for the value in help texts."""
        return METAVARS[self.parse]


def _define(entry: dataclasses.Field[Any]) -> Definition:
    metadata = entry.metadata
    plain = f"{entry.default:g}" if isinstance(entry.default, float) else str(entry.default)
    plain = plain.lower() if isinstance(entry.default, bool) else plain
    return Definition(
        name=entry.name,
        default=entry.default,
        parse=metadata["parse"],
        help_text=metadata["help"],
        automatic=metadata["automatic"],
        default_text=metadata["shown"] or metadata["automatic"] or plain,
    )


DEFINITIONS: tuple[Definition, ...] = tuple(_define(entry) for entry in dataclasses.fields(Settings))


def load_settings(
    given: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Build the settings: values given by name win over the environment, which wins over the defaults."""
    environment = os.environ if environment is None else environment
    given = dict(given or {})
    known = {definition.name for definition in DEFINITIONS}
    if unknown := sorted(given.keys() - known):
        raise SettingError(f"no such setting: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for definition in DEFINITIONS:
        name, variable = definition.name, definition.environment_variable
        if given.get(name) is not None:
            values[name] = _read(definition, str(given[name]), name)
        elif environment.get(variable):
            values[name] = _read(definition, environment[variable], variable)
    return Settings(**values)


def _read(definition: Definition, text: str, source: str) -> Any:
    try:
        return definition.parse(text)
    except SettingError as error:
        raise SettingError(f"{source}: {error}") from None


def settings_document() -> str:
    """Return docs/settings.md, from the definitions."""
    lines = [
        "# Settings",
        "",
        "A flag of `voltray serve` wins over its environment variable, which wins over the default.",
        "`voltray.session(name=value)` takes the same names with underscores.",
        "Sizes take the suffixes `k`, `m`, `g` and `t`.",
        "This page is made from `driver/settings.py` by `make docs`.",
        "",
        "| flag | environment variable | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for definition in DEFINITIONS:
        default = definition.default_text if definition.automatic else f"`{definition.default_text}`"
        lines.append(
            f"| `{definition.flag} {definition.metavar}` | `{definition.environment_variable}` "
            f"| {default} | {definition.help_text} |"
        )
    return "\n".join(lines) + "\n"


def machine_cpus() -> int:
    """Return the CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory() -> int:
    """Return the memory this process may use: the machine's, or its container's where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def as_flags(settings: Settings) -> list[str]:
    """Return the command line that gives a server these settings."""
    given = [(definition.flag, getattr(settings, definition.name)) for definition in DEFINITIONS]
    return [word for flag, value in given if value is not None for word in (flag, str(value))]
