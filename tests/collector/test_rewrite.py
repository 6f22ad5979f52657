"""Stored calls written anew: costs with other prices, rows with other aliases, rolled up exactly, whatever interrupts it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.envelope import wrap
from collector.pipeline import Pipeline, Signal
from collector.rewrite import Interrupted, Report, Rewriter, Scope
from collector.rewrite.renormalise import Renormalise
from collector.rewrite.reprice import Reprice
from collector.sweep import Sweep
from storage import reference
from storage.embedded import EmbeddedStore
from storage.mapping import Alias, MappingSettings
from tests.collector.conftest import WithPipeline
from tests.collector.crashing import Crash, Crashing
from tests.collector.direct import store_whole
from tests.collector.requests import SECOND, any_value, call, span, traces
from tests.collector.test_sweep import calls, minutes

Send = Callable[..., None]
SetPrices = Callable[[float], None]
SetAliases = Callable[..., None]
DAY = timedelta(days=1)
RECORDINGS = Path(str(resources.files("llmhub").joinpath("recordings")))


@pytest.fixture(autouse=True)
def alone(llm_store: EmbeddedStore) -> None:
    """A rewrite works on whole parts of tables, and each part of somebody else's rows costs it time."""
    for table in ("otel_traces", "otel_logs", "llm_calls", "llm_steps", "llm_calls_1m"):
        llm_store.execute(f"TRUNCATE TABLE {table}")


@pytest.fixture
def send(with_pipeline: WithPipeline, tenant: str) -> Send:
    """Sends each list of spans as a request of its own."""

    def send(*requests: Sequence[Span], service: str = "shop") -> None:
        async def use(pipeline: Pipeline) -> None:
            for spans in requests:
                request = traces(*spans, service=service)
                request.resource_spans[0].schema_url = uuid.uuid4().hex  # the same bytes would be recognised as such
                await pipeline.submit(Signal.TRACES, tenant, request.SerializeToString())

        with_pipeline(use)

    return send


@pytest.fixture
def scope(tenant: str) -> Scope:
    """This test's tenant, from the month before last to the end of today."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Scope(today - 50 * DAY, today + DAY, tenant)


@pytest.fixture
def set_prices(llm_store: EmbeddedStore) -> Iterator[SetPrices]:
    """Multiplies the prices of the list; afterwards they are as they were."""

    def multiply(factor: float) -> None:
        llm_store.execute("CREATE TABLE other_prices AS llm_prices")
        llm_store.execute(
            f"INSERT INTO other_prices SELECT * REPLACE (arrayMap(rate -> rate * {factor}, rates) AS rates, 'x{factor}' AS version) "
            "FROM llm_prices"
        )
        llm_store.execute("EXCHANGE TABLES other_prices AND llm_prices")
        llm_store.execute("DROP TABLE other_prices")
        llm_store.execute(f"SYSTEM RELOAD DICTIONARY {llm_store.database}.llm_price")

    yield multiply
    forget(llm_store, "llm_prices")
    reference.load(llm_store)


@pytest.fixture
def set_aliases(llm_store: EmbeddedStore) -> Iterator[SetAliases]:
    """Loads the aliases of an operator; afterwards there are none."""

    def load(*aliases: Alias, **dimensions: tuple[str, ...]) -> None:
        settings = MappingSettings(aliases=aliases, dimensions=dimensions)
        settings.check()
        reference.load(llm_store, mapping=settings)

    yield load
    reference.load(llm_store)


def forget(store: EmbeddedStore, table: str) -> None:
    store.execute(f"DELETE FROM llm_reference WHERE name = '{table}'")


def rewriter(store: Any, *, slice_records: int = 40_000) -> Rewriter:
    return Rewriter(store, Sweep(store), kinds=(Reprice(store), Renormalise(store, slice_records)))


def spans(number: int, *, days: int = 40, **attributes: Any) -> list[Span]:
    """Calls of two days, which are those of two months by default, and of two models, one of which has no price."""
    made = []
    for n in range(number):
        other = {"response__model": "unheard-of", "request__model": "unheard-of"} if n % 4 == 3 else {}
        each = call(**{**other, **attributes})
        each.start_time_unix_nano -= (n % 2) * days * 86400 * SECOND + n * SECOND
        each.end_time_unix_nano = each.start_time_unix_nano + SECOND
        made.append(each)
    return made


def renamed(each: Span, before: str, after: str) -> Span:
    """The same span as an SDK that nobody knows emits it."""
    changed = Span()
    changed.CopyFrom(each)
    for attribute in changed.attributes:
        if attribute.key == before:
            attribute.key = after
    return changed


def unmapped(number: int, *, days: int = 0) -> list[Span]:
    """Calls of one day that have their models and tokens in attributes that no alias knows."""
    return [
        renamed(renamed(each, "gen_ai.response.model", "acme.model"), "gen_ai.usage.output_tokens", "acme.tokens.out")
        for each in spans(number, days=days, request__model="")
    ]


ACME = (Alias("response_model", "acme.model"), Alias("output_tokens", "acme.tokens.out"))


def check(store: EmbeddedStore, tenant: str) -> None:
    """The roll-up is what the calls add up to."""
    assert minutes(store, tenant) == pytest.approx(calls(store, tenant))


def cost(store: EmbeddedStore, tenant: str) -> float:
    return float(calls(store, tenant)["cost"])


def changed(report: Report, what: str = "calls") -> int:
    return sum(total.rows_changed for total in report.totals if total.what == what)


def test_a_reprice_changes_what_the_dry_run_said_and_the_roll_up_with_it(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    send(spans(12))
    before = cost(llm_store, tenant)
    set_prices(3.0)
    tried = rewriter(llm_store).run("reprice", scope, dry_run=True)
    assert cost(llm_store, tenant) == before
    check(llm_store, tenant)

    done = rewriter(llm_store).run("reprice", scope)
    assert done.totals == tried.totals
    assert (done.parts, done.resumed, changed(done)) == (2, 0, 9)
    priced, unpriced = done.totals
    assert (priced.rows_before, priced.rows_after, priced.unpriced_after) == (9, 9, 0)
    assert priced.cost_before == pytest.approx(before)
    assert priced.cost_after == pytest.approx(3 * before)
    assert (unpriced.model, unpriced.rows_after, unpriced.unpriced_before, unpriced.unpriced_after) == (
        "unheard-of",
        3,
        3,
        3,
    )
    assert cost(llm_store, tenant) == pytest.approx(3 * before)
    check(llm_store, tenant)
    (row,) = llm_store.rows(
        "SELECT sum(previous_cost) AS before, uniqExact(price_version) AS versions FROM llm_calls "
        "WHERE tenant = {t:String} AND rewrite > 0",
        params={"t": tenant},
    )
    assert row == {"before": pytest.approx(before), "versions": 1}


@pytest.mark.parametrize("table", ["llm_calls", "llm_calls_billing", "llm_calls_enriched"])
def test_every_query_reads_the_new_prices(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices, table: str
) -> None:
    send(spans(12))
    before = cost(llm_store, tenant)
    set_prices(3.0)
    rewriter(llm_store).run("reprice", scope)
    where = f"FROM {table} WHERE tenant = '{tenant}' AND timestamp > toDateTime(0)"
    by_model = llm_store.rows(f"SELECT model, sum({table}.cost) AS usd {where} GROUP BY model")
    assert sum(row["usd"] or 0 for row in by_model) == pytest.approx(3 * before)
    listed = llm_store.rows(f"SELECT {table}.cost AS usd {where} ORDER BY received_at")
    assert sum(row["usd"] or 0 for row in listed) == pytest.approx(3 * before)


def test_a_second_reprice_changes_nothing(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    send(spans(4))
    set_prices(2.0)
    rewriter(llm_store).run("reprice", scope)
    once = calls(llm_store, tenant)
    assert changed(rewriter(llm_store).run("reprice", scope)) == 0
    assert calls(llm_store, tenant) == once
    check(llm_store, tenant)


def test_only_the_range_and_the_service_that_are_named_are_repriced(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    send(spans(4))
    send(spans(2), service="other")
    set_prices(2.0)
    recent = Scope(scope.until - 2 * DAY, scope.until, tenant, "shop")
    assert changed(rewriter(llm_store).run("reprice", recent)) == 2
    elsewhere = Scope(scope.since, scope.until, "nobody")
    assert rewriter(llm_store).run("reprice", elsewhere).parts == 0
    check(llm_store, tenant)


@pytest.mark.parametrize(
    ("kind", "tenant"), [("reprice", "${price} ${rewrite}"), ("renormalise", "${price} ${one_block}")]
)
def test_the_name_of_a_tenant_is_not_taken_for_a_placeholder(
    llm_store: EmbeddedStore, send: Send, scope: Scope, set_prices: SetPrices, kind: str
) -> None:
    send(spans(2, days=0))
    before = cost(llm_store, scope.tenant)
    set_prices(3.0)
    rewriter(llm_store).run(kind, scope)
    assert cost(llm_store, scope.tenant) == pytest.approx(3 * before)


def test_a_model_that_gets_a_price_is_priced(llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope) -> None:
    send(spans(4))
    llm_store.execute(
        "INSERT INTO llm_models (tenant, provider, model, price_id) SELECT tenant, provider, 'unheard-of', price_id "
        "FROM llm_models WHERE provider = 'openai' AND model = 'gpt-4o-mini'"
    )
    llm_store.execute(f"SYSTEM RELOAD DICTIONARY {llm_store.database}.llm_model")
    try:
        report = rewriter(llm_store).run("reprice", scope)
    finally:
        forget(llm_store, "llm_models")
        reference.load(llm_store)
    assert [(total.unpriced_before, total.unpriced_after) for total in report.totals if total.rows_changed] == [(1, 0)]
    assert calls(llm_store, tenant)["unpriced_calls"] == 0
    check(llm_store, tenant)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("prepared", False),
        ("UPDATE", False),
        ("UPDATE", True),
        ("INSERT INTO llm_calls_1m", False),
        ("INSERT INTO llm_calls_1m", True),
        ("finished", True),
        ("complete", False),
    ],
)
def test_a_reprice_that_crashes_is_carried_through_once(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices, step: str, after: bool
) -> None:
    twelve = spans(12)
    send(twelve)
    before = cost(llm_store, tenant)
    set_prices(3.0)
    with pytest.raises(Crash):
        rewriter(Crashing(llm_store, step, after=after)).run("reprice", scope)
    set_prices(1.0)
    send(twelve[:5])  # what comes again between the crash and the next start
    again = rewriter(llm_store)
    again.finish()
    Sweep(llm_store).run_once()
    check(llm_store, tenant)
    again.run("reprice", scope)
    assert cost(llm_store, tenant) == pytest.approx(3 * before)
    check(llm_store, tenant)
    assert again.finish() is False


def test_an_invoice_changes_when_the_whole_month_is_repriced(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    send(spans(12, days=0))
    before = cost(llm_store, tenant)

    def billed() -> float:
        sql = "SELECT sum(cost) AS usd FROM llm_calls_billing WHERE tenant = {t:String}"
        return float(llm_store.rows(sql, params={"t": tenant})[0]["usd"])

    set_prices(3.0)
    with pytest.raises(Crash):
        rewriter(Crashing(llm_store, "finished", after=False)).run("reprice", scope)
    assert cost(llm_store, tenant) == pytest.approx(3 * before)
    assert billed() == pytest.approx(before)
    rewriter(llm_store).finish()
    assert billed() == pytest.approx(3 * before)


def test_calls_that_arrive_while_prices_are_rewritten_are_neither_lost_nor_counted_twice(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    whole = spans(60)
    send(whole[:20])
    each = cost(llm_store, tenant) / 15
    set_prices(3.0)
    arriving = threading.Thread(target=send, args=[whole[n : n + 10] for n in range(20, 60, 10)])
    arriving.start()
    try:
        while arriving.is_alive():
            rewriter(llm_store).run("reprice", scope)
            assert changed(rewriter(llm_store).run("renormalise", scope)) == 0
    finally:
        arriving.join()
    rewriter(llm_store).run("reprice", scope)
    assert calls(llm_store, tenant)["calls"] == 60
    assert cost(llm_store, tenant) == pytest.approx(3 * 45 * each)
    check(llm_store, tenant)


def test_spans_that_no_alias_knew_become_calls(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    send([*unmapped(8, days=40), *spans(4)])
    stored = calls(llm_store, tenant)
    set_aliases(*ACME)
    tried = rewriter(llm_store).run("renormalise", scope, dry_run=True)
    assert calls(llm_store, tenant) == stored
    assert llm_store.rows("SELECT name FROM system.tables WHERE startsWith(name, 'rewrite_')") == []

    done = rewriter(llm_store).run("renormalise", scope)
    assert done.totals == tried.totals
    assert done.parts == 2
    (row,) = llm_store.rows(
        "SELECT count() AS calls, countIf(model = '') AS nameless, countIf(output_tokens = 42) AS counted FROM llm_calls WHERE tenant = {t:String}",
        params={"t": tenant},
    )
    assert row == {"calls": 12, "nameless": 0, "counted": 12}
    check(llm_store, tenant)
    assert changed(rewriter(llm_store).run("renormalise", scope)) == 0


def test_calls_under_a_new_key_have_their_quantiles_and_users_there(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    odd = unmapped(4)
    for each in odd:
        each.attributes.add(key="user.id").value.CopyFrom(any_value("anna"))
    send(odd)
    set_aliases(*ACME)
    rewriter(llm_store).run("renormalise", scope)
    (row,) = llm_store.rows(
        "SELECT quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(duration_ms)[2] AS p50, uniqMerge(users) AS users FROM llm_calls_1m "
        "WHERE tenant = {t:String} AND model != '' AND model != 'unheard-of'",
        params={"t": tenant},
    )
    assert row == {"p50": pytest.approx(1000, rel=0.02), "users": 1}


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("INSERT INTO rewrite_after_calls", False),
        ("prepared", True),
        ("ALTER TABLE llm_calls ATTACH", True),
        ("DELETE FROM llm_calls", False),
        ("DELETE FROM llm_steps", True),
        ("INSERT INTO llm_calls_1m", False),
        ("INSERT INTO llm_calls_1m", True),
    ],
)
def test_a_renormalise_that_crashes_is_carried_through_once(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases, step: str, after: bool
) -> None:
    odd = unmapped(8)
    send([*odd, *spans(4, days=0)])
    set_aliases(*ACME)
    with pytest.raises(Crash):
        rewriter(Crashing(llm_store, step, after=after)).run("renormalise", scope)
    send(odd[:3])  # what comes again between the crash and the next start
    again = rewriter(llm_store)
    again.finish()
    Sweep(llm_store).run_once()
    check(llm_store, tenant)
    again.run("renormalise", scope)
    assert calls(llm_store, tenant)["calls"] == 12
    check(llm_store, tenant)
    Sweep(llm_store).run_once()
    check(llm_store, tenant)


def test_parts_that_a_crash_let_survive_alone_are_not_attached_twice(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    send(unmapped(8))
    set_aliases(*ACME)
    with pytest.raises(Crash):
        rewriter(Crashing(llm_store, "DELETE FROM llm_calls", after=False)).run("renormalise", scope)
    llm_store.execute(
        f"ALTER TABLE llm_calls DELETE WHERE tenant = '{tenant}' AND rewrite > 0 AND cityHash64(span_id) % 2 "
        "SETTINGS mutations_sync = 2"
    )
    rewriter(llm_store).run("renormalise", scope)
    assert calls(llm_store, tenant)["calls"] == 8
    check(llm_store, tenant)


def test_spans_that_arrive_while_rows_are_built_again_are_neither_lost_nor_counted_twice(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    whole = unmapped(60)
    send(whole[:20])
    set_aliases(*ACME)
    arriving = threading.Thread(target=send, args=[whole[n : n + 10] for n in range(20, 60, 10)])
    arriving.start()
    try:
        while arriving.is_alive():
            rewriter(llm_store).run("renormalise", scope)
    finally:
        arriving.join()
    rewriter(llm_store).run("renormalise", scope)
    assert calls(llm_store, tenant)["calls"] == 60
    check(llm_store, tenant)


def test_rows_whose_spans_are_gone_stay(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    known = spans(4, days=0)
    send(known)
    set_aliases(Alias("feature", "gen_ai.operation.name"))
    llm_store.execute(
        f"ALTER TABLE otel_traces DELETE WHERE Tenant = '{tenant}' AND SpanId = '{known[0].span_id.hex()}' SETTINGS mutations_sync = 2"
    )
    rewriter(llm_store).run("renormalise", scope)
    sql = "SELECT feature, count() AS calls FROM llm_calls WHERE tenant = {t:String} GROUP BY feature ORDER BY feature"
    assert llm_store.rows(sql, params={"t": tenant}) == [{"feature": "", "calls": 1}, {"feature": "chat", "calls": 3}]
    check(llm_store, tenant)


def test_a_call_and_the_span_around_it_are_one_call_across_slices(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    outer = unmapped(3)
    inner = [renamed(each, "", "") for each in outer]
    for number, each in enumerate(inner):
        each.span_id, each.parent_span_id = bytes([number + 1] * 8), outer[number].span_id
        each.start_time_unix_nano += SECOND // 10
    send(outer, inner)
    set_aliases(*ACME)
    rewriter(llm_store, slice_records=1).run("renormalise", scope)
    assert calls(llm_store, tenant)["calls"] == 3
    check(llm_store, tenant)


def test_steps_are_built_again(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    send([span({"gen_ai.operation.name": "execute_tool", "acme.tool": "search"})])
    set_aliases(Alias("tool", "acme.tool"))
    report = rewriter(llm_store).run("renormalise", scope)
    assert changed(report, "steps") == 1
    assert llm_store.rows("SELECT role, name FROM llm_steps WHERE tenant = {t:String}", params={"t": tenant}) == [
        {"role": "tool", "name": "search"}
    ]


def test_a_dimension_is_filled_from_spans_and_resources(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_aliases: SetAliases
) -> None:
    both = spans(2, days=0)
    both[0].attributes.add(key="acme.region").value.CopyFrom(any_value("eu"))
    send(both)
    set_aliases(region=("acme.region",), source=("service.name",))
    send(spans(1))
    rewriter(llm_store).run("renormalise", scope)
    rows = llm_store.rows(
        "SELECT dimensions FROM llm_calls WHERE tenant = {t:String} ORDER BY length(dimensions)", params={"t": tenant}
    )
    assert [row["dimensions"] for row in rows] == [
        {"source": "shop"},
        {"source": "shop"},
        {"region": "eu", "source": "shop"},
    ]


def test_what_is_normalised_again_comes_out_the_same_in_every_dialect(llm_store: EmbeddedStore, tenant: str) -> None:
    files = sorted(file for file in RECORDINGS.glob("*/*.pb") if not file.name.endswith(".metrics.pb"))
    for signal, some in (
        (Signal.LOGS, [file for file in files if file.name.endswith(".logs.pb")]),
        (Signal.TRACES, [file for file in files if not file.name.endswith(".logs.pb")]),
    ):
        now = 1_800_000_000_000_000_000
        batch = [wrap(signal, tenant, file.read_bytes(), request_id=n, received_ns=now) for n, file in enumerate(some)]
        store_whole(llm_store, batch)
    everything = Scope(datetime(2024, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC), tenant)
    stored = calls(llm_store, tenant)
    report = rewriter(llm_store).run("renormalise", everything)
    assert stored["calls"] > 50
    assert report.totals == []


def test_a_stopped_run_goes_on_where_it_was(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    send(spans(6))
    before = cost(llm_store, tenant)
    set_prices(2.0)
    stopped = rewriter(llm_store)
    with pytest.raises(Interrupted, match="the same command"):
        stopped.run("reprice", scope, progress=lambda share: stopped.stop())
    report = rewriter(llm_store).run("reprice", scope)
    assert (report.parts, report.resumed) == (2, 1)
    assert sum(total.rows_after for total in report.totals) == 6
    assert cost(llm_store, tenant) == pytest.approx(2 * before)


def test_copies_are_swept_first(
    llm_store: EmbeddedStore, send: Send, tenant: str, scope: Scope, set_prices: SetPrices
) -> None:
    four = spans(4)
    send(four)
    before = cost(llm_store, tenant)
    send(four)
    set_prices(2.0)
    rewriter(llm_store).run("reprice", scope)
    assert calls(llm_store, tenant)["calls"] == 4
    assert cost(llm_store, tenant) == pytest.approx(2 * before)
    check(llm_store, tenant)
