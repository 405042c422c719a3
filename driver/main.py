"""The command line: `voltray serve`, `voltray run`, `voltray status`, `voltray token`, `voltray version`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import click

import voltray
from voltray.driver.settings import DEFINITIONS, SettingError, Settings, load_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def settings_flags(command: Command) -> Command:
    """Give a command one flag for each setting."""
    for definition in reversed(DEFINITIONS):
        command = click.option(
            definition.flag,
            definition.name,
            metavar=definition.metavar,
            help=f"{definition.help_text} [{definition.environment_variable}; default: {definition.default_text}]",
        )(command)
    return command


def read_settings(flags: dict[str, Any]) -> Settings:
    """Read the settings from the flags given and the environment, or end with a usage message."""
    try:
        return load_settings(flags)
    except SettingError as error:
        raise click.UsageError(str(error)) from None


def configure_logging(settings: Settings) -> None:
    """Send log records to the standard error stream, one line each."""
    from voltray.driver.monitoring.logs import configure_logging as configure

    configure(settings.log_level, settings.log_format)


def stop_on_sigterm() -> None:
    """Make SIGTERM end the process as Ctrl-C does, so that the server and its Ray are stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Voltray: Spark Connect without the JVM, on Ray and Polars."""


def stop_with_input() -> None:
    """Make the end of the standard input end the process: whoever started it is gone."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="input-watch", daemon=True).start()


@main.command()
@settings_flags
@click.option("--until-input-ends", is_flag=True, help="Stop as well once the standard input ends.")
def serve(until_input_ends: bool, **flags: Any) -> None:
    """Run the server until it is told to stop (Ctrl-C, SIGTERM)."""
    settings = read_settings(flags)
    configure_logging(settings)
    from voltray.driver.connect.server import start_server

    stop_on_sigterm()
    try:
        server = start_server(settings)
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    # Once more: Ray puts in a handler of its own as it starts.
    stop_on_sigterm()
    if until_input_ends:
        stop_with_input()
    try:
        click.echo(f"Voltray {voltray.__version__} is listening on sc://{server.address}")
        if server.page_address is not None:
            click.echo(f"Status page: {server.page_address}")
        server.wait()
    except KeyboardInterrupt:
        click.echo("Voltray is stopping", err=True)
    finally:
        # A second Ctrl-C must not leave Ray's processes behind.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        server.stop(settings.graceful_stop_seconds)


@main.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@settings_flags
@click.argument("script", type=click.Path(exists=True, dir_okay=False))
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def run(script: str, args: tuple[str, ...], **flags: Any) -> None:
    """Run SCRIPT with ARGS against an embedded server, and end with its exit code.

    The script finds the server's address in SPARK_REMOTE.
    """
    # The server is this command's own: a free port, and quiet unless asked otherwise.
    own_defaults = {"port": 0, "ui_port": 0, "log_level": "warning"}
    given = {name: value for name, value in flags.items() if value is not None}
    settings = read_settings({**own_defaults, **given})
    configure_logging(settings)
    stop_on_sigterm()
    from voltray.driver.embedded import run_script

    try:
        code = run_script(settings, script, args)
    except SettingError as error:
        raise click.UsageError(str(error)) from None
    sys.exit(code)


@main.command(
    "token", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def token_command(words: tuple[str, ...]) -> None:
    """Make tokens for users: `voltray token new --user ada` (docs/security.md)."""
    from voltray.driver.connect.security.commands import token

    token.main(list(words), prog_name="voltray token")


@main.command(
    "status", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def status_command(words: tuple[str, ...]) -> None:
    """Show what a running server does: `voltray status --once` (docs/monitoring.md)."""
    from voltray.driver.monitoring.terminal import status

    status.main(list(words), prog_name="voltray status")


@main.command()
def version() -> None:
    """Print the versions of Voltray and of the Spark it answers as."""
    from importlib.metadata import version as installed

    click.echo(f"Voltray {voltray.__version__}")
    for distribution in ("pyspark-client", "polars", "ray", "pyarrow"):
        click.echo(f"{distribution} {installed(distribution)}")


if __name__ == "__main__":
    main()
