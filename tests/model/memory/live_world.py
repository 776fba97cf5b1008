"""A folder, its memory, and an encoder that counts what it is given."""

import hashlib
import subprocess

from awareness_model.memory.live import LiveMemory
from tests.model.memory.made import encoded, opened


class Counting:
    """One chunk per text, drawn from it; `seen` lists the paths it encoded."""

    layout = "kv"
    fingerprint = "f"

    def __init__(self):
        self.seen = []

    def encode(self, texts, paths):
        self.seen += paths
        return [[encoded(int(hashlib.sha256(one.encode()).hexdigest()[:6], 16))] for one in texts]


def live(root, place=None, encoder=None):
    store = opened(place or root / ".awareness" / "memory")
    return LiveMemory(root, store, encoder or Counting())


def written(root, **texts):
    for name, text in texts.items():
        put(root, name.replace("__", "/") + ".py", text)


def put(root, path, text):
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    place.write_bytes(data)
    return place


def git(root, *args):
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *args],
        cwd=root,
        check=True,
        capture_output=True,
    )
