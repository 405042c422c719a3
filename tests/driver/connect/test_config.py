"""Confs, as Spark 4.1.1 answers for them (recorded)."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from connect_wire import Told, Wire
from pyspark.errors import AnalysisException, IllegalArgumentException, SparkNoSuchElementException
from pyspark.sql.connect.proto import base_pb2 as pb

from voltray.driver.connect.config import HONOURED, HONOURED_PREFIXES, NOT_SUPPORTED_IN_CONNECT
from voltray.driver.connect.confs import definitions

ROOT = Path(__file__).parents[3]


def ask(wire: Wire, **operation) -> tuple[dict[str, str | None], list[str]]:
    response = wire.stub.Config(pb.ConfigRequest(**wire.who, operation=operation))
    return {p.key: p.value if p.HasField("value") else None for p in response.pairs}, list(response.warnings)


def set_conf(wire: Wire, key: str, value: str, **fields) -> tuple[dict[str, str | None], list[str]]:
    return ask(wire, set={"pairs": [{"key": key, "value": value}], **fields})


def refused(wire: Wire, key: str, value: str) -> Told:
    return wire.told(lambda: set_conf(wire, key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.sql.ansi.enabled", "true"),
        ("spark.sql.shuffle.partitions", "200"),
        ("spark.sql.sources.default", "parquet"),
        ("spark.sql.autoBroadcastJoinThreshold", "10485760b"),
        ("spark.sql.session.localRelationChunkSizeBytes", "16777216"),
        ("spark.connect.session.planCompression.threshold", "10485760"),
        ("spark.sql.execution.pandas.structHandlingMode", "legacy"),
        ("spark.sql.extensions", None),
    ],
)
def test_defaults_are_sparks(wire: Wire, key: str, value: str | None):
    assert ask(wire, get={"keys": [key]})[0] == {key: value}


def test_unknown_confs(wire: Wire):
    told = wire.told(lambda: ask(wire, get={"keys": ["spark.nope"]}))
    assert (told.condition, told.sqlstate) == ("SQL_CONF_NOT_FOUND", "42K0I")
    assert told.parameters == {"sqlConf": '"spark.nope"'}
    assert ask(wire, get_option={"keys": ["spark.nope"]})[0] == {"spark.nope": None}
    pairs = [{"key": "spark.nope", "value": "x"}, {"key": "nope"}]
    assert ask(wire, get_with_default={"pairs": pairs})[0] == {"spark.nope": "x", "nope": None}
    set_conf(wire, "spark.nope", "y")
    assert ask(wire, get={"keys": ["spark.nope"]})[0] == {"spark.nope": "y"}


def test_modifiable(wire: Wire):
    keys = ["spark.sql.ansi.enabled", "spark.sql.warehouse.dir", "spark.app.name", "nope"]
    answer, _ = ask(wire, is_modifiable={"keys": keys})
    assert answer == dict(zip(keys, ["true", "false", "false", "false"], strict=True))


def test_unset_goes_back_to_the_default(wire: Wire):
    set_conf(wire, "spark.sql.ansi.enabled", "false")
    assert ask(wire, get={"keys": ["spark.sql.ansi.enabled"]})[0] == {"spark.sql.ansi.enabled": "false"}
    ask(wire, unset={"keys": ["spark.sql.ansi.enabled"]})
    assert ask(wire, get={"keys": ["spark.sql.ansi.enabled"]})[0] == {"spark.sql.ansi.enabled": "true"}


def test_all_confs_are_those_set_without_the_prefix_asked_for(wire: Wire):
    set_conf(wire, "spark.sql.shuffle.partitions", "7")
    everything, _ = ask(wire, get_all={})
    assert everything["spark.sql.shuffle.partitions"] == "7"
    assert "spark.sql.ansi.enabled" not in everything
    assert ask(wire, get_all={"prefix": "spark.sql.shuffle."})[0] == {"partitions": "7"}


@pytest.mark.parametrize(
    ("key", "value", "condition", "parameters"),
    [
        ("spark.sql.warehouse.dir", "/x", "CANNOT_MODIFY_STATIC_CONFIG", {"key": '"spark.sql.warehouse.dir"'}),
        (
            "spark.driver.memory",
            "1g",
            "CANNOT_MODIFY_CONFIG",
            {"key": '"spark.driver.memory"', "docroot": "https://spark.apache.org/docs/latest"},
        ),
        (
            "spark.sql.ansi.enabled",
            "maybe",
            "INVALID_CONF_VALUE.TYPE_MISMATCH",
            {"confName": "spark.sql.ansi.enabled", "confValue": "maybe", "confType": "boolean"},
        ),
        (
            "spark.sql.autoBroadcastJoinThreshold",
            "zz",
            "INVALID_CONF_VALUE.TYPE_MISMATCH",
            {
                "confName": "spark.sql.autoBroadcastJoinThreshold",
                "confValue": "zz",
                "confType": "bytes in BYTE",
            },
        ),
        (
            "spark.sql.shuffle.partitions",
            "0",
            "INVALID_CONF_VALUE.REQUIREMENT",
            {
                "confName": "spark.sql.shuffle.partitions",
                "confValue": "0",
                "confRequirement": "The value of spark.sql.shuffle.partitions must be positive",
            },
        ),
        (
            "spark.sql.storeAssignmentPolicy",
            "foo",
            "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS",
            {
                "confName": "spark.sql.storeAssignmentPolicy",
                "confValue": "foo",
                "confOptions": "ANSI, LEGACY, STRICT",
            },
        ),
        (
            "spark.sql.session.timeZone",
            "Mars/X",
            "INVALID_CONF_VALUE.TIME_ZONE",
            {"confName": "spark.sql.session.timeZone", "confValue": "Mars/X"},
        ),
    ],
)
def test_what_is_refused(wire: Wire, key: str, value: str, condition: str, parameters: dict[str, str]):
    told = refused(wire, key, value)
    assert told.condition == condition
    assert told.parameters == parameters


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spark.sql.ansi.enabled", " TRUE "),
        ("spark.sql.session.timeZone", "+8:00"),
        ("spark.sql.session.timeZone", "America/Los_Angeles"),
        ("spark.sql.storeAssignmentPolicy", "legacy"),
        ("spark.sql.autoBroadcastJoinThreshold", "10mb"),
        ("spark.sql.broadcastTimeout", "5m"),
        ("spark.app.name", "mine"),
    ],
)
def test_what_is_taken(wire: Wire, key: str, value: str):
    assert set_conf(wire, key, value) == ({}, [])
    assert ask(wire, get={"keys": [key]})[0] == {key: value}


def test_a_silent_set_warns_instead(wire: Wire):
    _, warnings = set_conf(wire, "spark.sql.catalogImplementation", "hive", silent=True)
    assert warnings[0].startswith("Failed to set spark.sql.catalogImplementation to Some(hive) due to [CANNOT_MODIFY")


def test_deprecated_confs_warn(wire: Wire):
    _, warnings = set_conf(wire, "spark.sql.adaptive.coalescePartitions.minPartitionNum", "1")
    assert "deprecated in Spark v3.2" in warnings[0]
    _, warnings = set_conf(wire, "spark.sql.execution.arrow.enabled", "true")
    assert warnings == ["The SQL config 'spark.sql.execution.arrow.enabled' is NOT supported in Spark Connect"]


def test_a_conf_without_effect_is_said_once(wire: Wire, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, "voltray.connect"):
        for value in ("false", "true", "false"):
            set_conf(wire, "spark.sql.codegen.wholeStage", value)
    told = [r.message for r in caplog.records if "spark.sql.codegen.wholeStage" in r.message]
    assert len(told) == 1


def test_the_stock_client_raises_its_own_classes(client):
    assert client.conf.get("spark.sql.ansi.enabled") == "true"
    with pytest.raises(AnalysisException) as static:
        client.conf.set("spark.sql.warehouse.dir", "/x")
    assert static.value.getCondition() == "CANNOT_MODIFY_STATIC_CONFIG"
    with pytest.raises(IllegalArgumentException):
        client.conf.set("spark.sql.shuffle.partitions", "many")
    with pytest.raises(SparkNoSuchElementException):
        client.conf.get("spark.nope")
    assert client.conf.get("spark.nope", "other") == "other"
    assert client.conf.isModifiable("spark.sql.ansi.enabled")


def test_the_list_of_honoured_confs_is_what_the_code_reads():
    read: set[str] = set()
    for folder in ("driver", "executors"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "config.py":
                read.update(re.findall(r'"(spark\.(?:sql|connect)\.[A-Za-z0-9_.]+)"', path.read_text()))
    known = {k for k in read if k in definitions() and not definitions()[k].is_static}
    elsewhere = {"spark.sql.connect.serverStacktrace.enabled", "spark.sql.artifact.isolation.enabled"}
    unlisted = {k for k in known - HONOURED - elsewhere if not k.startswith(HONOURED_PREFIXES)}
    assert unlisted - NOT_SUPPORTED_IN_CONNECT == set()
    assert known >= HONOURED
