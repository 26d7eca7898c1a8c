"""Lessons in a real page: JupyterLab in headless Chromium, every kind of control pressed by mouse and by keyboard."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from setup.machine import offline_environment
from tests.conftest import ROOT

NOTEBOOK = "const lab = window.jupyterapp, notebook = lab.shell.currentWidget.content"
FIND = """words => notebook.widgets.flatMap(({model}, at) =>
  model.type === "code" && model.sharedModel.source.includes(words) ? [at] : [])"""
RUN = f"""async words => {{ const [at] = ({FIND})(words); notebook.activeCellIndex = at;
  await lab.commands.execute("notebook:run-all-above"); notebook.activeCellIndex = at;
  await lab.commands.execute("notebook:run-cell") }}"""
HTML = "all => all.map(one => one.outerHTML).join()"
RED = """() => notebook.widgets.flatMap(({model}) => (model.outputs?.toJSON() ?? []).filter(out => out.name === "stderr"
  || (out.output_type === "error" && !(model.getMetadata("tags") ?? []).includes("raises-exception")))
  .map(out => `cell ${model.id}, red: ${out.evalue ?? out.text}`))"""
IDLE = """async () => { const {kernel} = lab.shell.currentWidget.sessionContext.session;
  for (let n = 1500; n-- && kernel.status !== "idle";) await new Promise(done => setTimeout(done, 20)) }"""
WIDE = """async () => { const found = []; for (const [at, cell] of notebook.widgets.entries()) {
  await notebook.scrollToItem(at); await new Promise(requestAnimationFrame);
  for (const out of cell.node.querySelectorAll(".jp-OutputArea-output, .jp-OutputArea-output *"))
    if (out.scrollWidth > out.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(out).overflowX))
      found.push(`cell ${cell.model.id}, too wide: ${out.className} ${out.scrollWidth} in ${out.clientWidth}`);
} return found }"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab over a copy of the lessons, without a reader's settings, and its folder."""
    home = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "data/images"):
        shutil.copytree(ROOT / folder, home / "work" / folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    own = {name: str(home / name.lower()) for name in names} | {"SLMLAB_PROGRESS": str(home / "progress.json")}
    options = ("--no-browser", "--allow-root", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True")
    command = [sys.executable, "-m", "jupyterlab", *options, f"--port={port}", f"--notebook-dir={home / 'work'}"]
    command += ["--ServerApp.port_retries=0"]  # else it would take another, and the tests would ask whoever is there
    server = subprocess.Popen(command, env=offline_environment(os.environ, ROOT) | own, cwd=home)
    while True:
        assert server.poll() is None, "JupyterLab ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}", home
    server.terminate()
    server.wait(20)


class Lesson:
    """A lesson in a page, opened and run up to the cell with these words; `close` fails with all that a reader should
    never see."""

    def __init__(self, browser, lab, name, words, theme="Light"):
        self.page, self.faults = browser.new_page(viewport={"width": 1280, "height": 800}), []
        self.page.set_default_timeout(1_200_000)  # to run a lesson on two busy cores
        self.page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        self.page.on("console", lambda line: line.type == "error" and self.faults.append(f"console: {line.text}"))
        (lab[1] / "progress.json").unlink(missing_ok=True)
        self.page.goto(f"{lab[0]}/lab/tree/notebooks/{name}.ipynb?reset")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.js("() => lab.shell.currentWidget.sessionContext.ready")
        self.js("theme => lab.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}")
        self.js(RUN, words)
        self.length = self.js("() => notebook.widgets.length")
        self.page.set_default_timeout(20_000)

    def js(self, function, argument=None):
        return self.page.evaluate(f"given => {{ {NOTEBOOK}; return ({function})(given) }}", argument)

    def cells(self, words):
        """The outputs of the cells whose code has these words, one after the other, each in sight."""
        found = self.js(FIND, words)
        assert found, f"no cell with {words}"
        for at in found:
            self.js("at => notebook.scrollToItem(at)", at)
            yield self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{at}"] .jp-Cell-outputArea')

    def press(self, cell, control, key="", shows=""):
        """Click a control, or press a key on it; the cell has to show something new, and these words."""
        self.js(IDLE)  # what the last press began is over
        parts = cell.locator(".widget-html, .widget-image, .widget-output")  # a kernel changes them, a page doesn't
        before, changed = parts.evaluate_all(HTML), False
        box = control.bounding_box()  # not its middle, where a slider's handle may be
        control.press(key) if key else control.click(position={"x": box["width"] * 0.7, "y": box["height"] / 2})
        for _ in range(300):
            after = parts.evaluate_all(HTML)
            changed = changed or after != before
            if changed and shows in after:
                return
            self.page.wait_for_timeout(100)
        name = control.evaluate("one => one.innerText || one.className")
        self.faults.append(f"{key or 'a click'} on {name!r}: no answer {shows}")

    def close(self):
        self.faults += [*self.js(RED), *self.js(WIDE)]
        self.faults += ["a key reached the notebook"] * (self.length != self.js("() => notebook.widgets.length"))
        self.js("() => lab.shell.currentWidget.sessionContext.shutdown()")
        self.page.close()
        assert not self.faults, "\n".join(self.faults)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_guesses_hints_questions_and_a_quiz_answer_mouse_and_keyboard(browser, lab, theme):
    lesson = Lesson(browser, lab, "00_start_here", "quiz(", theme)
    for cell, key in zip(lesson.cells('predict("'), ("", "Enter"), strict=True):
        cell.get_by_role("button").first.press("ArrowRight")
        lesson.press(cell, lesson.page.locator(":focus"), key, "Locked: you said")
    for cell, key in zip(lesson.cells('check("'), ("", "Enter"), strict=True):
        lesson.press(cell, cell.get_by_role("button", name="hint"), key, "Hint 1 of")
        lesson.press(cell, cell.get_by_role("button", name="way"), key, "<code>")
    for cell in lesson.cells("ask_box("):
        lesson.press(cell, cell.get_by_role("textbox"), "Enter", "per second")
        for key in ("", "Enter"):
            lesson.press(cell, cell.get_by_role("button", name="Ask"), key, "per second")
    for cell in lesson.cells("quiz("):
        cell.get_by_role("radio").first.press("Space")
        cell.get_by_role("radio").first.press("ArrowDown")
        lesson.press(cell, cell.get_by_role("button", name="Check"), "", "Score: 0 of")
        cell.get_by_role("radio").nth(2).click()
        cell.get_by_role("checkbox").first.press("Space")
        lesson.press(cell, cell.get_by_role("button", name="Check"), "Enter", "Score: 1 of")
    lesson.close()


def test_the_sampling_playgrounds_sliders_and_buttons_answer(browser, lab):
    lesson = Lesson(browser, lab, "02_instruct", "sampling_playground(")
    for cell in lesson.cells("sampling_playground("):
        for role, last in (("slider", 2), ("button", 1)):
            cell.get_by_role(role).nth(last).wait_for()
        for slider in reversed(cell.locator(".widget-slider").all()):  # top-k first: top-p may leave it nothing to do
            handle = slider.get_by_role("slider")
            lesson.press(cell, handle, "ArrowLeft" if float(handle.get_attribute("aria-valuenow")) else "ArrowRight")
            lesson.press(cell, slider.locator(".noUi-base"))
        temperature = cell.get_by_role("slider").first
        for button in cell.get_by_role("button").all():
            for key in ("", "Enter"):
                lesson.press(cell, temperature, "ArrowLeft")  # so that a button that resets has something to do
                lesson.press(cell, button, key)
    lesson.close()


def test_the_chart_box_answers(browser, lab):
    lesson = Lesson(browser, lab, "04_vision", "chart_box(")
    for cell in lesson.cells("chart_box("):
        lesson.press(cell, cell.get_by_role("slider").first, "ArrowRight")
        lesson.press(cell, cell.locator(".noUi-base").first)
        for key in ("", "Space"):
            lesson.press(cell, cell.get_by_role("checkbox"), key)
        lesson.press(cell, cell.get_by_role("combobox").first, "ArrowDown")
    lesson.close()
