"""The page in a real browser: it shows what the peer says, follows it, and runs nothing that it was told.

Skipped where Playwright or Chromium is not installed. COTERIE_CHROMIUM names a Chromium that is elsewhere.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from members import identity
from served_page import Served, running_status, serving
from table_sites import Sites

from coterie.peer.cli.main import main
from coterie.peer.home.folder import Home

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

CHROMIUM = os.environ.get("COTERIE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
"""None: the one that `playwright install chromium` fetched."""
ELSEWHERE = "elsewhere.example"
"""A name that the browser takes for this machine, as if its owner had pointed it here."""
HOSTILE = "<script>own('er')</script><img src=x onerror=\"own('er')\">&amp;"
UNDIRECTED = f"{HOSTILE}\u202e\u2066\u200f\n\0"
"""With marks that turn the text after them around, and control characters."""

WAIT_MS = 120_000
"""Longest wait: no measure of speed, only the end of a test that hangs."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright.expect.set_options(timeout=WAIT_MS)
    with playwright.sync_playwright() as running:
        if CHROMIUM is None and not Path(running.chromium.executable_path).exists():
            pytest.skip("no Chromium is installed")
        options = ["--no-sandbox", f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1"]
        started = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield started
        started.close()


class Seen:
    """A page that is open, and what its browser complained of."""

    def __init__(self, browser: Any, served: Served, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(WAIT_MS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"http://127.0.0.1:{served.port}/")
        self.page.wait_for_selector("#blocks li")

    def says(self, place: str, text: str) -> None:
        """Wait until an element holds a text."""
        playwright.expect(self.page.locator(place)).to_contain_text(text)


@pytest.fixture
def seen(browser: Any, served: Served) -> Iterator[Seen]:
    one = Seen(browser, served)
    yield one
    one.context.close()


def test_it_shows_members_the_round_the_ledger_and_privacy(seen: Seen, served: Served) -> None:
    playwright.expect(seen.page.locator("#blocks li")).to_have_count(served.status["height"] + 1)
    assert seen.page.locator("#ring svg circle.node").count() == 4
    assert seen.page.locator("#member-rows tr").count() == 4
    assert seen.page.locator("#phases li[aria-current=step]").inner_text() == "finished"
    assert "No single member learns anything beyond the sum" in seen.page.locator("#privacy").inner_text()
    assert seen.complaints == []


def test_seconds_and_bytes_of_a_round_have_their_units(browser: Any, served: Served) -> None:
    for number, seconds, sent in ((1, 1.5, 250), (2, 150, 2_000_000)):
        row = {"round": number, "result": "model", "seconds": seconds, "sent_bytes": sent, "received_bytes": sent}
        served.history.rounds.append({"place": number, "time": 0, "own_loss": None, **row})
    served.history.newest = 2
    seen = Seen(browser, served)
    seen.says("#cost-note", "Round 2: 3 min, 2 MB sent and 2 MB received.")
    for name in (
        "Seconds a round: 2 rounds, from 1.5 s in round 1 to 150 s in round 2",
        "Bytes a round: 2 rounds, from 500 B in round 1 to 4 MB in round 2",
    ):
        assert seen.page.get_by_role("img", name=name, exact=True).count() == 1
    seen.context.close()


class Classified:
    """A federation that told two classes apart for three rounds, as the page of a member has it."""

    def __init__(self, folder: Path, *, is_evaluated: bool) -> None:
        sites = Sites(folder, "two", is_evaluated=is_evaluated)
        self.home = sites.home
        self.status = running_status(sites.home, identity(0).public)
        self.own = sites.own_losses


def test_the_curves_are_of_all_members_and_of_this_site(browser: Any, tmp_path: Path) -> None:
    federation = Classified(tmp_path, is_evaluated=False)
    with serving(federation.home, federation.status, own_loss=federation.own.get) as served:
        for number in sorted(federation.own):
            served.tell("model", "agreed", round=number)
        seen = Seen(browser, served)
        seen.says("#model-legend", "federated: over all members' test rows")
        seen.says("#model-legend", "this site: the same model over its own test rows, known here only")
        playwright.expect(seen.page.locator("#measure option")).to_have_text(["loss", "Brier score"])
        assert seen.page.locator("#model-chart path.curve").count() == 2
        assert seen.page.locator("#model-chart circle.dot.own").count() == 3
        seen.page.get_by_label("Shown by round").select_option("Brier score")
        seen.says("#model-head", "Brier score")
        assert seen.page.get_by_role("img", name="Brier score: 3 rounds").count() == 1
        assert seen.page.locator("#model-chart path.curve").count() == 1
        seen.context.close()


def test_the_figures_of_the_final_model_are_announced_until_they_are_there(browser: Any, tmp_path: Path) -> None:
    told = []
    for is_evaluated in (False, True):
        folder = tmp_path / str(is_evaluated)
        folder.mkdir()
        federation = Classified(folder, is_evaluated=is_evaluated)
        with serving(federation.home, federation.status) as served:
            seen = Seen(browser, served)
            seen.says("#final", "AUC")
            told.append((seen.page.locator("#final").inner_text(), seen.complaints))
            figures = seen.page.locator("#final dt").all_inner_texts()
            seen.context.close()
    (announced, _), (shown, _) = told
    assert announced.startswith("Accuracy, AUC, sensitivity, specificity, PPV, NPV, F1: these come with the evaluation")
    assert [complaints for _, complaints in told] == [[], []]
    wanted = ["loss", "accuracy", "AUC", "AUC, ± by its bins", "sensitivity", "specificity", "PPV", "NPV", "F1"]
    assert figures == [*wanted, "Brier score", "mean probability", "prevalence"]
    rows = federation.status["measured"]["rows"]
    assert f"Sensitivity and what follows it are of yes. Over about {rows} test rows of 3 members." in shown
    assert "these come with" not in shown


def test_names_and_reasons_are_text_only(browser: Any, served: Served) -> None:
    shown = f"{HOSTILE}?????"
    served.status["federation"]["name"] = served.status["members"][1]["name"] = UNDIRECTED
    served.status["stalled"] = served.status["voids"] = served.status["privacy"] = UNDIRECTED
    served.status |= {"phase": "sharing", "to_come": [UNDIRECTED]}
    served.tell("fault", UNDIRECTED, who=UNDIRECTED)
    seen = Seen(browser, served)
    for place in ("#federation", "#member-rows", "#ring", "#privacy-text", "#final", "#fault-lists", "#news-rows"):
        seen.says(place, shown)
    playwright.expect(seen.page.locator("#troubles p")).to_have_text([shown, shown])
    assert seen.page.title().startswith(f"{shown} · round ")
    assert seen.page.locator("img, [onerror]").count() == 0
    assert seen.page.locator("script").count() == 1
    assert seen.complaints == []
    seen.context.close()


def test_no_code_runs_that_the_page_did_not_bring(seen: Seen) -> None:
    for attempt in (
        "document.body.innerHTML = 'x'",
        "document.body.setAttribute('onclick', 'document.body.dataset.ran = 1')",
        "document.createElement('script').text = 'document.body.dataset.ran = 1'",
        "setTimeout('document.body.dataset.ran = 1')",
    ):
        with pytest.raises(playwright.Error, match="Trusted(HTML|Script)"):
            seen.page.evaluate(attempt)
    assert seen.page.locator("body[data-ran]").count() == 0


@pytest.mark.parametrize(
    ("directive", "attempt"),
    [
        ("connect-src", "fetch('http://elsewhere.example/').catch(() => 0)"),
        ("img-src", "new Image().src = 'http://elsewhere.example/x.png'"),
        ("style-src-attr", "document.body.setAttribute('style', 'color: red')"),
        ("frame-src", "document.body.append(Object.assign(document.createElement('iframe'), {src: '/'}))"),
    ],
)
def test_nothing_is_loaded_from_elsewhere(seen: Seen, directive: str, attempt: str) -> None:
    violated = "new Promise(found => addEventListener('securitypolicyviolation', one => found(one.effectiveDirective)))"
    assert seen.page.evaluate(f"() => {{ const found = {violated}; {attempt}; return found; }}") == directive


def test_a_page_of_another_site_learns_nothing(browser: Any, served: Served) -> None:
    ask = f"mode => fetch('http://127.0.0.1:{served.port}/status.json', {{mode}}).then(() => 'read', () => 'refused')"
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.route(f"http://{ELSEWHERE}/", lambda route: route.fulfill(body="<title>elsewhere</title>"))
    page.goto(f"http://{ELSEWHERE}/")
    assert [page.evaluate(ask, mode) for mode in ("cors", "no-cors")] == ["refused", "refused"]
    # The same site, once its name points here.
    rebound = page.goto(f"http://{ELSEWHERE}:{served.port}/status.json")
    assert (rebound.status, served.status["id"] in rebound.text()) == (421, False)
    page.goto(f"http://127.0.0.1:{served.port}/status.json")
    assert page.evaluate(ask, "cors") == "read"
    context.close()


def test_it_follows_what_happens_and_comes_back_after_a_restart(browser: Any, read_home: Home) -> None:
    status = running_status(read_home.folder, identity(0).public)
    with serving(read_home.folder, status) as served:
        seen, port = Seen(browser, served), served.port
        served.tell("joined", "Coimbra joined")
        seen.says("#news-rows", "Coimbra joined")
        status["stalled"] = "nothing can be decided"
        served.tell("stalled", "nothing can be decided")
        seen.says("#troubles", "nothing can be decided")
    seen.says("#live", "no connection")
    with serving(read_home.folder, {**status, "stalled": None, "round": 77}, port) as served:
        seen.says("#live", "live")
        seen.says("#federation", status["federation"]["name"])
        playwright.expect(seen.page).to_have_title(f"{status['federation']['name']} · round 77 · Coterie")
        playwright.expect(seen.page.locator("#troubles")).to_be_empty()
        seen.context.close()


@pytest.mark.parametrize("width", [320, 1600])
def test_it_fits_and_follows_the_colours_that_are_asked_for(browser: Any, served: Served, width: int) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        seen = Seen(browser, served, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        grounds.add(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        seen.context.close()
    assert len(grounds) == 2


def test_the_ledger_is_searched_and_opened_by_keyboard(seen: Seen) -> None:
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen.page.get_by_label("Search by height").focus()
    seen.page.keyboard.type("#1")
    playwright.expect(seen.page.locator("#blocks li")).to_have_count(1)
    seen.page.locator("#blocks summary").focus()
    seen.page.keyboard.press("Enter")
    playwright.expect(seen.page.locator("#blocks pre")).to_contain_text('"height": 1')


def test_a_screen_reader_finds_everything_by_name(seen: Seen) -> None:
    for name in (
        "Training is finished",
        "Model",
        "Seconds and bytes a round",
        "Privacy",
        "Faults and evictions",
        "Ledger",
    ):
        assert seen.page.get_by_role("region", name=name, exact=True).count() == 1
    assert seen.page.get_by_role("img", name="Ring of 4 members").count() == 1
    assert seen.page.get_by_role("table", name="Members, the links").count() == 1
    for role in ("combobox", "searchbox"):
        for one in seen.page.get_by_role(role).all():
            assert one.evaluate("element => element.labels.length") == 1


def test_a_film_is_played_stepped_through_and_gone_back_in(browser: Any, tmp_path: Path) -> None:
    assert (
        main(
            [
                "simulate",
                "--topology",
                "complete",
                "--peers",
                "4",
                "--rounds",
                "3",
                "--byzantine",
                "3=wrong-share",
                "--parameters",
                "10",
                "--seed",
                "4",
                "--quiet",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    context = browser.new_context()
    context.set_default_timeout(WAIT_MS)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url) if "simulation.html" not in request.url else None)
    page.goto((tmp_path / "simulation.html").as_uri())
    note, rows = page.locator("#player-note"), page.locator("#blocks li")
    playwright.expect(rows).to_have_count(2)
    assert "0.0 s of" in note.inner_text()
    assert page.locator("#member-rows").inner_text().count("lies: wrong-share") == 1
    slider = page.get_by_label("Virtual time")
    for _ in range(3):
        page.get_by_role("button", name="Step", exact=True).click()
    after = note.inner_text()
    page.get_by_role("button", name="Step", exact=True).click()
    page.get_by_role("button", name="Step back").click()
    assert note.inner_text() == after
    page.get_by_label("Speed").select_option("100")
    page.get_by_role("button", name="Play").click()
    playwright.expect(page.locator("#live")).to_contain_text("paused")
    assert slider.input_value() == slider.get_attribute("max")
    playwright.expect(page.locator("#fault-lists")).to_contain_text("3 for wrong-sum")
    last = rows.count()
    slider.focus()
    page.keyboard.press("Home")
    assert note.inner_text().startswith("0.0 s")
    playwright.expect(rows).to_have_count(2)
    page.keyboard.press("End")
    playwright.expect(rows).to_have_count(last)
    page.set_viewport_size({"width": 320, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert complaints == []
    context.close()
