"""What the stages before encode leave, on disk: clones, splits and teacher traces of small Python
repositories whose files need each other, with a tiny model to read them."""

from dataclasses import replace
from pathlib import Path

from awareness_model.base import load_tokenizer, plain_ids, tokenizer_fingerprint
from awareness_pipeline.artifacts import Counts, Record, place, unit_records
from awareness_pipeline.config import Encode, Evaluate, Settings, Train
from awareness_pipeline.records import shard_of
from awareness_pipeline.units import Outcome, Unit, close, finish_unit
from tests.model.small_world import trace, write_traces
from tests.pipeline.gitrepo import Snap
from tests.pipeline.stages.shelf import put_clone, settings_at

NAMES = ("harbor", "lantern", "meadow", "pebble", "quarry", "ribbon", "saddle", "timber")


def small_settings(root: Path, model: str) -> Settings:
    """Return settings of two shards and a tiny model."""
    return replace(
        settings_at(root),
        model=model,
        device="cpu",
        encode=Encode(max_file_tokens=400, max_repository_tokens=600),
        train=Train(steps=4, batch_size=2, checkpoint_every=2),
        evaluate=Evaluate(max_items=12),
    )


def history(repo_id: int) -> list[Snap]:
    """Return two commits of a repository: constants, then a module that uses them."""
    names = [f"{name}_{repo_id}" for name in NAMES[repo_id % 3 : repo_id % 3 + 4]]
    constants = "".join(
        f"{name.upper()} = {repo_id * 1000 + place * 77}\n" for place, name in enumerate(names)
    )
    uses = "".join(
        f"\n\ndef get_{place}():\n    return constants.{name.upper()} + {place}\n"
        for place, name in enumerate(names)
    )
    files = {
        b"pkg/__init__.py": b"# package\n",
        b"pkg/constants.py": constants.encode(),
        b"pkg/first.py": ("from pkg import constants\n" + uses).encode(),
        b"readme.md": b"# A small thing\n",
    }
    second = ("from pkg import constants\n" + uses.replace("get_", "take_")).encode()
    return [Snap(b"Begin\n", files), Snap(b"Take them\n", {b"pkg/second.py": second})]


def put_repository(settings: Settings, repo_id: int, split: str) -> list[str]:
    """Leave a clone and its split; return the shas of its commits."""
    shas = put_clone(settings, repo_id, history(repo_id))
    here = place(settings, "curated_commits", shard_of(repo_id, settings.shards), {})
    finish_unit(here, Unit(str(repo_id), {}), Outcome(Counts(2, 2), extra={"split": split}))
    return shas


def put_traces(
    settings: Settings, repo_id: int, sha: str, gold: list[str], manifest: list[str]
) -> Record:
    """Leave two teacher traces of a repository that start from the tree of `sha`."""
    tokenizer = load_tokenizer(settings.model)
    rows = [
        trace(
            number,
            repo_id,
            gold=tuple(gold),
            parent_sha=sha,
            manifest_paths=manifest,
            manifest_tokens=[1] * len(manifest),
            manifest_reasons=["rest"] * len(manifest),
            student_prompt_ids=plain_ids(tokenizer, f"VALUE_{number} = "),
            response_ids=plain_ids(tokenizer, str(repo_id * 1000 + number)),
            top_k=0,
            topk_ids=[],
            topk_logprobs=[],
            tail_mass=[],
            tokenizer_fingerprint=tokenizer_fingerprint(tokenizer),
        )
        for number in range(2)
    ]
    here = place(settings, "teacher_traces", shard_of(repo_id, settings.shards), {})
    here.folder.mkdir(parents=True, exist_ok=True)
    write_traces(here.folder / f"{repo_id}.parquet", rows)
    outcome = Outcome(Counts(2, 2), (f"{repo_id}.parquet",))
    record = finish_unit(here, Unit(str(repo_id), {}), outcome)
    close(here, [Unit(one.key, {}) for one in unit_records(here)], fresh=1)
    return record
