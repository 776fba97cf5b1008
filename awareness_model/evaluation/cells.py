"""Finished cells of a measurement, one JSON line each: a kill costs the cell in hand.

A cell is named by what it measured; a file holds the cells of one set of settings, told by a digest
in its name, so that others never mix with them. Limits: one process writes a file at a time.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from awareness_model.batch import say_progress
from awareness_model.schema import digest, whole_lines, write_through


class Cells:
    """The cells of one measurement under one set of settings."""

    def __init__(self, folder: Path, kind: str, settings: Mapping[str, Any]) -> None:
        """Open the file of these settings; a torn last line of a killed run is cut off."""
        mark = digest(json.dumps(settings, sort_keys=True))[:12]
        self.path = folder / f"{kind}-{mark}.cells.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        rows = map(json.loads, whole_lines(self.path))
        self._done: dict[str, dict[str, Any]] = {row["cell"]: row["result"] for row in rows}

    def run(
        self, label: str, cells: Mapping[str, Callable[[], dict[str, Any]]]
    ) -> dict[str, dict[str, Any]]:
        """Measure the cells that are not done; return the results of all, in the order given.

        Args:
            label: what the progress lines say.
        """
        say_progress(label, 0, len(cells))
        for number, (name, measure) in enumerate(cells.items(), start=1):
            if name not in self._done:
                self._keep(name, measure())
            say_progress(label, number, len(cells))
        return {name: self._done[name] for name in cells}

    def _keep(self, name: str, result: dict[str, Any]) -> None:
        line = json.dumps({"cell": name, "result": result}, sort_keys=True) + "\n"
        with self.path.open("ab") as file:
            write_through(file, line.encode())
        self._done[name] = json.loads(line)["result"]


def machine(device: str) -> str:
    """Return what a table's row says of where it was measured; no name of a host."""
    if device.startswith("cuda") and torch.cuda.is_available():
        kind = torch.cuda.get_device_name(device)
    else:
        kind = f"{os.cpu_count()} CPU cores, {platform.machine()}"
    return f"{kind}, torch {torch.__version__}"
