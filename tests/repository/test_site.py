"""The site of all lessons: built from what is stored, every link leads somewhere, and anyone can read it."""

import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag

import pytest

from setup.machine import offline_environment
from tests.conftest import LESSONS, ROOT

READ = ("lessons", "notebooks/00_start_here", "notebooks/05_moe", "glossary", "INSTRUCTORS")


class Page(HTMLParser):
    """What a page offers to links, where it leads, what it loads, and its pictures without words."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.leads, self.loads, self.mute = {""}, [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        have = dict(attributes)
        self.anchors |= {have.get("id"), have.get("name")}
        if tag == "a" and "href" in have:
            self.leads.append(have["href"])
        elif tag != "use":  # a drawing inside the page
            self.loads += [have[name] for name in ("src", "href") if have.get(name)]
        if tag == "img" and not (have.get("alt") or "").strip():
            self.mute.append(have.get("src", "")[:80])


@pytest.fixture(scope="module")
def build():
    return runpy.run_path(str(ROOT / "site/build.py"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning of Sphinx stops its building."""
    for package in ("sphinx", "myst_nb", "furo"):
        pytest.importorskip(package, reason="what builds the site: pip install -r data/environments/site.txt")
    out = tmp_path_factory.mktemp("site")
    command, env = [sys.executable, "site/build.py", "--out", str(out)], offline_environment(os.environ, ROOT)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_lesson_has_a_page_and_every_link_anchor_and_picture_leads_somewhere(site, pages):
    assert {site / f"notebooks/{path.stem}.html" for path in LESSONS} < set(pages)
    lost = []
    for path, page in pages.items():
        for link in (one for one in page.leads + page.loads if not re.match(r"[a-z]+:|//", one)):
            file, anchor = map(unquote, urldefrag(link.partition("?")[0]))
            target = (path.parent / file).resolve() if file else path
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].anchors if target in pages else {""}
            if not target.is_file() or anchor not in known:
                lost.append(f"{path.relative_to(site)}: {link}")
    assert not lost


def test_no_page_asks_another_host_and_every_picture_has_words(site, pages):
    foreign = re.compile(r"(?:https?:)?//")
    asked = {path.name: found for path, page in pages.items() if (found := [*filter(foreign.match, page.loads)])}
    styles = [path.name for path in site.rglob("*.css") if re.search(r"url\(.?(https?:)?//", path.read_text("utf-8"))]
    assert not asked and not styles
    assert not {path.name: page.mute for path, page in pages.items() if page.mute}


def test_a_broken_notebook_a_picture_without_words_and_a_missing_package_are_a_sentence(build, tmp_path, monkeypatch):
    (tmp_path / "00_torn.ipynb").write_text('{"cells": [')
    with pytest.raises(build["Failed"], match="00_torn.ipynb is no notebook"):
        build["lesson"](tmp_path / "00_torn.ipynb", {})
    with pytest.raises(build["Failed"], match=r"shows a picture. Say in site/alts.toml what is in it"):
        build["lesson"](ROOT / "notebooks/04_vision.ipynb", {})
    monkeypatch.setitem(build["build"].__globals__, "find_spec", lambda name: None)
    with pytest.raises(build["Failed"], match="furo is missing: python -m pip install -r"):
        build["build"](tmp_path)


@pytest.mark.parametrize("name", READ)
def test_a_page_is_accessible_in_light_and_dark_and_fits_a_telephone(browser, site, readable, name):
    page, asked = browser.new_page(viewport={"width": 1280, "height": 800}), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    readable(page)
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    page.close()


def test_a_search_finds_the_lesson(browser, site):
    page = browser.new_page()
    page.goto((site / "lessons.html").as_uri())
    page.get_by_role("searchbox").or_(page.get_by_label("Search")).first.fill("prefix cache KV")
    page.keyboard.press("Enter")
    page.locator("ul.search a[href*='03_onnx_runtime']").first.wait_for()
    page.close()
