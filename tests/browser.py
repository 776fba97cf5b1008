"""A headless Chromium for the tests, driven over WebDriver (W3C): plain HTTP to `chromedriver`.

It starts with an empty profile and asks nobody but the pages under test. AWARENESS_REQUIRE=browser
makes its absence a failure. Limits: one window; an element is named by a CSS selector, and the
first that fits is meant.
"""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.postgres import end_with_parent

# Read now: tests take AWARENESS_* out of the environment.
REQUIRED = "browser" in os.environ.get("AWARENESS_REQUIRE", "").split(",")
ABSENT = "Chromium is not installed: apt-get install chromium chromium-driver"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's id, as the standard has it."""
PATIENCE_MS = 60_000
"""How long an element is waited for."""
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--window-size=1280,900",
)  # fmt: skip


def present() -> bool:
    """Whether the programs are here."""
    return bool(shutil.which("chromium") and shutil.which("chromedriver"))


@dataclass(frozen=True, slots=True)
class Browser:
    """One window."""

    session: httpx2.Client

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("url", {"url": url})

    def text(self, selector: str) -> str:
        """Return the text that an element shows; it is waited for."""
        return str(self._look(f"{self._find(selector)}/text"))

    def type(self, selector: str, text: str) -> None:
        """Type into a field, key by key."""
        self._ask(f"{self._find(selector)}/value", {"text": text})

    def clear(self, selector: str) -> None:
        """Empty a field."""
        self._ask(f"{self._find(selector)}/clear", {})

    def click(self, selector: str) -> None:
        """Click the middle of an element, which must be visible and covered by nothing."""
        self._ask(f"{self._find(selector)}/click", {})

    def is_shown(self, selector: str) -> bool:
        """Whether an element can be seen."""
        return bool(self._look(f"{self._find(selector)}/displayed"))

    def run(self, script: str) -> Any:
        """Return what a function's body returns in the page."""
        return self._ask("execute/sync", {"script": script, "args": []})

    def screenshot(self, place: Path) -> None:
        """Write what the window shows as PNG."""
        place.write_bytes(base64.b64decode(self._look("screenshot")))

    def _find(self, selector: str) -> str:
        found = self._ask("element", {"using": "css selector", "value": selector})
        return f"element/{found[ELEMENT]}"

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        return _value(self.session.post(path, json=body))

    def _look(self, path: str) -> Any:
        return _value(self.session.get(path))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser with its profile in an empty folder until the block ends."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    assert driver, ABSENT
    assert chromium, ABSENT
    with subprocess.Popen(
        [driver, "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=end_with_parent,
    ) as process:
        try:
            with httpx2.Client(base_url=_address(process), timeout=120, trust_env=False) as client:
                yield from _session(client, chromium, folder)
        finally:
            process.terminate()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"started successfully on port (\d+)", line):
            return f"http://127.0.0.1:{found[1]}"
    raise RuntimeError("chromedriver did not start")


def _session(client: httpx2.Client, chromium: str, folder: Path) -> Iterator[Browser]:
    options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={folder}"]}
    wanted = {"goog:chromeOptions": options, "timeouts": {"implicit": PATIENCE_MS}}
    made = _value(client.post("/session", json={"capabilities": {"alwaysMatch": wanted}}))
    place = client.base_url.join(f"session/{made['sessionId']}")
    client.base_url = place
    try:
        yield Browser(client)
    finally:
        _value(client.delete(place))


def _value(reply: httpx2.Response) -> Any:
    value = reply.json()["value"]
    assert reply.is_success, value
    return value
