"""Settings are read from flags, the environment and defaults, in this order."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from voltray.driver.main import main
from voltray.driver.settings import (
    DEFINITIONS,
    SettingError,
    Settings,
    load_settings,
    machine_cpus,
    parse_seconds,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1024", 1024), ("4k", 4096), ("8g", 8 << 30), ("512 MiB", 512 << 20), ("1Tb", 1 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "g", "-1", "1.5g", "8 gigs", "0x10"])
def test_sizes_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_size(text)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1h"])
def test_seconds_refused(text: str) -> None:
    with pytest.raises(SettingError):
        parse_seconds(text)


def test_given_wins_over_environment_wins_over_default() -> None:
    environment = {"VOLTRAY_PORT": "1", "VOLTRAY_HOST": "::1", "VOLTRAY_LOG_LEVEL": ""}
    settings = load_settings({"port": 2}, environment)
    assert (settings.port, settings.host, settings.log_level) == (2, "::1", "info")


def test_errors_name_their_source() -> None:
    with pytest.raises(SettingError, match="VOLTRAY_PORT: expected a port from 0 to 65535, got '70000'"):
        load_settings({}, {"VOLTRAY_PORT": "70000"})
    with pytest.raises(SettingError, match=r"no such setting: prot; there are .*port"):
        load_settings({"prot": 1}, {})


def test_automatic_defaults_follow_the_executors_and_the_warehouse(tmp_path: Path) -> None:
    one, two = Settings(), Settings(executors=2, warehouse_dir=tmp_path / "tables")
    assert one.executor_cpus == machine_cpus()
    assert two.executor_memory == one.executor_memory // 2
    assert two.catalog_path == tmp_path / "metastore.sqlite"
    assert one.warehouse_dir == Path.cwd() / "spark-warehouse"


def test_no_automatic_default_is_left_open() -> None:
    settings = Settings()
    assert [d.name for d in DEFINITIONS if getattr(settings, d.name) is None] == ["ray_address"]


def test_every_setting_has_a_flag() -> None:
    shown = CliRunner().invoke(main, ["serve", "--help"]).output
    assert [definition.flag for definition in DEFINITIONS if definition.flag not in shown] == []


def test_bad_flags_end_with_a_usage_message() -> None:
    result = CliRunner().invoke(main, ["serve", "--executors", "0"])
    assert result.exit_code == 2
    assert "executors: expected a number above zero" in result.output


def test_version_names_the_packages_below() -> None:
    result = CliRunner().invoke(main, ["version"])
    assert result.exit_code == 0
    assert "pyspark-client 4.1" in result.output
