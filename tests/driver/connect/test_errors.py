"""Failures as a stock client sees them."""

from __future__ import annotations

import logging

import pytest
from connect_wire import Wire, range_plan
from pyspark.errors import ArithmeticException, PySparkException
from pyspark.sql.connect.proto import base_pb2 as pb

from voltray.driver.connect.errors import KEPT_ERRORS, PARENTS, ErrorStore, classes_of, failure_of, status_of
from voltray.proto.failures import ErrorKind, spark_error


def test_a_condition_reaches_the_stock_client_whole(client):
    with pytest.raises(ArithmeticException) as caught:
        client.range(0, 10, 2).collect()
    error = caught.value
    assert error.getCondition() == "DIVIDE_BY_ZERO"
    assert error.getSqlState() == "22012"
    assert error.getMessageParameters() == {"config": '"spark.sql.ansi.enabled"'}
    (context,) = error.getQueryContext()
    assert (context.fragment(), context.startIndex(), context.stopIndex()) == ("1/0", 7, 9)
    assert "[DIVIDE_BY_ZERO] Division by zero." in str(error)
    assert "1/0" in context.summary()


def test_a_fault_of_ours_is_told_by_its_id_and_logged(client, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "voltray.connect"), pytest.raises(PySparkException) as caught:
        client.range(0, 10, 3).collect()
    assert caught.value.getCondition() == "INTERNAL_ERROR"
    assert "Traceback" not in str(caught.value)
    assert "a fault of ours" not in str(caught.value)
    log_id = caplog.records[0].message.split()[-1]
    assert log_id in str(caught.value)
    assert "a fault of ours" in caplog.text


def test_details_are_kept_for_a_while(wire: Wire):
    told = wire.told(lambda: wire.execute(range_plan(1, step=2)))
    request = pb.FetchErrorDetailsRequest(**wire.who, error_id=told.error_id)
    response = wire.stub.FetchErrorDetails(request)
    error = response.errors[response.root_error_idx]
    assert error.spark_throwable.error_class == "DIVIDE_BY_ZERO"
    assert list(error.error_type_hierarchy)[:2] == [
        "org.apache.spark.SparkArithmeticException",
        "java.lang.ArithmeticException",
    ]
    unknown = pb.FetchErrorDetailsRequest(**wire.who, error_id="what")
    assert not wire.stub.FetchErrorDetails(unknown).HasField("root_error_idx")


def test_the_store_is_bounded():
    store = ErrorStore()
    failure = spark_error("DIVIDE_BY_ZERO", config="x").failure
    ids = [store.keep(failure) for _ in range(KEPT_ERRORS + 5)]
    assert [store.get(i) is not None for i in (ids[0], ids[4], ids[5], ids[-1])] == [False, False, True, True]


def test_every_kind_has_its_parents():
    assert set(PARENTS) == set(ErrorKind)
    assert all(classes_of(kind)[-1] == "java.lang.Object" for kind in ErrorKind)


def test_long_messages_are_cut_in_the_status_and_parameters_left_out():
    failure = spark_error("TABLE_OR_VIEW_NOT_FOUND", relationName="x" * 5000).failure
    status = status_of(failure, None)
    assert len(status.message) == 2048
    assert b"messageParameters" not in status.details[0].value


def test_a_cause_that_is_a_spark_error_is_what_is_told():
    try:
        try:
            raise spark_error("DIVIDE_BY_ZERO", ErrorKind.ARITHMETIC, config="x")
        except Exception as inner:
            raise RuntimeError("outer") from inner
    except RuntimeError as outer:
        assert failure_of(outer).condition == "DIVIDE_BY_ZERO"
