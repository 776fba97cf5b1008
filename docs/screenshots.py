"""Take the pictures in docs/: asset graph, an asset's page, a backfill, and the report.

    make demo && .venv/bin/python docs/screenshots.py     # of the demo's instance
    .venv/bin/python docs/screenshots.py --small          # of a run as far as curation

Serves Dagster's pages on loopback as `make ui` does, starts a backfill of every shard as a person
would (through the GraphQL of the page), waits for it, looks, and stops what it started. Pictures
have few colours, so that each takes at most 200 KB. With `--small` all lies in a folder that goes
afterwards.
"""

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from browser import Page, browser
from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
GROUPS = ("collect", "distil", "encode", "learn")
BUILD = ("clones", "commits", "curated_commits")
"""What the backfill runs over."""
GRAPH = (slice(115, None), slice(545, -48))
"""Rows and columns of the page that hold the graph: beside the navigation and the zoom bar."""
GRAPH_SIZE = {"width": 3600, "height": 1600}
"""The graph is fitted to the window; where that makes it small, assets show their name alone."""
INK = 0.87
"""Lines and letters are darker than this, the dots of the background are lighter."""
MARGIN = 24
COLOURS_S = 15.0
"""The graph is drawn at once, and coloured when the server has answered for every asset."""
MOST_BYTES = 200_000
PATIENCE_S = 1_200.0
"""A shared machine may be busy."""
SMALL = """
from awareness_pipeline import config, demo
from awareness_pipeline.defs import demo as runs
with demo.sandbox(config.load("demo").paths.root) as url, runs.instance_of_demo() as instance:
    runs.materialize(demo.demo_settings(url), instance, until="curate")
"""
LAUNCH = """mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATE = """query State($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"""


def main() -> int:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="make a small run of its own first")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        env = small_run(Path(folder)) if args.small else dict(os.environ)
        with served(args.port, env) as url, browser(Path(folder) / "profile") as page:
            for name, take in pictures(url, env).items():
                save(take(page), args.out / f"{name}.png")
    return 0


def pictures(url: str, env: Mapping[str, str]) -> dict[str, Callable[[Page], Image.Image]]:
    """Return how each picture is taken."""
    return {
        "asset-page": lambda page: asset(page, url),
        "backfill": lambda page: backfill(page, url),
        "report": lambda page: report(page, env),
        "asset-graph": lambda page: graph(page, url),
    }


def graph(page: Page, url: str) -> Image.Image:
    """The asset graph with every group open, and nothing around it."""
    # Dagster names a group by its code location or, in a later design, globally.
    where = ("__repository__@awareness", "global@global")
    opened = ",".join(f"{one}:{name}" for name in GROUPS for one in where)
    address = f"{url}/asset-groups?expanded={opened}"
    for _ in ("warm the server up, which colours assets by what it has read", "take it"):
        page.open(address, "evaluation", **GRAPH_SIZE, patience_s=PATIENCE_S)
        time.sleep(COLOURS_S)
    pixels = np.asarray(look(page).convert("RGB"))[GRAPH]
    return Image.fromarray(trimmed(pixels))


def asset(page: Page, url: str) -> Image.Image:
    """The page of curation: what it is, its columns, and what was kept and dropped over time."""
    address = f"{url}/assets/curated_commits"
    page.open(address, "Metadata", width=1500, height=2050, patience_s=PATIENCE_S)
    page.click("Plots")
    page.await_gone("Loading plots", PATIENCE_S)
    return look(page)


def backfill(page: Page, url: str) -> Image.Image:
    """The page of a backfill over every shard, when it is done."""
    keys = ask(url, "{ assetNodes { assetKey { path } partitionKeys } }", {})["assetNodes"]
    shards = next(one["partitionKeys"] for one in keys if one["assetKey"]["path"] == ["clones"])
    params = {"assetSelection": [{"path": [name]} for name in BUILD], "partitionNames": shards}
    begun = ask(url, LAUNCH, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in begun:
        raise RuntimeError(f"no backfill: {begun}")
    until(lambda: _status(url, begun["backfillId"]) == "COMPLETED_SUCCESS")
    address = f"{url}/runs/b/{begun['backfillId']}"
    page.open(address, "curated_commits", width=1500, height=620, patience_s=PATIENCE_S)
    return look(page)


def report(page: Page, env: Mapping[str, str]) -> Image.Image:
    """The head of the report."""
    command = [sys.executable, "-m", "awareness_pipeline", "report", "--recipe", "demo"]
    said = subprocess.run(
        command, cwd=PROJECT, env=dict(env), check=True, capture_output=True, text=True
    )
    file = (PROJECT / said.stdout.strip().splitlines()[-1]).resolve()
    page.open(file.as_uri(), "evaluate", width=1200, height=1500, patience_s=PATIENCE_S)
    return look(page)


def _status(url: str, backfill_id: str) -> str:
    found = ask(url, STATE, {"id": backfill_id})["partitionBackfillOrError"]["status"]
    if found in ("FAILED", "COMPLETED_FAILED", "CANCELED"):
        raise RuntimeError(f"the backfill ended as {found}")
    return str(found)


def small_run(folder: Path) -> dict[str, str]:
    """Run the demo as far as curation below `folder`; return the environment that shows it."""
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((PROJECT / "dagster_home" / "dagster.yaml").read_bytes())
    places = {"AWARENESS_ROOT": str(folder / "data"), "DAGSTER_HOME": str(home)}
    env = {**os.environ, **places}
    subprocess.run([sys.executable, "-c", SMALL], cwd=PROJECT, env=env, check=True)
    return env


@contextmanager
def served(port: int, env: Mapping[str, str]) -> Iterator[str]:
    """Serve Dagster's pages and its daemon while the block runs; yield their address."""
    command = [sys.executable, "-m", "awareness_pipeline", "ui", "--recipe", "demo"]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [*command, "--port", str(port)], cwd=PROJECT, env=dict(env), start_new_session=True
    ) as process:
        try:
            until(lambda: process.poll() is not None or _answers(url))
            yield url
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def _answers(url: str) -> bool:
    try:
        return bool(ask(url, "{ assetNodes { id } }", {})["assetNodes"])
    except OSError:
        return False


def until(done: Callable[[], bool]) -> None:
    """Wait until something is so. Raises TimeoutError after twenty minutes."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("waited twenty minutes for nothing")
        time.sleep(1)


def ask(url: str, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Dagster's GraphQL answers."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        answer = json.load(reply)
    if "data" not in answer or answer.get("errors"):
        raise RuntimeError(f"Dagster says {answer.get('errors')}")
    return dict(answer["data"])


def look(page: Page) -> Image.Image:
    """Return what the page shows."""
    return Image.open(io.BytesIO(page.picture()))


def trimmed(picture: np.ndarray) -> np.ndarray:
    """Cut the empty background around what is drawn."""
    drawn = picture.min(axis=2) < INK * 255
    sides = []
    for axis in (1, 0):
        (places,) = np.nonzero(drawn.any(axis=axis))
        sides.append(slice(max(places[0] - MARGIN, 0), places[-1] + MARGIN))
    return np.ascontiguousarray(picture[tuple(sides)])


def save(picture: Image.Image, path: Path) -> None:
    """Write a picture with as many colours as its size allows."""
    for colours in (256, 128, 64, 32, 16):
        few = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            break
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {colours} colours")


if __name__ == "__main__":
    sys.exit(main())
