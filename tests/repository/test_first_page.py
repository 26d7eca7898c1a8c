"""The site's first page in a real browser: the course's own model is loaded, kept, asked, and does without a server."""

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import nbformat
import pytest

from setup.machine import offline_environment
from slmlab.catalog import card
from slmlab.chat import ChatFormat
from slmlab.records import Message
from slmlab.weights import folder
from tests.conftest import ROOT
from tests.live_server import until

WLLAMA = ROOT / "site/node_modules/@wllama/wllama"
PIECE, SHA256 = 8 * 1024 * 1024, card("smollm2-135m").wheel.file_sha256
PATIENCE_MS = 120_000  # on two busy cores
FRANCE, CUP = "What is the capital of France?", "Who won the football World Cup in 2030?"
LISTENS = "#kept:not(:empty), .show-recorded"  # the page has looked for the model, and hears its buttons
KEPT = "async () => (await (await caches.open('slmlab-model')).keys()).length"


class Host(ThreadingHTTPServer):
    """A static host. While `gate` is closed, it sends two pieces of the model. Without `ranges`, it sends all of it."""

    def __init__(self, root, ranges=True, damaged=False, broken=False):
        super().__init__(("127.0.0.1", 0), functools.partial(Sends, directory=str(root)))
        self.ranges, self.damaged, self.broken = ranges, damaged, broken
        self.gate, self.asked = threading.Event(), []
        self.gate.set()
        self.url = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A browser that cancels closes the connection."""


class Sends(SimpleHTTPRequestHandler):
    def end_headers(self):
        if "isolated" in self.path:  # only such a page may use several threads
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if self.server.broken and self.path.endswith(".wasm"):
            self.path = "/wllama/LICENCE"  # no program
        if not self.path.startswith("/model/"):
            return super().do_GET()
        path = self.translate_path(self.path)
        first, last = 0, os.path.getsize(path) - 1
        if asked and self.server.ranges:
            first, last = map(int, re.findall(r"\d+", asked))
        self.send_response(206 if asked and self.server.ranges else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        with open(path, "rb") as file:
            for at in range(first, last + 1, PIECE):
                if at >= 2 * PIECE:
                    self.server.gate.wait(30)
                file.seek(at)
                part = file.read(min(PIECE, last + 1 - at))
                self.wfile.write(part[:-1] + b"?" if self.server.damaged else part)

    def log_message(self, *_):
        """A test's output is its own."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder with the page and the model."""
    if not WLLAMA.is_dir():
        pytest.skip("no wllama: npm ci --prefix site")
    out = tmp_path_factory.mktemp("first")
    command = [sys.executable, str(ROOT / "site/first.py"), str(out), "--model"]
    subprocess.run(command, env=offline_environment(os.environ, ROOT), check=True)
    return out


@pytest.fixture
def visit(browser, root):
    """Opens the page, as somebody who was never here; says what it asked for, and every fault."""
    contexts = []

    def opened(host=None, script="", **settings):
        context = browser.new_context(**settings)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page, host = context.new_page(), host or Host(root)
        page.goto(host.url)
        page.locator(LISTENS).first.wait_for(state="attached")
        return SimpleNamespace(page=page, host=host, context=context)

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def loaded(browser, root):
    """A page whose model was loaded: cancelled after two pieces, then gone on with. What was said, what was asked."""
    host, page = Host(root), browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.context.set_default_timeout(PATIENCE_MS)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: line.type == "error" and faults.append(line.text))
    page.goto(host.url)
    page.locator(LISTENS).first.wait_for(state="attached")
    before = page.locator("#before").inner_text()
    host.gate.clear()
    page.get_by_role("button", name="Load the model").click()
    page.locator("#amount", has_text="17 of 98 MB").wait_for()
    until(lambda: any(asked == f"bytes={2 * PIECE}-{3 * PIECE - 1}" for _, asked in host.asked))
    during = page.locator("#loading").inner_text()
    page.get_by_role("button", name="Cancel").click()
    page.locator("#note").wait_for()
    cancelled = page.locator("#note").inner_text()
    host.gate.set()
    host.asked.clear()
    page.get_by_role("button", name="say it can't know").click()
    page.locator("#load").click()
    page.locator("#form").wait_for()
    yield SimpleNamespace(page=page, host=host, before=before, during=during, cancelled=cancelled, faults=faults)
    page.context.close()


def ask(page, question):
    page.get_by_role("button", name=question).click()
    page.locator("#answer:not(.writing)").wait_for()
    return page.locator("#said").inner_text()


# Before the model is asked for


def test_the_first_visit_costs_less_than_300_kb_and_asks_no_other_host(visit, root):
    page, asked = visit().page, []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_load_state("networkidle")
    paths = [url.removeprefix(page.url) or "index.html" for url in asked]
    assert not [path for path in paths if "//" in path or "wllama" in path or "model/" in path], paths
    assert sum((root / path).stat().st_size for path in paths) < 300_000
    assert not page.context.cookies()


def test_the_page_says_the_size_of_the_file_and_asks_as_the_lesson_does(loaded, root):
    file = next((root / "model").iterdir())
    assert f"{file.stat().st_size / 1e6:.0f} MB, once" in loaded.before and file.name == card("smollm2-135m").wheel.file
    chat = ChatFormat(folder("smollm2-135m", "onnx-q4"))
    ask(loaded.page, FRANCE)
    seen = loaded.page.locator("#prompt").evaluate("one => one.textContent")
    assert seen.startswith(chat.prompt([Message("user", FRANCE)]))
    answer, context = re.findall(r"const (?:MOST_TOKENS|CONTEXT) = (\d+)", (ROOT / "site/first/ask.js").read_text())
    longest = int(loaded.page.locator("#question").get_attribute("maxlength")) * "龘"  # of such, each is three tokens
    assert len(chat.prompt_ids([Message("user", longest)])) + int(answer) < int(context)
    headline = loaded.page.locator("h1").inner_text()
    assert headline.split() == [piece.text.strip() for piece in chat.pieces(headline)], "a box is a token"


def test_colours_follow_the_system_until_the_reader_turns_them_and_that_is_kept(visit):
    page = visit(color_scheme="dark").page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light colours").click()
    light = page.evaluate(ground)
    page.reload()
    assert page.evaluate(ground) == light != dark
    page.emulate_media(color_scheme="light")
    page.evaluate("localStorage.clear()")
    page.reload()
    assert page.evaluate(ground) == light


# Loading


def test_a_cancelled_download_goes_on_where_it_stopped(loaded):
    assert "17 of 98 MB · about" in loaded.during and "s left" in loaded.during
    assert loaded.cancelled == "Stopped. 17 MB are kept, and the button goes on from there."
    ranges = [asked for path, asked in loaded.host.asked if path.startswith("/model/")]
    assert ranges[0] == f"bytes={2 * PIECE}-{3 * PIECE - 1}", "two pieces were here"
    assert len(ranges) == 10


def test_a_host_without_ranges_sends_it_whole_and_a_damaged_file_is_refused(visit, root):
    seen = visit(Host(root, ranges=False, damaged=True))
    seen.page.get_by_role("button", name="Load the model").click()
    seen.page.locator("#note").wait_for()
    assert seen.page.locator("#note").inner_text() == "The file arrived damaged and was deleted. Load it again."
    assert seen.page.evaluate(KEPT) == 0
    paths = [path for path, _ in seen.host.asked]
    assert sum(path.startswith("/model/") for path in paths) == 1, "a second answer would begin anew"
    assert not [path for path in paths if "wllama" in path], "nothing runs what is damaged"


def test_without_a_connection_the_page_says_so_and_tries_again(visit):
    seen = visit()
    seen.context.set_offline(True)
    for _ in range(2):
        seen.page.get_by_role("button", name="Load the model").click()
        seen.page.locator("#note").wait_for()
        said = seen.page.locator("#note").inner_text()
        assert said == "You are offline. Connect, then try again. Nothing was kept."


def test_without_webassembly_the_recorded_answers_are_shown(visit):
    page = visit(script="delete globalThis.WebAssembly").page
    shown = page.locator("#recorded").inner_text()
    assert "WebAssembly is switched off" in shown and not page.locator("#ask").is_visible()
    cells = nbformat.read(ROOT / "notebooks/00_start_here.ipynb", as_version=4).cells
    stored = [cell.outputs[0]["text"].strip() for cell in cells if cell.id in ("first-answer", "ask-future", "metrics")]
    assert len(stored) == 3 and all(text in shown for text in stored)


def test_a_browser_that_keeps_nothing_shows_the_recorded_answers(visit):
    page = visit(script="CacheStorage.prototype.open = async () => { throw new Error('cookies are blocked'); }").page
    page.locator("#recorded").wait_for(timeout=5000)
    assert "keeps nothing for this page" in page.inner_text("#why") and not page.locator("#ask").is_visible()


# Asking


def test_it_answers_paris_with_its_speed(loaded):
    assert "Paris" in ask(loaded.page, FRANCE)
    speed = loaded.page.inner_text("#speed")
    assert re.fullmatch(r"\d+ tokens · \d+\.\d tokens per second · first token after .+ s", speed)
    assert "on 1 thread." in loaded.page.inner_text("#running"), "this host isolates nothing"
    assert not loaded.faults


def test_a_guess_is_locked_and_answered_from_what_the_model_wrote(loaded):
    page = loaded.page
    page.get_by_role("button", name="ask back").dispatch_event("click")
    assert page.locator("[aria-pressed=true]").inner_text() == "say it can't know", "the first choice counts"
    said = ask(page, CUP)
    did = "say it can't know" if any(word in said for word in ("know", "sorry", "n't", "not yet")) else "answer anyway"
    assert page.locator("#verdict").inner_text().startswith(f"The model did this: {did}.")


def test_an_answer_is_stopped_and_the_next_question_is_answered(loaded):
    page = loaded.page
    page.get_by_label("Your question").fill("Write a long story about a cat who learns to sail.")
    page.keyboard.press("Enter")
    page.locator("#speed", has_text="tokens per second").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("#answer:not(.writing)").wait_for()
    assert "200 tokens" not in page.inner_text("#speed")
    assert "Paris" in ask(page, FRANCE)


def test_anyone_can_read_it_in_light_and_dark_and_on_a_telephone(loaded, visit, readable):
    ask(loaded.page, FRANCE)
    for page in (visit().page, loaded.page, visit(script="delete globalThis.WebAssembly").page):
        readable(page)


def test_the_next_visit_takes_it_from_this_browser_by_keyboard_alone_on_two_threads(loaded):
    page = loaded.page.context.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'hardwareConcurrency', {get: () => 4})")
    page.goto(f"{loaded.host.url}?isolated")
    loaded.host.asked.clear()
    press_to(page, "Start the model · nothing to download")
    page.locator("#form").wait_for()
    assert "on 2 threads. Loaded from this browser in" in page.inner_text("#running")
    assert not [path for path, _ in loaded.host.asked if path.startswith("/model/")]
    press_to(page, FRANCE)
    page.locator("#answer:not(.writing)").wait_for()
    assert "Paris" in page.inner_text("#said")
    page.close()


def press_to(page, name):
    """Tab until this button has the focus, and press Enter."""
    page.get_by_role("button", name=name).wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == name:
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid", "the focus is seen"
            return page.keyboard.press("Enter")
    raise AssertionError(f"no Tab led to {name}")


def test_a_program_that_dies_leaves_the_recorded_answers(visit, root):
    seen = visit(Host(root, broken=True))
    seen.page.locator("#load").click()
    seen.page.locator("#recorded").wait_for()
    said = seen.page.inner_text("#note")
    assert said.startswith("The model stopped. Most likely this device has too little free memory for it.")


def test_a_press_deletes_what_is_kept(visit):
    page = visit().page
    page.evaluate(f"async () => (await caches.open('slmlab-model')).put('kept/{SHA256}/0', new Response('x'))")
    page.reload()
    page.get_by_role("button", name="Go on loading · 90 MB to come").wait_for()
    page.get_by_role("button", name="Delete the model").click()
    page.get_by_role("button", name="Load the model · 98 MB").wait_for()
    assert page.evaluate(KEPT) == 0


def test_without_npm_the_next_step_is_said_also_where_packages_came_in_part(tmp_path):
    shutil.copytree(ROOT / "site", tmp_path / "site", ignore=shutil.ignore_patterns(".package-lock.json", "_build"))
    command, env = [sys.executable, "site/first.py", "out"], os.environ | {"PATH": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode and done.stderr.startswith("The first page needs Node.js 20")
