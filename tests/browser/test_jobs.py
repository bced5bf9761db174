"""The Jobs view: from an input file to the downloaded responses."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.gateway_server import RunningGateway, entry
from tests.support.provider_steps import answers, refuse, wait
from tests.support.scripted_provider import Call, Script, Upstream

from .conftest import PRICE, config_of
from .harness import open_page, serve_gateway
from .scripted_responses import streamed


def line(name: str, text: str, **more: Any) -> str:
    body = {"model": "a", "messages": [{"role": "user", "content": text}], **more}
    request = {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(request) + "\n"


def give(page: Page, name: str, text: str, folder: Path) -> None:
    """Choose a file with this name and text."""
    (folder / name).write_text(text)
    page.get_by_role("link", name="Jobs").click()
    page.locator(".drop input[type=file]").set_input_files(folder / name)


def tile(page: Page, name: str) -> Locator:
    return page.locator(".job dl.tiles div").filter(has_text=name).locator("dd")


def downloaded(page: Page, button: str) -> tuple[str, list[Mapping[str, Any]]]:
    with page.expect_download() as found:
        page.get_by_role("button", name=button).click()
    download = found.value
    text = Path(download.path()).read_text()
    lines = [json.loads(one) for one in text.splitlines()]
    return download.suggested_filename, sorted(lines, key=lambda one: str(one["custom_id"]))


def texts_of(lines: list[Mapping[str, Any]]) -> dict[str, str]:
    return {
        one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
        for one in lines
    }


def test_a_job_shows_what_its_lines_wait_for(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("a", [refuse(500)])
    give(page, "slow.jsonl", line("one", "1") + line("two", "2"), tmp_path)
    page.get_by_role("button", name="Start 2 lines").click()
    expect(page.locator(".job .note-box").first).to_contain_text(
        re.compile(r"wait: `a` responds with 500, next attempt \d\d:\d\d:\d\d")
    )
    expect(tile(page, "Time left")).to_have_text("–")
    page.get_by_role("button", name="Cancel").click()


def test_a_file_gets_a_quote_runs_with_a_cap_and_its_responses_are_downloaded(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    hold = upstream.gate()
    good: Script = streamed("Bread takes time.", prompt_tokens=10)
    upstream.script("a", good, [wait(hold), *good])
    give(page, "bakery.jsonl", line("one", "1") + line("two", "2") + line("three", "3"), tmp_path)
    quote = page.locator(".card-form")
    expect(quote.get_by_role("heading", name="bakery.jsonl")).to_be_visible()
    expect(quote.locator("dl.tiles")).to_contain_text("Lines3")
    expect(quote.locator("dl.tiles")).to_contain_text("$0.001506 – $0.0300")
    assert upstream.calls == []
    page.get_by_label("Cost cap in US dollars").fill("0.5")
    page.get_by_role("button", name="Start 3 lines").click()
    expect(tile(page, "Done")).to_have_text("1 of 3")
    expect(page.locator(".job .state")).to_have_text("Running")
    expect(tile(page, "Cost")).to_have_text("$0.000040 of $0.5000")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "33")
    expect(page.locator(".chart").nth(1)).to_contain_text("Calls in flight 2")
    hold.open()
    expect(page.locator(".job .state")).to_have_text("Done")
    expect(tile(page, "Tokens")).to_have_text("30 in, 9 out")
    name, lines = downloaded(page, "Download responses")
    assert name == "bakery.output.jsonl"
    assert texts_of(lines) == dict.fromkeys(("one", "three", "two"), "Bread takes time.")
    page.reload()
    expect(
        page.get_by_role("complementary", name="Jobs").get_by_role("link", name="bakery.jsonl")
    ).to_contain_text("3 of 3")
    expect(tile(page, "Done")).to_have_text("3 of 3")


def test_the_quote_has_the_lanes_of_the_file_and_their_prices(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    """A model with its provider's batches, and one without; the job is not started."""
    config = config_of(upstream, "b")
    config["model_list"].insert(0, entry(upstream, "a", native_batches=True, **PRICE))
    with (
        serve_gateway(config, tmp_path / "home") as served,
        open_page(browser, served.url) as page,
    ):
        lines = line("one", "1") + line("two", "2", model="b")
        give(page, "mixed.jsonl", lines, tmp_path)
        rows = page.get_by_role("region", name="By lane").locator("tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text(re.compile(r"real time2\$.*seconds"))
        expect(rows.nth(1)).to_contain_text(re.compile(r"native1\$.*hours"))
        price = rows.nth(1).locator("td").nth(1).inner_text()
        cost = page.locator(".card-form dl.tiles div").filter(has_text="Cost").locator("dd")
        expect(cost).not_to_have_text(price)
        lane = page.get_by_role("combobox", name="Lane")
        expect(lane.locator("option")).to_have_text(
            ["automatic", "real time", "native: batches of the provider, in hours"]
        )
        lane.select_option("native")
        expect(cost).to_have_text(price)
        expect(lane).to_have_value("native")
        native = page.get_by_role("combobox", name="Native batches")
        expect(native).to_have_value("auto")
        native.select_option("require")
        expect(page.get_by_text("1 line cannot go by their provider's own batches")).to_be_visible()
        expect(page.get_by_role("button", name="Start 2 lines")).to_be_disabled()
        native.select_option("auto")
        expect(page.get_by_text("This job sends 1 line by native batches.")).to_be_visible()
        expect(page.get_by_role("button", name="Start 2 lines")).to_be_enabled()
        page.get_by_role("button", name="Choose another file").click()
        give(page, "other.jsonl", line("two", "2", model="b"), tmp_path)
        expect(page.get_by_role("region", name="By lane")).to_have_count(0)
    assert upstream.calls == []


def test_a_csv_becomes_one_prompt_per_row(page: Page, upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("b", answers("A slogan"))
    text = 'id;shop;city\r\n1;"bakery; old";Lund\r\n2;library;Bergen\r\n'
    give(page, "shops.csv", text, tmp_path)
    template = page.get_by_label("Prompt for each row")
    expect(template).to_have_value("{shop}")
    quote = page.get_by_role("button", name="Get a quote")
    template.fill("A slogan for a {shpo}")
    expect(page.get_by_text("There is no column `shpo`; did you mean `shop`?")).to_be_visible()
    expect(quote).to_be_disabled()
    template.fill("A slogan")
    expect(page.get_by_text("The prompt names no column; write {id} or {shop}")).to_be_visible()
    template.fill("A slogan for a {shop} in ")
    expect(quote).to_be_enabled()
    page.get_by_role("button", name="{city}").click()
    expect(template).to_have_value("A slogan for a {shop} in {city}")
    expect(page.locator(".preview li")).to_have_text(
        ["A slogan for a bakery; old in Lund", "A slogan for a library in Bergen"]
    )
    page.get_by_role("textbox", name="System message").last.fill("Be brief.")
    page.get_by_label("Max tokens").last.fill("7")
    quote.click()
    expect(page.locator(".card-form .pair label").first).to_have_text(re.compile("^Modela"))
    page.locator(".card-form select").first.select_option("b")
    expect(page.locator(".card-form table")).to_contain_text("b2")
    page.get_by_role("button", name="Start 2 lines").click()
    expect(page.locator(".job .state")).to_have_text("Done")
    prompts = sorted(call.body["messages"][1]["content"] for call in upstream.calls_to("b"))
    assert prompts == ["A slogan for a bakery; old in Lund", "A slogan for a library in Bergen"]
    assert {call.body["max_completion_tokens"] for call in upstream.calls_to("b")} == {7}
    expect(page.locator(".job h2")).to_have_text("shops.csv")
    name, lines = downloaded(page, "Download responses")
    assert name == "shops.output.jsonl"
    assert texts_of(lines) == {"row-1": "A slogan", "row-2": "A slogan"}


def test_failures_are_grouped_by_cause_with_examples_and_can_be_run_again(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    bad = [refuse(400, "too long", code="context_length_exceeded")]
    upstream.script("a", bad, bad, answers("fine"))
    upstream.script("b", bad)
    rows = [line(f"line-{n}", str(n)) for n in range(4)]
    give(page, "mixed.jsonl", "".join(rows), tmp_path)
    page.get_by_role("button", name="Start 4 lines").click()
    causes = page.get_by_role("region", name="Failures")
    expect(causes).to_contain_text("2 × The prompt is too long for this model.")
    expect(causes).to_contain_text("too long")
    expect(causes.locator("ul code")).to_have_count(3)  # the cause, and a name for each line
    name, lines = downloaded(page, "Download errors")
    assert name == "mixed.errors.jsonl"
    failed = [str(one["custom_id"]) for one in lines]
    assert len(failed) == 2
    first = page.url
    page.get_by_role("button", name="Run failed lines again").click()
    page.wait_for_url(lambda url: url != first)
    expect(tile(page, "Done")).to_have_text("2 of 2")
    expect(page.locator(".job .state")).to_have_text("Done")
    rows = page.get_by_role("region", name="Rows").locator("tbody tr")
    expect(rows.locator("th")).to_have_text([f"line-{n}" for n in range(4)])
    expect(rows.locator("td:nth-child(2)")).to_have_text([str(n) for n in range(4)])
    _, lines = downloaded(page, "Download responses")
    assert sorted(texts_of(lines)) == [f"line-{n}" for n in range(4)]


def test_examples_of_failures_are_shown_while_the_job_runs(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    hold = upstream.gate()
    bad = [refuse(400, "too long", code="context_length_exceeded")]
    upstream.script("a", *[bad] * 4, [wait(hold), *answers("fine")])
    rows = [line(f"line-{n}", str(n)) for n in range(5)]
    give(page, "mixed.jsonl", "".join(rows), tmp_path)
    page.get_by_role("button", name="Start 5 lines").click()
    causes = page.get_by_role("region", name="Failures")
    expect(causes).to_contain_text("4 × The prompt is too long for this model.")
    examples = causes.locator("ul ul li")
    expect(examples).to_have_count(3)
    for one in examples.all():
        expect(one).to_have_text(re.compile(r"^line-\d \(line \d\) `a`: too long$"))
    expect(page.locator(".job .state")).to_have_text("Running")
    expect(tile(page, "Done")).to_have_text("0 of 5")
    hold.open()
    expect(page.locator(".job .state")).to_have_text("Done, 4 failed")
    expect(examples).to_have_count(3)


def test_errors_in_a_file_are_shown_before_anything_is_paid_for(
    page: Page, upstream: Upstream, tmp_path: Path, gateway: RunningGateway
) -> None:
    give(page, "bad.jsonl", line("one", "1") + "{broken\n" + line("one", "2"), tmp_path)
    expect(page.locator("main").get_by_text("The file has errors.")).to_be_visible()
    errors = page.locator(".card-form .error-box li")
    expect(errors).to_have_count(2)
    expect(errors.nth(0)).to_contain_text("Line 2:")
    expect(errors.nth(1)).to_contain_text("Line 3:")
    expect(page.get_by_role("button", name="Start")).to_be_disabled()
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Choose another file").click()
    expect(page.get_by_text("Drop a JSONL or CSV file here")).to_be_visible()
    assert upstream.calls == []
    assert gateway.json(None, "/v1/files", "GET")[2]["data"] == []  # deleted again


def test_a_file_that_no_job_has_is_deleted(
    page: Page, upstream: Upstream, tmp_path: Path, gateway: RunningGateway
) -> None:
    def files() -> list[str]:
        found = gateway.json(None, "/v1/files?purpose=batch", "GET")[2]["data"]
        return [one["filename"] for one in found]

    give(page, "one.csv", "prompt\none\n", tmp_path)
    page.route("**/v1/batches", lambda route: route.abort())  # neither a quote nor a job
    page.get_by_role("button", name="Get a quote").click()
    expect(page.get_by_text("The gateway cannot be reached.")).to_be_visible()
    assert files() == ["one.jsonl"]
    page.unroute("**/v1/batches")
    page.get_by_label("Prompt for each row").fill("Say {prompt}")
    page.get_by_role("button", name="Get a quote").click()
    page.get_by_role("button", name="Start 1 line").wait_for()
    assert files() == ["one.jsonl"]  # the first one is gone
    page.goto("about:blank")
    upstream.wait(lambda: files() == [])
    page.go_back()
    give(page, "bad.jsonl", line("one", "1"), tmp_path)
    page.get_by_label("Cost cap in US dollars").fill("1")
    page.get_by_label("Model for lines without one").select_option("")
    page.get_by_role("button", name="Start 1 line").wait_for()
    page.route("**/v1/batches", lambda route: route.fulfill(status=400, json={"error": {}}))
    page.get_by_role("button", name="Start 1 line").click()
    expect(page.locator(".new-job .error-box").first).to_contain_text("rejected")
    page.reload()
    upstream.wait(lambda: files() == [])
    assert upstream.calls == []


def test_a_job_can_be_cancelled_and_shows_what_did_not_run(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    hold = upstream.gate()
    upstream.script("a", answers("first"), [wait(hold), *answers("never")])
    give(page, "long.jsonl", line("one", "1") + line("two", "2"), tmp_path)
    page.get_by_role("button", name="Start 2 lines").click()
    expect(tile(page, "Done")).to_have_text("1 of 2")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".job .state")).to_have_text("Cancelled")
    failures = page.get_by_role("region", name="Failures")
    expect(failures).to_contain_text("cancelled before this line")
    expect(failures).to_contain_text("The batch was cancelled before this request was made.")
    expect(page.get_by_role("button", name="Run failed lines again")).to_be_visible()
    hold.open()
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    expect(page.locator(".new-job")).to_be_visible()


def test_an_uploaded_file_can_be_used_again(page: Page, upstream: Upstream, tmp_path: Path) -> None:
    upstream.script("a", answers("fine"))
    give(page, "twice.jsonl", line("one", "1"), tmp_path)
    page.get_by_role("button", name="Start 1 line").click()
    expect(page.locator(".job .state")).to_have_text("Done")
    page.get_by_role("link", name="New job").click()
    uploaded = page.get_by_label("Uploaded files")
    uploaded.select_option(index=1)
    page.get_by_role("button", name="Use this file").click()
    page.get_by_role("button", name="Start 1 line").click()
    expect(page.locator(".job .state")).to_have_text("Done")
    jobs = page.get_by_role("complementary", name="Jobs").get_by_role("link", name="twice.jsonl")
    expect(jobs).to_have_count(2)


def test_a_large_file_is_uploaded_in_parts(
    page: Page, tmp_path: Path, gateway: RunningGateway
) -> None:
    filler = "x" * 100_000
    lines = [line(f"n{at}", filler) for at in range(50)]  # 5 MB: two parts
    give(page, "big.jsonl", "".join(lines), tmp_path)
    expect(page.locator(".card-form dl.tiles")).to_contain_text("Lines50")
    [file] = gateway.json(None, "/v1/files", "GET")[2]["data"]
    assert (file["filename"], file["bytes"]) == ("big.jsonl", sum(map(len, lines)))


def test_without_jobs_there_is_a_sample_file_to_use(page: Page, upstream: Upstream) -> None:
    upstream.script("a", answers("A slogan"))
    page.get_by_role("link", name="Jobs").click()
    expect(page.get_by_text("No jobs yet. Drop a file to start one.")).to_be_visible()
    page.get_by_role("button", name="Use a sample file").click()
    page.get_by_role("button", name="Start 5 lines").click()
    expect(tile(page, "Done")).to_have_text("5 of 5")


def test_the_rows_of_a_job_are_shown_in_order_filtered_and_exported(
    page: Page, upstream: Upstream, tmp_path: Path
) -> None:
    async def respond(call: Call) -> None:
        text = call.body["messages"][-1]["content"]
        steps = [refuse(400, "not this one")] if text == "bad" else answers(f"={text}" * 100)
        for step in steps:
            await step(call)

    upstream.script("a", [respond])
    lines = [line(f"row-{number}", "bad" if number == 7 else str(number)) for number in range(60)]
    give(page, "rows.jsonl", "".join(lines), tmp_path)
    page.get_by_role("button", name="Start 60 lines").click()
    rows = page.get_by_role("region", name="Rows").locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.nth(3)).to_contain_text("row-3")
    expect(rows.nth(3).locator("td").first).to_have_text("3")
    expect(rows.nth(3).locator("summary")).to_contain_text("=3=3")
    page.get_by_role("button", name="Show more rows").click()
    expect(rows).to_have_count(60)
    page.get_by_role("button", name="Failed 1").click()
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("row-7")
    expect(rows.first).to_contain_text("not this one")
    with page.expect_download() as found:
        page.get_by_role("button", name="Export CSV").click()
    assert found.value.suggested_filename == "rows.output.csv"
    text = Path(found.value.path()).read_text(encoding="utf-8-sig")
    table = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in table] == [f"row-{number}" for number in range(60)]
    assert table[3]["answer"] == "'" + "=3" * 100
    assert "not this one" in table[7]["error"]
    assert table[7]["prompt"] == "bad"
