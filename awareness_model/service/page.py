"""The page at `/`: one file, nothing from elsewhere; only its own script runs."""

import base64
import re
from hashlib import sha256
from pathlib import Path

PAGE = (Path(__file__).parent / "page.html").read_text("utf-8")


def _digest(tag: str) -> str:
    found = re.search(rf"<{tag}>(.*)</{tag}>", PAGE, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(sha256(found[1].encode()).digest()).decode()}'"


HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src {_digest('script')}; style-src {_digest('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
