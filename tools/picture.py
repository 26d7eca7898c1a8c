"""Takes the README's pictures of lesson 00 in JupyterLab: first_lesson.gif moves, first_lesson.png is still.

python -m tools.picture        (the course's Python, once set up; needs playwright and a Chromium besides)

The kernel's messages are kept and handed to the page one by one, with a frame after each: so every piece of an answer
is seen, at a pace for reading, however fast it came. The lesson is a copy; only the two pictures are written.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from io import BytesIO
from pathlib import Path

from PIL import Image

from setup.machine import offline_environment

ROOT = Path(__file__).resolve().parent.parent
LESSON, PICTURES = ROOT / "notebooks/00_start_here.ipynb", ROOT / "data/images"
WIDTH, HEIGHT, STILL_HEIGHT, DOTS = 880, 540, 780, 1.5  # sharp in the README, and under a megabyte
TITLE_MS, BEFORE_MS, PIECE_MS, END_MS, PATIENCE_S = 1300, 450, 40, 2500, 120
SCENES = {"setup": 700, "first-answer": 900, "guess-future": 700, "ask-future": 900, "answer-future": 1700}
SCENES |= {"question-tokens": 1100, "ask-box": 300}
GUESS = "say it can't know"
CELL_RUNS, BOX_RUNS = ".jp-InputPrompt:text('[*]')", "button:text('Stop'):enabled"
SETTINGS = {
    "lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"},
    "lab/user-settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "lab/user-settings/@jupyterlab/statusbar-extension/plugin.jupyterlab-settings": {"visible": False},
}
STYLE = """::-webkit-scrollbar, .cm-cursorLayer, .jp-cell-toolbar { display: none !important }
.jp-Notebook-ExecutionIndicator, [data-jp-item-name=debugger-icon] { visibility: hidden } * { transition: none }"""
NO_SIDES = "['left', 'right'].map(side => jupyterapp.commands.execute('application:toggle-side-tabbar', {side}))"
RUN = "void jupyterapp.commands.execute('notebook:run-cell')"
SHOW = """([chosen, shown]) => { const notebook = jupyterapp.shell.currentWidget.content;
notebook.activeCellIndex = chosen; notebook.widgets[shown].node.scrollIntoView({block: shown ? 'center' : 'start'}) }"""


def start_jupyterlab(folder: Path, lesson: dict) -> tuple[subprocess.Popen, str]:
    """A JupyterLab with settings of its own and the lesson without outputs, and the lesson's address."""
    for cell in lesson["cells"]:
        cell.update({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})
    for name, content in (SETTINGS | {f"notebooks/{LESSON.name}": lesson}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    shutil.copytree(LESSON.parent / "images", folder / "notebooks" / "images")
    shutil.copytree(PICTURES, folder / "data" / "images")  # the badge
    with socket.create_server(("127.0.0.1", 0)) as free:
        port, token = free.getsockname()[1], secrets.token_hex()
    own = {"JUPYTER_CONFIG_DIR": str(folder), "IPYTHONDIR": str(folder), "SLMLAB_PROGRESS": str(folder / "done.json")}
    env = offline_environment(os.environ, ROOT) | own | {"JUPYTER_TOKEN": token}
    options = f"ip=127.0.0.1 port={port} port_retries=0 allow_root=True open_browser=False log_level=CRITICAL".split()
    options = [f"--ServerApp.{option}" for option in (*options, f"root_dir={folder}")]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.log_level=ERROR"]
    lab = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], env=env)
    while lab.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return lab, f"http://127.0.0.1:{port}/doc/tree/notebooks/{LESSON.name}?token={token}"
        time.sleep(0.2)
    sys.exit("JupyterLab did not start.")


class Film:
    """A page's frames, each with the time for which it stays."""

    def __init__(self, page):
        self.page, self.kept, self.rolling, self.frames = page, deque(), False, []
        page.route_web_socket("**/channels**", self._listen)

    def _listen(self, to_page):
        def hear(message):
            self.kept.append((to_page, message)) if self.rolling else to_page.send(message)

        to_page.connect_to_server().on_message(hear)

    def shoot(self, stays_ms: int) -> None:
        """A frame if anything has changed; one that hasn't stays for the longer of its times."""
        picture = self.page.screenshot()
        if not self.frames or picture != self.frames[-1][0]:
            self.frames.append([picture, 0])
        self.frames[-1][1] = max(stays_ms, self.frames[-1][1])

    def settle(self, stays_ms: int) -> None:
        """A frame when the page has answered a click."""
        for _ in range(20):
            while self.kept:
                to_page, message = self.kept.popleft()
                to_page.send(message)
            self.page.wait_for_timeout(50)
        self.shoot(stays_ms)

    def play(self, busy: str, stays_ms: int) -> None:
        """Frames until what the selector `busy` finds has come and gone, and no message is left."""
        count, begun, still, late = -1, False, 0, time.monotonic() + PATIENCE_S
        while count < len(self.kept):  # the kernel works undisturbed, and is filmed after that
            count = len(self.kept)
            self.page.wait_for_timeout(1000)
        while not begun or still < 8:
            if time.monotonic() > late:
                raise TimeoutError(f"The page is not done after {PATIENCE_S} s: {busy}")
            if self.kept:
                to_page, message = self.kept.popleft()
                to_page.send(message)
            self.page.wait_for_timeout(50)
            running = self.page.locator(busy).count() > 0
            begun, still = begun or running, 0 if running or self.kept else still + 1
            self.shoot(PIECE_MS)
        self.shoot(stays_ms)


def take(page, address: str, names: list[str]) -> tuple[list, bytes]:
    """The frames of the lesson's beginning, and the still picture."""
    film, show = Film(page), lambda chosen, shown: page.evaluate(SHOW, [names.index(chosen), names.index(shown)])
    page.goto(address)
    page.get_by_text("Python 3 (ipykernel)", exact=True).wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.add_style_tag(content=STYLE)
    page.evaluate(NO_SIDES)
    show(names[0], names[0])
    page.wait_for_timeout(2000)
    film.rolling = True
    film.shoot(TITLE_MS)
    for name, stays_ms in SCENES.items():
        show(name, name)
        page.wait_for_timeout(300)
        film.shoot(BEFORE_MS)
        page.evaluate(RUN)
        film.play(CELL_RUNS, stays_ms)
        if name == "guess-future":
            page.get_by_role("button", name=GUESS).click()
            film.settle(stays_ms)
    page.get_by_role("button", name="Ask", exact=True).click()
    film.play(BOX_RUNS, END_MS)
    page.set_viewport_size({"width": WIDTH, "height": STILL_HEIGHT})
    page.wait_for_timeout(1000)
    show("question-tokens", "explain-future")
    page.wait_for_timeout(1000)
    return film.frames, page.screenshot()


def in_few_colours(files: list[bytes], colours: int, apart: int = 24) -> list:
    """Pictures in one palette: their most frequent colours, exactly, and none that is close to another."""
    pictures, count, chosen = [Image.open(BytesIO(file)).convert("RGB") for file in files], Counter(), []
    for picture in pictures:
        count.update({colour: number for number, colour in picture.getcolors(picture.width * picture.height)})
    for new, _ in count.most_common():
        if all(sum(abs(new[i] - old[i]) for i in range(3)) > apart for old in chosen):
            chosen.append(new)
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in chosen[:colours] for value in colour])
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def main() -> None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("A driver for the browser is missing: python -m pip install playwright")
    lesson = json.loads(LESSON.read_text(encoding="utf-8"))
    browser = shutil.which("chromium") or shutil.which("google-chrome")  # else playwright's own
    quietly = "--disable-background-networking --disable-component-update --disable-sync --no-first-run".split()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        lab, address = start_jupyterlab(Path(folder), lesson)
        try:
            with sync_playwright() as driver, driver.chromium.launch(executable_path=browser, args=quietly) as chromium:
                page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=DOTS)
                frames, still = take(page, address, [cell["id"] for cell in lesson["cells"]])
        finally:
            lab.terminate()
            lab.wait(30)
    files, times = zip(*frames, strict=True)
    first, *more = in_few_colours(files, 48)
    first.save(PICTURES / "first_lesson.gif", save_all=True, append_images=more, duration=times, loop=0)
    in_few_colours([still], 128)[0].save(PICTURES / "first_lesson.png", optimize=True)
    print(f"{len(times)} frames, {sum(times) / 1000:.1f} s, in {PICTURES}")


if __name__ == "__main__":
    main()
