"""The page to try the model in Chromium, with a real server behind it.

`PLUMBLINE_SCREENSHOTS` names a folder that keeps screenshots.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.contract.interface import CLICK_PROBABILITY, FUSED_MODEL
from plumbline.serving.gateway.settings import GatewaySettings, LauncherState, Limits
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import publish
from tests.browser import NEEDS_CHROMIUM, SIZES, WAIT_MS, playwright, serious_faults
from tests.browser import browser as browser
from tests.e2e.page_server import SECRET, settings_of
from tests.e2e.page_server import server as server
from tests.gateway_process import GatewayProcess
from tests.page_model import HOSTILE, KINDS, KNOWN, ROW, SETTINGS, page_release

pytestmark = [NEEDS_CHROMIUM, pytest.mark.timeout(600)]

LIMITS = Limits(rows=20, seconds=60.0)
TYPICAL = {
    "city": "Oslo", "price": 30.0, "user": 7, "device": "1a", "tags": ["new"], "visited": [7],
    HOSTILE: HOSTILE, "seen": "2023-11-14 23:13:20", "new": True,
}  # fmt: skip
FIELDS = {name: f"#field-{place}" for place, name in enumerate(KINDS)}

Open = Callable[..., Any]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_MS / 1000
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope="module")
def gateway(
    server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with GatewayProcess(
        settings_of(server, LIMITS), tmp_path_factory.mktemp("log") / "log"
    ) as running:
        wait_until(lambda: running.get("/health/ready").status == 200)
        yield running


@pytest.fixture
def opened(browser: Any, gateway: GatewayProcess) -> Iterator[Open]:
    """Opens the page of a gateway; at the end, it has had no fault and asked nobody else."""
    contexts, faults, asked = [], [], []

    def open_page(
        size: str = "desk", scheme: str = "light", of: GatewayProcess = gateway, ready: bool = True
    ) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        shown = context.new_page()
        shown.on("console", lambda message: faults.append(message.text))
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.on("request", lambda request: asked.append((request.url, of.port)))
        shown.goto(f"http://127.0.0.1:{of.port}/")
        if ready:
            shown.wait_for_selector("#exact")
        return shown

    yield open_page
    hacked = [page.evaluate("window.hacked") for one in contexts for page in one.pages]
    for context in contexts:
        context.close()
    assert asked and not set(hacked) - {None}
    for url, port in asked:
        assert url.startswith((f"http://127.0.0.1:{port}/", "blob:")), url
    # A status that is not 200 is written to the console by the browser itself.
    assert [text for text in faults if not text.startswith("Failed to load resource")] == []


def scores(gateway: GatewayProcess, *rows: Any) -> list[float]:
    answer = gateway.send(json.dumps({"rows": rows}))
    assert answer.status == 200, answer.body
    return list(answer.json[CLICK_PROBABILITY])


def shows(shown: Any, probability: float) -> None:
    """Waits until the page shows a score, exact in every digit."""
    shown.wait_for_function(
        "wanted => Number(document.querySelector('#exact')?.textContent) === wanted",
        arg=probability,
    )


def cells(shown: Any, table: str) -> list[list[str]]:
    script = "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
    return list(shown.eval_on_selector_all(f"{table} tbody tr", script))


def test_it_begins_with_a_typical_row_and_its_score(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shows(shown, scores(gateway, TYPICAL)[0])
    assert "version 1" in shown.inner_text("#served")
    read = {row[0]: row for row in cells(shown, "#read")}
    assert list(read) == list(KINDS)
    assert read["city"][1:] == ["city", "3", "of 5 known"]
    assert read["visited"][2] == "[3]" and read["price"][3] == "number"
    shown.click("#copy-score")
    shown.wait_for_function(
        "() => document.querySelector('#copied').textContent.startsWith('Copied')"
    )
    copied = shown.evaluate("navigator.clipboard.readText()")
    assert float(copied) == scores(gateway, TYPICAL)[0]


def test_a_row_is_made_with_the_keyboard_alone(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    focused = "document.activeElement"
    shown.keyboard.press("Tab")
    assert shown.evaluate(f"{focused}.textContent") == "To the row"
    shown.keyboard.press("Enter")
    for _ in range(4):
        shown.keyboard.press("Tab")
    assert shown.evaluate(f"'#' + {focused}.id") == FIELDS["city"]
    assert shown.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid"
    shown.keyboard.press("Control+A")
    shown.keyboard.type("r")
    shown.wait_for_selector(f"{FIELDS['city']}-list li:first-child:has-text('Rome')")
    shown.keyboard.press("ArrowDown")
    active = shown.get_attribute(FIELDS["city"], "aria-activedescendant")
    assert shown.inner_text(f"#{active}") == "Rome"
    shown.keyboard.press("Enter")
    assert shown.input_value(FIELDS["city"]) == "Rome"
    assert shown.get_attribute(FIELDS["city"], "aria-expanded") == "false"
    shows(shown, scores(gateway, {**TYPICAL, "city": "Rome"})[0])
    shown.keyboard.press("Tab")
    assert shown.evaluate(f"{focused}.getAttribute('aria-label')") == "Curve of city"
    shown.keyboard.press("Enter")
    shown.wait_for_selector("figure.curve")
    assert shown.evaluate(f"{focused}.id") == "curves-title"


def test_unseen_missing_and_odd_values_are_told_apart(
    opened: Open, gateway: GatewayProcess
) -> None:
    shown = opened()
    shown.click(FIELDS["city"])
    offered = f"{FIELDS['city']}-list li"
    shown.wait_for_selector(offered)
    texts = shown.eval_on_selector_all(f"{offered} span", "all => all.map(one => one.textContent)")
    assert texts == [*KNOWN["city"], "unseen value 0"]
    shown.click(f"{offered}:last-child")
    shown.wait_for_selector(f"{FIELDS['city']}-state.unseen")
    shows(shown, scores(gateway, {**TYPICAL, "city": "Atlantis"})[0])
    shown.fill(FIELDS["city"], "")
    shown.wait_for_selector(f"{FIELDS['city']}-state.missing")
    shown.fill(FIELDS["user"], str(2**62))
    shown.fill(FIELDS["price"], "-1e3")
    row = {**TYPICAL, "city": None, "user": 2**62, "price": -1000.0}
    shows(shown, scores(gateway, row)[0])
    shown.click("#missing")
    shows(shown, scores(gateway, dict.fromkeys(KINDS))[0])
    shown.click("#typical")
    shows(shown, scores(gateway, TYPICAL)[0])
    shown.click("#random")
    shown.wait_for_function("() => !document.querySelector('#score').matches('.waiting')")
    assert shown.query_selector("#exact") is not None


def test_lists_take_values_in_and_out(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shown.focus(FIELDS["tags"])
    shown.keyboard.type("a, b")
    shown.keyboard.press("Enter")
    shows(shown, scores(gateway, {**TYPICAL, "tags": ["new", "a, b"]})[0])
    shown.click("button[aria-label='Take new out of tags']")
    shows(shown, scores(gateway, {**TYPICAL, "tags": ["a, b"]})[0])
    shown.focus(FIELDS["visited"])
    shown.keyboard.type(str(2**62))
    shown.keyboard.press("Tab")
    shows(shown, scores(gateway, {**TYPICAL, "tags": ["a, b"], "visited": [7, 2**62]})[0])


def test_hostile_names_and_values_stay_text(opened: Open) -> None:
    shown = opened()
    assert shown.inner_text(f"label[for={FIELDS[HOSTILE][1:]}]") == HOSTILE
    shown.click(FIELDS[HOSTILE])
    first = f"{FIELDS[HOSTILE]}-list li:first-child span"
    shown.wait_for_selector(first)
    assert shown.inner_text(first) == HOSTILE
    shown.click("#keep")
    shown.fill(FIELDS["city"], KNOWN["city"][3])
    shown.fill("#pasted", json.dumps([{**ROW, HOSTILE: f"{HOSTILE}{HOSTILE}"}, {HOSTILE: HOSTILE}]))
    shown.click("#score-many")
    shown.wait_for_selector("#many table")
    shown.click("#all-curves")
    shown.wait_for_selector("figure.curve >> nth=8")
    assert shown.evaluate("document.querySelectorAll('img, b, script').length") == 1
    assert shown.locator(f"figcaption strong:text-is({json.dumps(HOSTILE)})").count() == 1


def test_curves_are_the_scores_of_their_rows(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shown.fill(FIELDS["price"], "2.5")
    own = {**TYPICAL, "price": 2.5}
    shows(shown, scores(gateway, own)[0])
    shown.click("#all-curves")
    shown.wait_for_selector("figure.curve >> nth=8")
    figures = shown.locator("figure.curve")
    spreads = []
    for name in KINDS:
        (place,) = [n for n in range(9) if figures.nth(n).locator("strong").inner_text() == name]
        figures.nth(place).locator("summary").all() and figures.nth(place).locator(
            "summary"
        ).click()
        script = "rows => rows.map(row => [...row.children].map(cell => cell.innerText.trim()))"
        table = figures.nth(place).locator("tbody tr").evaluate_all(script)
        spreads.append((place, max(float(r[1]) for r in table) - min(float(r[1]) for r in table)))
        assert sum(label.endswith("(this row)") for label, _ in table) == 1
        if name == "price":
            assert [label for label, _ in table] == ["0.1", "2.5 (this row)", "30", "missing"]
        if name == "city":
            assert [label for label, _ in table][-2:] == ["missing", "unseen value 0 (unseen)"]
        if name in ("price", "city", "device"):
            values = [label.partition(" (")[0] for label, _ in table]
            rows = [{**own, name: None if value == "missing" else value} for value in values]
            assert [float(score) for _, score in table] == scores(gateway, *rows)
    in_order = [spread for _, spread in sorted(spreads)]
    assert in_order == sorted(in_order, reverse=True)
    shown.fill(FIELDS["city"], "Rome")
    shown.wait_for_selector("#stale:visible")


def test_two_rows_are_compared(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shown.click("#keep")
    shown.fill(FIELDS["city"], "Rome")
    other = {**TYPICAL, "city": "Rome"}
    shows(shown, scores(gateway, other)[0])
    first, second = scores(gateway, TYPICAL, other)
    shown.wait_for_selector("#compare table")
    assert cells(shown, "#compare") == [
        ["score", repr(first), repr(second)],
        ["city", "Oslo", "Rome"],
        ["city (read as)", "3", "4"],
    ]
    moved = "higher" if second > first else "lower"
    assert f"percentage points {moved}." in shown.inner_text("#compare")
    shown.click("#compare button:text('Swap them')")
    shows(shown, first)
    assert cells(shown, "#compare")[1] == ["city", "Rome", "Oslo"]
    shown.click("#compare button:text('Bring A into the form')")
    shows(shown, second)
    assert "No value differs" in shown.inner_text("#compare")


def test_pasted_rows_have_scores_or_reasons(
    opened: Open, gateway: GatewayProcess, tmp_path: Path
) -> None:
    shown = opened()
    lines = [
        "city;price;user;device;tags;visited;seen;new;" + '"' + HOSTILE.replace('"', '""') + '"'
    ]
    for number in range(70):
        price = "dear" if number in (3, 50) else str(number / 4)
        lines.append(f'"Zürich";{price};{2**62};1a;"[""new"", ""x""]";;2023-11-14 22:13:20;true;a')
    lines[11] = lines[11].replace("Zürich", "line\nbreak")
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    shown.set_input_files("#file", file)
    shown.click("#score-many")
    shown.wait_for_selector("#many table")
    table = cells(shown, "#many")
    assert len(table) == 70
    assert "68 of 70 rows have a score of version 1" in shown.inner_text("#many")
    assert table[3][1].startswith(
        "Refused: Column 'price': wanted a finite float32 number, found 'dear'"
    )
    rows = [
        {"city": "line\nbreak" if n == 10 else "Zürich", "price": n / 4, "user": 2**62,
         "device": "1a", "tags": ["new", "x"], "visited": None, "seen": "2023-11-14 22:13:20",
         "new": True, HOSTILE: "a"}
        for n in range(70) if n not in (3, 50)
    ]  # fmt: skip
    wanted = [s for start in range(0, 68, 17) for s in scores(gateway, *rows[start : start + 17])]
    assert [float(row[1]) for row in table if not row[1].startswith("Refused")] == wanted
    assert (table[0][2], table[10][2]) == ("2", "3")
    with shown.expect_download() as download:
        shown.click("#many button:text('Save the scores as CSV')")
    saved = Path(download.value.path()).read_text().splitlines()
    assert saved[0] == "row,click_probability" and saved[4] == "4,"
    assert [float(line.split(",")[1]) for line in saved[1:] if line[-1] != ","] == wanted
    shown.click("button[aria-label='Open row 11 in the form']")
    shows(shown, scores(gateway, {**rows[9], "city": "line break"})[0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Rows: wanted at least one"),
        ("[{]", "it is not JSON"),
        ("a,b\n1,2", "wanted the columns' names in the first line"),
        ("city,price\na,1,2", "line 2: wanted 2 fields"),
        ("city\n" + "a\n" * 1001, "wanted at most 1,000 in a request, got 1,001"),
    ],
)
def test_a_text_without_rows_is_refused_in_the_gateways_words(
    opened: Open, text: str, reason: str
) -> None:
    shown = opened()
    shown.fill("#pasted", text)
    shown.click("#score-many")
    shown.wait_for_selector("#many .error")
    assert reason in shown.inner_text("#many .error")


def copied(shown: Any, button: str) -> str:
    shown.evaluate("navigator.clipboard.writeText('')")
    shown.click(button)
    shown.wait_for_function("() => navigator.clipboard.readText().then(text => text !== '')")
    return str(shown.evaluate("navigator.clipboard.readText()"))


def run(*command: str) -> str:
    environment = {**os.environ, "PLUMBLINE_SECRET": SECRET}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_copied_requests_give_the_same_score(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shown.fill(FIELDS["city"], 'it\'s \\ "$HOME" `x` \u2028')
    shown.fill(FIELDS["user"], str(2**62))
    shown.click("button[aria-label='Take 7 out of visited']")
    city = shown.input_value(FIELDS["city"])
    row = {**TYPICAL, "city": city, "user": 2**62, "visited": None}
    (wanted,) = scores(gateway, row)
    shows(shown, wanted)
    curl, python = copied(shown, "#copy-curl"), copied(shown, "#copy-python")
    assert json.loads(run("bash", "-c", curl))[CLICK_PROBABILITY] == [wanted]
    assert float(run(sys.executable, "-c", python)) == wanted
    assert "Authorization" not in curl + python


def test_the_secret_is_asked_for_and_stays_in_memory(
    opened: Open, server: TritonServer, tmp_path: Path
) -> None:
    with GatewayProcess(settings_of(server, LIMITS, secret=SECRET), tmp_path / "log") as gateway:
        wait_until(lambda: gateway.get("/health/ready").status == 200)
        shown = opened(of=gateway, ready=False)
        shown.wait_for_selector("#secret:visible")
        assert shown.evaluate("document.activeElement.id") == "secret-text"
        assert serious_faults(shown) == []
        shown.keyboard.type("wrong")
        shown.keyboard.press("Enter")
        shown.wait_for_selector("#notices .error")
        assert "does not take this secret" in shown.inner_text("#notices")
        shown.keyboard.type(SECRET)
        shown.keyboard.press("Enter")
        shown.wait_for_selector("#exact")
        assert shown.is_hidden("#secret") and shown.inner_text("#notices") == ""
        kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
        assert SECRET not in shown.evaluate(kept) and SECRET not in shown.content()
        exact = float(shown.inner_text("#exact"))
        curl, python = copied(shown, "#copy-curl"), copied(shown, "#copy-python")
        assert SECRET not in curl + python
        assert json.loads(run("bash", "-c", curl))[CLICK_PROBABILITY] == [exact]
        assert float(run(sys.executable, "-c", python)) == exact
        shown.reload()
        shown.wait_for_selector("#secret:visible")


def test_failures_are_told_in_the_gateways_words(opened: Open, gateway: GatewayProcess) -> None:
    shown = opened()
    shown.fill(FIELDS["price"], "dear")
    shown.wait_for_selector("#score .error")
    refused = gateway.send(json.dumps({"rows": [{**TYPICAL, "price": "dear"}]}))
    assert shown.inner_text("#score .error") == refused.error
    assert cells(shown, "#read") == []
    shown.fill(FIELDS["price"], "1")
    shows(shown, scores(gateway, {**TYPICAL, "price": 1.0})[0])
    gateway.tell(LauncherState(ready=False))
    wait_until(lambda: gateway.get("/health/ready").status == 503)
    shown.fill(FIELDS["price"], "2")
    shown.wait_for_selector("#score .error")
    assert shown.inner_text("#score .error").startswith("The server is not ready")
    gateway.tell(LauncherState(ready=True))
    wait_until(lambda: gateway.get("/health/ready").status == 200)
    shown.fill(FIELDS["price"], "3")
    shows(shown, scores(gateway, {**TYPICAL, "price": 3.0})[0])
    shown.route("**/v1/score", lambda route: route.abort())
    shown.fill(FIELDS["price"], "4")
    shown.wait_for_selector("#score .error")
    assert shown.inner_text("#score .error").startswith("The gateway cannot be reached")


def test_a_score_is_shown_without_what_the_model_reads(opened: Open) -> None:
    shown = opened()
    refusal = {"error": "The gateway has 8 requests of pages in flight."}
    shown.route("**/v1/page/explain", lambda route: route.fulfill(status=502, json=refusal))
    shown.click("#missing")
    shown.wait_for_selector("#read .error")
    assert shown.inner_text("#read .error") == refusal["error"]
    assert float(shown.inner_text("#exact")) > 0


def test_a_text_that_is_too_large_is_not_sent(opened: Open) -> None:
    shown = opened()
    shown.evaluate("document.querySelector('#pasted').value = 'a'.repeat(8388609)")
    shown.click("#score-many")
    shown.wait_for_selector("#many .error")
    assert "8,388,609 bytes, the gateway takes 8,388,608" in shown.inner_text("#many .error")


def test_a_gateway_without_model_is_asked_again(opened: Open, tmp_path: Path) -> None:
    gone = GatewaySettings(-1, "127.0.0.1:1", "127.0.0.1:1", FUSED_MODEL, repository=str(tmp_path))
    with GatewayProcess(gone, tmp_path / "log") as gateway:
        shown = opened(of=gateway, ready=False)
        shown.wait_for_selector("#notices .error")
        assert shown.inner_text("#notices") == "The model is not loaded yet. Send it again later."
        assert "It is asked again" in shown.inner_text("#served")
        with shown.expect_request("**/v1/page/columns"):
            pass


def test_a_slow_answer_is_told_and_a_late_one_is_not_shown(
    opened: Open, gateway: GatewayProcess
) -> None:
    shown = opened()
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        held.append(route) if not held else route.continue_()

    shown.route("**/v1/score", hold_the_first)
    shown.fill(FIELDS["price"], "5")
    shown.wait_for_selector("#score:has-text('Still waiting after')")
    shown.fill(FIELDS["price"], "6")
    (wanted,) = scores(gateway, {**TYPICAL, "price": 6.0})
    shows(shown, wanted)
    late = {"model": FUSED_MODEL, "version": "1", CLICK_PROBABILITY: [0.125]}
    with suppress(playwright.Error):  # the page may have taken its request back already
        held[0].fulfill(json=late)
    shown.wait_for_timeout(300)
    assert float(shown.inner_text("#exact")) == wanted


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_window_and_axe_finds_no_serious_fault(
    opened: Open, tmp_path: Path, size: str, scheme: str
) -> None:
    shown = opened(size, scheme)
    folder = Path(os.environ.get("PLUMBLINE_SCREENSHOTS", tmp_path))
    shown.screenshot(path=folder / f"page-{size}-{scheme}-top.png")
    shown.click("#keep")
    shown.fill(FIELDS["city"], "Atlantis")
    shown.wait_for_selector(f"{FIELDS['city']}-state.unseen")
    shown.click("#all-curves")
    shown.wait_for_selector("figure.curve >> nth=8")
    shown.fill("#pasted", json.dumps([ROW, {**ROW, "price": "dear"}]))
    shown.click("#score-many")
    shown.wait_for_selector("#many table")
    shown.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    shown.click(FIELDS["city"])
    shown.wait_for_selector(f"{FIELDS['city']}-list li")
    shown.screenshot(path=folder / f"page-{size}-{scheme}.png", full_page=True)
    wide, room = shown.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= room
    assert serious_faults(shown) == []
    small = "[...document.querySelectorAll('button, input')].filter(one => one.offsetParent)"
    assert shown.evaluate(f"{small}.every(one => one.getBoundingClientRect().height >= 24)")


def test_a_published_version_is_followed(
    opened: Open, server: TritonServer, gateway: GatewayProcess, tmp_path: Path
) -> None:
    shown = opened()
    before = float(shown.inner_text("#exact"))
    shown.fill(FIELDS["city"], "Rome")
    release = page_release(tmp_path, seed=4, known={**KNOWN, "city": ["Rome", "Bonn", "Oslo"]})
    headers = secret_header("http", SECRET_HEADER, SECRET)
    control = LiveServer(Connection(server.http_url, "http", 60.0, headers))
    publish(release, server.repository, SETTINGS, control, print)
    control.close()
    shown.wait_for_selector("#notices:has-text('Version 2 is served now')")
    assert shown.input_value(FIELDS["city"]) == "Rome"
    (wanted,) = scores(gateway, {**TYPICAL, "city": "Rome"})
    shows(shown, wanted)
    assert wanted != before
    assert next(row for row in cells(shown, "#read") if row[0] == "city")[2:] == ["3", "of 3 known"]
