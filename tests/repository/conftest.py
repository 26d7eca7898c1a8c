import shutil

import pytest

from tests.conftest import ROOT

AXE = ROOT / "site/node_modules/axe-core/axe.min.js"
FAULTS = """async () => (await axe.run({resultTypes: ["violations"]})).violations
  .filter(one => ["serious", "critical"].includes(one.impact))
  .map(one => `${one.id}: ${one.nodes.length} times, as ${one.nodes[0].html.slice(0, 200)}`)"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if not (chromium := next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)):
        pytest.skip("no Chromium: on Debian and Ubuntu, apt-get install chromium")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])


@pytest.fixture(scope="session")
def readable():
    """Fails for a page that some can't read, in light or dark, or that is wider than a telephone."""
    if not AXE.exists():
        pytest.skip("no axe: npm ci --prefix site")

    def look(page):
        page.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")  # a page's own policy may let no script in
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert not page.evaluate(FAULTS), scheme
        before = page.viewport_size
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        page.set_viewport_size(before)

    return look
