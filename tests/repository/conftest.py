import shutil

import pytest


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    if not (chromium := next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)):
        pytest.skip("no Chromium: on Debian and Ubuntu, apt-get install chromium")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
