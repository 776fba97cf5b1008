"""A small folder in the memory of a tiny random model."""

from awareness_model import home
from awareness_model.base import save_tiny
from awareness_model.loaded import load
from tests.model.memory.live_world import put

FILES = {
    "src/auth.py": "SESSION_TIMEOUT = 4711\n\n\ndef login(user):\n    return user\n",
    "src/cart.py": "DISCOUNT = 15\n\n\ndef total(items):\n    return sum(items)\n",
    "docs/deploy.md": "# Deploy\n\nThe service listens on port 8443.\n",
}


def tiny_model(folder, family="llama", layout="kv"):
    return load(str(save_tiny(folder, family)), "cpu", layout)


def filled(root, model):
    """Write the files at `root` and index them."""
    for path, text in FILES.items():
        put(root, path, text)
    home.make_home(root)
    memory = home.open_memory(root, model)
    memory.index()
    return memory
