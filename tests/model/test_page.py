"""The page in a real browser: what was attended to, and the memory's tree."""

import html
import os
import re
import shutil
import subprocess

import httpx2
import pytest

from awareness_model.service.app import Service
from tests.model.agent_world import filled, tiny_model
from tests.model.memory.live_world import put
from tests.model.test_serve import asked, listening

# Read now: other tests take AWARENESS_* out of the environment.
REQUIRED = "chromium" in os.environ.get("AWARENESS_REQUIRE", "").split(",")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "src/<img src=x onerror=alert(1)>.py"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--virtual-time-budget=10000")  # fmt: skip

pytestmark = pytest.mark.skipif(
    not BROWSER and not REQUIRED, reason="Chromium is not installed: apt-get install chromium"
)


def opened(url, folder):
    """What the page has become after its script ran."""
    assert BROWSER, "Chromium is not installed: apt-get install chromium"
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    return done.stdout.split("<script>")[0]


def bars(page):
    """The bars' names and widths, as drawn."""
    found = re.findall(r'<code title="([^"]*)">.*?width: ([\d.]+)%', page)
    return [(html.unescape(name), float(width)) for name, width in found]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    model = tiny_model(folder / "model")
    memory = filled(folder / "shop", model)
    put(memory.root, HOSTILE, "x = 1\n")
    memory.index()
    return Service("tiny", model, {"shop": memory}, history=False)


def test_an_answers_documents_are_drawn_by_mass_beside_the_memorys_tree(service, tmp_path):
    with listening(service) as url:
        said = [{"role": "user", "content": "Is <b>this</b> safe?"}]
        body = asked(messages=said, scope="src/**")
        reply = httpx2.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
        page = opened(url, tmp_path)
    drawn = dict(bars(page))
    for one in reply["awareness"]["documents"]:
        assert drawn[one["path"]] == pytest.approx(100 * one["mass"], abs=0.1)
    assert HOSTILE in drawn
    assert "<b>this</b>" not in page
    assert "<img" not in page
    assert "Is &lt;b&gt;this&lt;/b&gt; safe?" in page
    for name in ("auth.py", "cart.py", "deploy.md", "src/", "docs/", "4 documents, "):
        assert name in page
    assert "tiny · what it attended to" in page


def test_without_the_token_the_page_asks_for_it_and_shows_nothing(service, tmp_path):
    service.token = "secret"
    try:
        with listening(service) as url:
            page = opened(url, tmp_path)
    finally:
        service.token = None
    assert "a token is needed" in page
    assert "auth.py" not in page
    assert re.search(r'id="token"[^>]*hidden', page) is None
