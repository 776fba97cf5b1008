"""What real repositories take on disk: their clones, their commits, how many these are.

    awareness full --local FOLDER --root ROOT --version sample --to extract
    python -m tests.bench.repositories ROOT sample

A row a repository, into `results/repositories.json`, from which `awareness plan` estimates where no
version is at hand. `tree tokens` are those of the files of HEAD that encoding would read, estimated
as bytes / 3.5, before the bound of a repository. Times are not taken: `tests.bench.extract` does
that on a quiet machine. Limits: whatever lies in the folder is the sample.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.config import BYTES_PER_TOKEN, PROJECT, Paths, Settings, pilot
from awareness_pipeline.gitio.snapshot import read_snapshot
from awareness_pipeline.gitio.space import bytes_of


def rows(settings: Settings) -> list[dict[str, Any]]:
    """Return what each repository took, by name."""
    found = []
    for folder, clone in _units(settings, "clones"):
        commits = read_record(_beside(settings, "commits", folder.name, clone.key))
        if commits and clone.counts.rows_out:
            row = {
                "name": clone.extra["full_name"],
                "clone bytes": bytes_of(folder / f"{clone.key}.git"),
                "commits": commits.counts.rows_out,
                "commit bytes": sum(size for size, _ in commits.files.values()),
                "tree tokens": tree_tokens(
                    folder / f"{clone.key}.git", str(clone.extra["head"]), settings
                ),
            }
            found.append(row)
    return sorted(found, key=lambda row: row["name"])


def tree_tokens(clone: Path, head: str, settings: Settings) -> int:
    """Return the tokens of the files that encoding would read."""
    tree = read_snapshot(clone, head, max_file_bytes=settings.encode.max_file_bytes)
    return int(sum(len(file.text.encode()) / BYTES_PER_TOKEN for file in tree.files))


def _units(settings: Settings, artifact: str) -> list[tuple[Path, Record]]:
    paths = sorted((settings.paths.artifact(artifact) / settings.version).glob("*/*.record.json"))
    return [(path.parent, record) for path in paths if (record := read_record(path))]


def _beside(settings: Settings, artifact: str, partition: str, key: str) -> Path:
    return settings.paths.artifact(artifact) / settings.version / partition / f"{key}.record.json"


def main() -> None:
    """Write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("version")
    args = parser.parse_args()
    settings = replace(pilot(), version=args.version, paths=Paths(root=args.root))
    result = {
        "command": "python -m tests.bench.repositories",
        "repositories": rows(settings),
    }
    path = PROJECT / "results" / "repositories.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(result['repositories'])} repositories in {path}")


if __name__ == "__main__":
    main()
