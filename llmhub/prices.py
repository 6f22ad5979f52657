"""`llmhub prices`: what calls cost, and who changes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import typer
from genai_prices.update_prices import DEFAULT_UPDATE_URL
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from llmhub.console import JsonOption, Table, failures, load, print_json, progress, say, show, tell
from llmhub.operate import with_hub
from llmhub.query import open_reader
from storage.overrides import FIRST_DAY, LAST_DAY
from storage.price_store import PriceError, parse_list, parse_override
from storage.rates import SECOND
from storage.sql import statement
from storage.store import DATABASE

prices_app = typer.Typer(no_args_is_help=True, help="What calls cost.")

MOST_BYTES = 64 << 20
"""A price list has half a megabyte; an answer beyond this is none."""

_COLUMNS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_LIST = """
SELECT price_id, tenant, tier, prices, steps, valid_from, valid_to, version
FROM llm_prices
WHERE {at:DateTime('UTC')} BETWEEN valid_from AND valid_to AND positionCaseInsensitive(price_id, {model:String}) > 0
    AND ({provider:String} = '' OR startsWith(price_id, concat({provider:String}, '/')) OR endsWith(price_id, concat('@', {provider:String})))
    AND ({tenant:String} = '' OR tenant IN ({tenant:String}, ''))
ORDER BY price_id, tenant, tier
"""
_SHOW = """
SELECT price_id, tenant, tier, prices, steps, units, valid_from, valid_to, version
FROM llm_prices
WHERE price_id = {price_id:String}
    AND tenant = if({tenant:String} IN (SELECT tenant FROM llm_prices WHERE price_id = {price_id:String}), {tenant:String}, '')
ORDER BY tier, valid_from
"""
_OVERRIDES = "SELECT id, document, added_at FROM llm_price_overrides FINAL WHERE NOT removed ORDER BY added_at, id"

ProviderOption = Annotated[str, typer.Option(help="gen_ai.provider.name, such as openai or azure.ai.openai.")]
TenantOption = Annotated[str, typer.Option(help="The prices of this tenant.")]


@prices_app.command("list")
def list_prices(
    context: typer.Context,
    model: Annotated[str, typer.Option(help="Only models with this in their name.")] = "",
    provider: Annotated[str, typer.Option(help="Only this provider of the price list.")] = "",
    tenant: TenantOption = "",
    at: Annotated[datetime | None, typer.Option(help="At that time (UTC); default now.")] = None,
    overrides: Annotated[bool, typer.Option("--overrides", help="What was added to the list instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show prices in USD for a million tokens, those of larger prompts behind a slash.

    Example: llmhub prices list --model gpt-4o --provider openai
    """
    settings = load(context)
    with failures():
        if overrides:
            _show_overrides(_rows(context, _OVERRIDES), settings.storage.prices.overrides, as_json)
            return
        when = f"{at or datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        rows = _rows(context, _LIST, at=when, model=model, provider=provider, tenant=tenant)
    if as_json:
        print_json([_readable(row) for row in rows])
        return
    if not rows:
        tell("no price fits: `llmhub prices list` shows all; before the first `llmhub up` there are none")
        return
    table = Table("model", "tenant", "tier", *_COLUMNS, "other", "version", wraps=["other", "version"])
    for row in rows:
        table.add_texts(row["price_id"], row["tenant"], row["tier"], *_cells(row["prices"]), row["version"])
    show(table)


@prices_app.command("show")
def show_price(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="As calls name it.")],
    provider: ProviderOption = "",
    tenant: TenantOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a model's name means and what it has cost since when, for every service tier and prompt size.

    Example: llmhub prices show gpt-4o --provider openai
    """
    with failures():
        lookup = statement("pricing/lookup", database=DATABASE)
        (found,) = _rows(context, lookup, model=model, provider=provider, tenant=tenant)
        rows = _rows(context, _SHOW, price_id=found["price_id"], tenant=tenant)
    if not rows:
        say(
            f"llmhub: no price is known for {model!r}: `llmhub prices list --model PART` shows names that are, "
            "`llmhub prices refresh` fetches newer ones, and `llmhub prices override` sets one"
        )
        raise typer.Exit(1)
    if as_json:
        print_json([_readable(row) for row in rows])
        return
    tell(f"{model} is {found['price_id']}")
    table = Table("tier", "from", "to", "steps", *_COLUMNS, "other", "version", wraps=["other", "version"])
    for row in rows:
        days = _day(row["valid_from"]), _day(row["valid_to"])
        table.add_texts(row["tier"] or "standard", *days, _steps(row["steps"]), *_cells(row["prices"]), row["version"])
    show(table)


@prices_app.command("override")
def override_price(
    context: typer.Context,
    provider: ProviderOption = "",
    model: Annotated[str, typer.Option(help="Default: every model of the provider.")] = "",
    tenant: Annotated[str, typer.Option(help="Default: every tenant.")] = "",
    tier: Annotated[str, typer.Option(help="Service tier, such as batch or standard.")] = "",
    valid_from: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = None,
    valid_to: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day (UTC).")] = None,
    currency: Annotated[str, typer.Option(help="One of storage.prices.exchange_rates.")] = "USD",
    discount: Annotated[float, typer.Option(help="Share off the list price, such as 0.15.")] = 0.0,
    input_: Annotated[float | None, typer.Option("--input", help="For a million input tokens.")] = None,
    output: Annotated[float | None, typer.Option("--output", help="For a million output tokens.")] = None,
    cache_read: Annotated[float | None, typer.Option(help="For a million cached input tokens.")] = None,
    cache_write: Annotated[float | None, typer.Option(help="For a million tokens written to a cache.")] = None,
    cache_write_1h: Annotated[float | None, typer.Option(help="The same, kept for an hour.")] = None,
    price: Annotated[
        list[str] | None, typer.Option(metavar="KEY=PRICE", help="Of another unit, such as web_searches_kcount=8.")
    ] = None,
    remove: Annotated[str, typer.Option(metavar="ID", help="Take an override away instead.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Set a negotiated price or discount, for one tenant or all. What calls cost that came before is not changed.

    Example: llmhub prices override --tenant acme --provider openai --model gpt-4o --input 2 --output 8 --from 2026-01-01
    """
    if remove:
        path, document = "/prices/override/remove", remove
        done = f"removed override {remove}"
    else:
        prices = {"input": input_, "output": output, "cache_read": cache_read, "cache_write": cache_write}
        given = {
            **{"provider": provider, "model": model, "tenant": tenant, "tier": tier, "currency": currency},
            **{
                "valid_from": _date(valid_from) or FIRST_DAY,
                "valid_to": _date(valid_to) or LAST_DAY,
                "discount": discount,
            },
            **{
                name: value for name, value in {**prices, "cache_write_1h": cache_write_1h}.items() if value is not None
            },
        }
        with failures():
            override = parse_override(json.dumps({**given, "prices": _other_prices(price or [])}, default=str))
        path, document = "/prices/override", override.document()
        done = f"added override {override.id}"
    with failures():
        report = with_hub(load(context), lambda hub: hub.post(path, {"document": document}))
    _tell(done, report, as_json)


@prices_app.command("refresh")
def refresh_prices(
    context: typer.Context,
    url: Annotated[str, typer.Option(help="Where the price list is.")] = DEFAULT_UPDATE_URL,
    file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, resolve_path=True, help="Read data.json from FILE instead."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Take over the newest price list of genai-prices. Calls from then on have its prices.

    Example: llmhub prices refresh
    """
    with failures(), progress(TextColumn("fetching prices"), BarColumn(), TimeElapsedColumn()) as bar:
        bar.add_task("", total=None)
        source = str(file or url)
        document = _text(file.read_bytes()) if file else _fetch(url, timeout)
        parse_list(document, "")  # before the hub gets it
        report = with_hub(
            load(context), lambda hub: hub.post("/prices/refresh", {"document": document, "source": source})
        )
    _tell(f"prices are from {source}", report, as_json)


def _rows(context: typer.Context, sql: str, **params: str) -> list[dict[str, Any]]:
    store = open_reader(load(context))
    try:
        return store.rows(sql, params=params)
    finally:
        store.close()


def _fetch(url: str, timeout: float) -> str:
    offline = "download it elsewhere and give it with --file"
    if not url.startswith(("https://", "http://")):
        raise PriceError(f"--url must start with https://, not {url!r}; a file is given with --file")
    try:
        with urlopen(Request(url, headers={"User-Agent": "llmhub"}), timeout=timeout) as response:
            body: bytes = response.read(MOST_BYTES + 1)
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise PriceError(f"the price list at {url} cannot be fetched: {reason}; {offline}") from error
    if len(body) > MOST_BYTES:
        raise PriceError(f"{url} has more than {MOST_BYTES >> 20} MiB, which is no price list")
    return _text(body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise PriceError("the price list is not UTF-8: give the data.json of genai-prices") from error


def _other_prices(given: list[str]) -> dict[str, float]:
    found = {}
    for each in given:
        key, _, value = each.partition("=")
        try:
            found[key] = float(value)
        except ValueError:
            raise PriceError(f"--price must be KEY=PRICE, such as web_searches_kcount=8, not {each!r}") from None
    return found


def _show_overrides(rows: list[dict[str, Any]], configured: Any, as_json: bool) -> None:
    added = [{"id": row["id"], "from": "command", **json.loads(row["document"])} for row in rows]
    every = [{"id": each.id, "from": "configuration", **json.loads(each.document())} for each in configured] + added
    if as_json:
        print_json(every)
        return
    if not every:
        tell("there are no overrides: `llmhub prices override` adds one")
        return
    table = Table("id", "from", "tenant", "provider", "model", "tier", "valid", "what", wraps=["what"])
    for each in every:
        dates = f"{each.pop('valid_from', '')} to {each.pop('valid_to', '')}"
        cells = [str(each.pop(name, "")) for name in ("id", "from", "tenant", "provider", "model", "tier")]
        table.add_texts(*cells, dates, ", ".join(f"{key} {value}" for key, value in each.items()))
    show(table)


def _tell(done: str, report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"done": done, **report})
        return
    tell(done)
    if report["calls"]:
        tell(f"{report['calls']} calls that had no cost have one now")


def _cells(prices: dict[str, list[float]]) -> list[str]:
    named = {f"{name}_mtok": _slashed(prices.get(f"{name}_mtok", [])) for name in _COLUMNS}
    other = ", ".join(f"{key} {_slashed(values)}" for key, values in prices.items() if key not in named)
    return [*named.values(), other]


def _slashed(values: list[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "units"}


def _steps(steps: list[float]) -> str:
    """From which prompt size, or time of the day, the prices behind the slashes apply."""
    if steps[0] == -1:
        return " / ".join(f">{step:g}" for step in steps[1:])
    moments = (divmod(int(step) + 1, SECOND) for step in steps[1:])
    return " / ".join(
        f"{second // 3600:02}:{second // 60 % 60:02} UTC" + f" >{size - 1}" * (size > 0) for second, size in moments
    )


def _date(moment: datetime | None) -> Any:
    return moment.date() if moment else None


def _day(text: str) -> str:
    return "" if text.startswith(("1970", "2105", "2106")) else text[:10]
