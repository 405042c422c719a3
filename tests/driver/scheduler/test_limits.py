"""The limits file, the queue before the scheduler, and slots shared between users."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest

from voltray.driver.scheduler.admission import QUEUE_STAGE, Admission, Ticket
from voltray.driver.scheduler.limits import GroupLimits, Limits, Share, UserLimits, parse_limits
from voltray.driver.scheduler.slots import SlotPool, SlotState, is_turn, taken
from voltray.driver.settings import SettingError
from voltray.proto.failures import SparkError

FILE = b"""
[default]
running_queries = 2
[groups.analysts]
running_queries = 3
[groups.analysts.each]
weight = 2
result_size = "1m"
confs = { "spark.sql.ansi.enabled" = false }
[groups.guests.each]
weight = 0.5
[users.ada]
running_queries = 9
environment = { TEAM = "research" }
"""


def enter(admission: Admission, share: Share, **given: Any) -> Ticket:
    options: dict[str, Any] = {"follow": lambda t: None, "stop": lambda e: None, "is_abandoned": lambda: False}
    return admission.enter(share, **{**options, **given})


def queued(admission: Admission, share: Share, **given: Any) -> tuple[Ticket, list[Any], threading.Thread]:
    """A ticket in the queue, and where the outcome of its wait comes."""
    tickets: list[Ticket] = []
    outcome: list[Any] = []

    def wait() -> None:
        try:
            outcome.append(enter(admission, share, follow=tickets.append, **given))
        except SparkError as error:
            outcome.append(error.condition)

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + 5
    while not tickets and time.monotonic() < deadline:
        time.sleep(0.005)
    return tickets[0], outcome, thread


def test_a_share_is_the_users_over_the_groups_over_the_default() -> None:
    table = parse_limits(FILE)
    ada = table.share_of("ada", ("guests", "analysts"))
    assert (ada.weight, ada.limits.running_queries, ada.limits.result_size) == (2, 9, 1 << 20)
    assert ada.limits.confs == {"spark.sql.ansi.enabled": "false"} and ada.limits.environment == {"TEAM": "research"}
    assert ada.groups == (("analysts", GroupLimits(running_queries=3)),)
    assert table.share_of("bob").limits == Limits(running_queries=2)
    limits = UserLimits(lambda: table)
    assert limits.share_of("ada", frozenset({"guests"})).weight == 0.5
    assert limits.share_of_session("ada/1234").weight == 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[default", "no TOML"),
        ("[everyone]", "no table everyone"),
        ("[default]\nspeed = 1", "default has no limit speed"),
        ("[groups.a]\nweight = 2", "groups.a has no limit weight"),
        ("[users.a]\nrunning_queries = -1", "users.a.running_queries is to be a whole number"),
        ("[users.a]\nweight = 0", "users.a.weight is to be a number above zero"),
        ("[users.a]\nresult_size = 'big'", "expected a size"),
        ("[users]\na = 1", "a is to be a table"),
    ],
)
def test_a_limits_file_that_says_something_else_is_refused(text: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        parse_limits(text.encode())


def test_a_query_past_the_limit_waits_for_its_place() -> None:
    admission = Admission()
    share = Share("ada", Limits(running_queries=1))
    first = enter(admission, share)
    ticket, outcome, thread = queued(admission, share)
    assert ticket.progress()[0].stage_id == QUEUE_STAGE and ticket.progress()[0].num_tasks == 1
    enter(admission, Share("bob", Limits(running_queries=1)))  # another user has places of their own
    admission.leave(first)
    thread.join(5)
    assert outcome == [ticket] and not ticket.progress()
    admission.leave(ticket)
    assert (admission.running(), admission.queued()) == (1, 0)


def test_a_full_queue_and_a_long_wait_refuse_a_query() -> None:
    admission = Admission()
    share = Share("ada", Limits(running_queries=1, queued_queries=1, queue_seconds=0.1))
    enter(admission, share)
    _, outcome, thread = queued(admission, share)
    with pytest.raises(SparkError) as refused:
        enter(admission, share)
    assert refused.value.condition == "USER_LIMIT_EXCEEDED.QUEUED_QUERIES"
    thread.join(5)
    assert outcome == ["USER_LIMIT_EXCEEDED.QUEUE_TIME"] and admission.queued() == 0


def test_cancelled_and_abandoned_queries_leave_the_queue() -> None:
    admission = Admission(running_queries=1)
    first = enter(admission, Share("ada"))
    ticket, outcome, thread = queued(admission, Share("ada"))
    ticket.cancel()
    _, other, gone = queued(admission, Share("bob"), is_abandoned=lambda: True)
    thread.join(5)
    gone.join(5)
    assert outcome == other == ["OPERATION_CANCELED"] and admission.queued() == 0
    admission.leave(first)
    admission.leave(enter(admission, Share("bob")))
    assert admission.running() == 0


def test_the_user_who_runs_least_for_their_weight_comes_first() -> None:
    admission = Admission(running_queries=3)
    running = [enter(admission, Share("busy")) for _ in range(2)]
    running.append(enter(admission, Share("other")))
    order: list[str] = []
    waiting = []
    for name, user, weight in (("a", "busy", 1), ("b", "busy", 1), ("c", "idle", 1), ("d", "heavy", 8)):
        waiting.append((name, *queued(admission, Share(user, Limits(weight=weight)))))
    positions = {name: ticket.position for name, ticket, _, _ in waiting}
    assert positions == {"d": 1, "c": 2, "a": 3, "b": 4}
    for held in running:
        admission.leave(held)
        time.sleep(0.05)
        order += [name for name, ticket, _, _ in waiting if ticket.is_running and name not in order]
    assert order == ["d", "a", "c"]  # busy runs nothing any more when the second place comes free
    for _, ticket, _, thread in waiting:
        ticket.cancel()
        thread.join(5)


def test_a_group_has_its_places_together() -> None:
    admission = Admission()
    groups = (("analysts", GroupLimits(running_queries=1, queued_queries=0)),)
    enter(admission, Share("ada", groups=groups))
    with pytest.raises(SparkError) as refused:
        enter(admission, Share("bob", groups=groups))
    assert "group analysts" in str(refused.value)


def test_a_query_that_runs_too_long_is_stopped() -> None:
    stopped: list[SparkError] = []
    ticket = enter(Admission(), Share("ada", Limits(run_seconds=0.1)), stop=stopped.append)
    deadline = time.monotonic() + 5
    while not stopped and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ticket.is_running and stopped[0].condition == "USER_LIMIT_EXCEEDED.RUN_TIME"


def test_slots_go_to_users_first_then_to_their_queries() -> None:
    state = SlotState(8, (0,))
    for query in ("a1", "a1", "a2"):
        state = taken(state, 0, query)
    state = taken(taken(state, 0, "b1"), 0, "b1")
    shares = {"a1": Share("a"), "a2": Share("a"), "b1": Share("b")}
    assert is_turn(state, "b1", Counter(a2=1), shares)
    assert not is_turn(state, "a2", Counter(b1=1), shares)
    assert not is_turn(state, "a1", Counter(a2=1), shares)
    weighted = {**shares, "a2": Share("a", Limits(weight=3)), "a1": Share("a", Limits(weight=3))}
    assert is_turn(state, "a2", Counter(b1=1), weighted)
    capped = {**shares, "b1": Share("b", Limits(cpu_slots=2))}
    assert not is_turn(state, "b1", Counter(), capped)
    assert is_turn(state, "a2", Counter(b1=1), capped)


def test_a_short_task_goes_beside_large_ones() -> None:
    pool = SlotPool(SlotState(1, (0,)))
    with pool.shared("large", Share("ada")), pool.shared("small", Share("bob")):
        assert pool.try_take("large") == 0
        assert pool.try_take("small") is None
        assert pool.try_take("small", is_short=True) == 0
        assert pool.try_take("small", is_short=True) is None
    assert not pool.shares
