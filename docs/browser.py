"""A browser without a display, driven over its DevTools protocol: open a page, wait, click, look.

Needs Chromium (Debian: `apt-get install chromium`). Limits: one page, one picture at a time; what
is waited for is text on the page.
"""

import base64
import itertools
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
LARGEST = 1 << 28
"""Bytes of a reply: a picture comes as text."""
CLICK = """(said => {
  const found = [...document.querySelectorAll('button, [role=tab], [role=radio], label, a, div')]
    .filter(one => one.innerText && one.innerText.trim() === said)
    .sort((one, other) => one.childElementCount - other.childElementCount);
  if (found.length) found[0].click();
  return found.length;
})(%s)"""


class Page:
    """The one page of a browser."""

    def __init__(self, line: ClientConnection) -> None:
        self._line = line
        self._numbers = itertools.count(1)

    def open(self, url: str, said: str, *, width: int, height: int, patience_s: float) -> None:
        """Open an address in a window of this size and wait until the page says `said`."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", size)
        self._ask("Page.navigate", {"url": url})
        self.await_text(said, patience_s)

    def await_text(self, said: str, patience_s: float) -> None:
        """Wait for a text on the page, then for what is still being drawn.

        Raises:
            TimeoutError: it is not there in time.
        """
        deadline = time.monotonic() + patience_s
        while said not in str(self._evaluate("document.body ? document.body.innerText : ''")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page does not say {said!r}")
            time.sleep(0.5)
        time.sleep(3)

    def await_gone(self, said: str, patience_s: float) -> None:
        """Wait until the page no longer says `said`, then for what is still being drawn.

        Raises:
            TimeoutError: it is still there.
        """
        deadline = time.monotonic() + patience_s
        while said in str(self._evaluate("document.body.innerText")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the page still says {said!r}")
            time.sleep(0.5)
        time.sleep(3)

    def click(self, said: str) -> None:
        """Click on what says just this. Raises LookupError where nothing does."""
        if not self._evaluate(CLICK % json.dumps(said)):
            raise LookupError(f"nothing on the page says {said!r}")
        time.sleep(2)

    def picture(self) -> bytes:
        """Return the window as PNG."""
        found = self._ask("Page.captureScreenshot", {"format": "png"})
        return base64.b64decode(found["data"])

    def _evaluate(self, code: str) -> Any:
        return self._ask("Runtime.evaluate", {"expression": code})["result"].get("value")

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        self._line.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            reply = json.loads(self._line.recv(timeout=120))
            if reply.get("id") == number:
                return dict(reply["result"])


@contextmanager
def browser(folder: Path, program: str = "chromium") -> Iterator[Page]:
    """Yield the page of a browser that keeps its profile in `folder`; it ends with the block."""
    command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            with connect(_address(folder), max_size=LARGEST) as line:
                yield Page(line)
        finally:
            process.terminate()


def _address(folder: Path) -> str:
    """Return where the page is driven from, once the browser has said so."""
    told = folder / "DevToolsActivePort"
    for _ in range(240):
        if told.exists() and (port := told.read_text().partition("\n")[0]):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as reply:
                pages = [one for one in json.load(reply) if one["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.5)
    raise TimeoutError("the browser did not start")
