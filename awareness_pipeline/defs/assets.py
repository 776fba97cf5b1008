"""One asset per artifact, in flow order: what it is, where it belongs, and a body of a few lines.

The body calls `flow.run_step` once for all partitions of the run and reports their records;
lineage, partitions and order come from `flow.FLOW`. A run over a range of partitions is one process
in which an asset finishes all its partitions before the next asset starts. One that fails has
reported nothing, and what it finished on disk is not done again. `data_version` is the fingerprint
of the settings, and there is no `code_version`: a change of code marks nothing stale.

Limits: Dagster's own bookkeeping costs 20 to 25 ms per partition and asset on SQLite. It takes one
`data_version` a run: where partitions have different fingerprints, as languages have, it is the
digest of them all.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from awareness_model.schema import digest
from awareness_pipeline import flow
from awareness_pipeline.artifacts import Record
from awareness_pipeline.config import Settings
from awareness_pipeline.defs import automation, discovery
from awareness_pipeline.defs.bounds import Bounds
from awareness_pipeline.defs.columns import columns_of
from awareness_pipeline.defs.live import observed
from awareness_pipeline.defs.partitions import backfill_policy, dependencies, partitions_def
from awareness_pipeline.defs.pictures import Metadata
from awareness_pipeline.defs.reports import metadata_of

MODES = {
    "resume": "Ask what was not asked yet.",
    "refresh": "Ask everything again; goes on with a refresh that was killed within a day.",
    "incremental": "Ask for what was pushed since the last finished pass.",
}
FEW = 16
"""Partitions of a run that are all shown with their pictures. In a run over more, those where
nothing was done show their counts alone: drawing would take most of the time of a rerun."""
DISCOVER_CONFIG = {
    "mode": dg.Field(
        dg.Enum("Mode", [dg.EnumValue(name, description=said) for name, said in MODES.items()]),
        default_value="resume",
        description=" ".join(f"{name}: {said}" for name, said in MODES.items()),
    )
}


@dataclass(frozen=True, slots=True)
class Card:
    """How an asset presents itself. Groups sort in flow order: collect, distil, encode, learn."""

    group: str
    kinds: frozenset[str]
    owner: str
    pool: str
    """What it contends for: `github_api`, `git`, `llm` or `gpu`; `` for nothing but a processor."""
    description: str


CARDS: dict[str, Card] = {
    "repositories": Card(
        "collect",
        frozenset({"github", "sqlite"}),
        "team:data",
        "github_api",
        "Which repositories exist: rows of the catalog, found by searching GitHub in three tiers "
        "(mainstream, niche, emerging). A search with more than 1,000 answers is split until each "
        "part can be read whole. One partition per language, all those of a run asked together; "
        "runs that ask the same host take turns.",
    ),
    "clones": Card(
        "collect",
        frozenset({"git"}),
        "team:data",
        "git",
        "Bare git repositories, `<repo_id>.git`, fetched over HTTP and never checked out. A "
        "repository's shard is its id modulo the number of shards, so any language can land in "
        "any shard.",
    ),
    "commits": Card(
        "collect",
        frozenset({"jsonl", "git"}),
        "team:data",
        "",
        "Every commit of a clone with its true diff: one `<repo_id>.jsonl.zst` per repository, "
        "newest first. Labelled (bot, merge, vendored, …), never deleted.",
    ),
    "curated_commits": Card(
        "collect",
        frozenset({"jsonl"}),
        "team:data",
        "",
        "Which commits go on, and on which side of the split: decisions beside the commits, which "
        "stay as they are. A commit found in several repositories is kept in one, so every shard "
        "reads all shards.",
    ),
    "task_prompts": Card(
        "distil",
        frozenset({"llm", "jsonl"}),
        "team:model",
        "llm",
        "The tasks that a commit answers, written by a language model that sees the diff, as an "
        "issue, in one sentence, and in a few words; the cleaned message is a style of its own. "
        "What the gate rejects is kept with its reason.",
    ),
    "teacher_traces": Card(
        "distil",
        frozenset({"llm", "parquet"}),
        "team:model",
        "llm",
        "What a teacher answers with the repository in its context: response tokens with the "
        "log-probabilities of the most likely alternatives, and the probability left to the rest.",
    ),
    "data_evidence": Card(
        "distil",
        frozenset({"pytorch", "json"}),
        "team:model",
        "gpu",
        "Do prompts and traces say anything of their commits? True changes scored behind their own "
        "prompt and behind others', responses behind files of their own repository and of another "
        "one. D = NLL(another's) - NLL(own), with intervals over repositories.",
    ),
    "memory_shards": Card(
        "encode",
        frozenset({"lance", "pytorch"}),
        "team:model",
        "gpu",
        "Documents of the snapshots that traces and questions read, each encoded once into keys, "
        "values and a routing vector per chunk, in the `kv` and `latent` layouts.",
    ),
    "gca_checkpoint": Card(
        "learn",
        frozenset({"deepspeed", "pytorch"}),
        "team:model",
        "gpu",
        "Gated cross-attention layers in a frozen decoder, trained by DeepSpeed to answer from "
        "memory what the teacher answered from text. Only what was trained is stored.",
    ),
    "evaluation": Card(
        "learn",
        frozenset({"pytorch", "json"}),
        "team:model",
        "gpu",
        "Held-out questions whose answer stands in another file, asked with the repository's own "
        "memory, another repository's, none, and the text itself. S = NLL(other) - NLL(own); R is "
        "the share of the text's gain that memory gives.",
    ),
}


def assets(settings: Settings, allowed: Bounds | None = None) -> list[dg.AssetsDefinition]:
    """Return the assets of the flow for these settings, in flow order."""
    bounds = allowed or Bounds()
    return [_asset(step, CARDS[step.artifact], settings, bounds) for step in flow.FLOW]


def _asset(step: flow.Step, card: Card, settings: Settings, allowed: Bounds) -> dg.AssetsDefinition:
    def materialize(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        keys = tuple(context.partition_keys) if step.partitioned_by else flow.WHOLE
        asked = settings
        beside: Mapping[str, Metadata] = {}
        if step.name == "discover":
            mode = context.op_execution_context.op_config["mode"]
            asked = replace(settings, discover=replace(settings.discover, mode=mode))
        with observed(context, step.artifact):
            records = flow.run_step(asked, step.name, keys)
        if step.name == "discover":
            beside = discovery.of_run(settings, keys)
        for key, record in zip(keys, records, strict=True):
            detailed = bool(record.fresh) or len(keys) <= FEW
            shown = {**beside.get(key, {}), **metadata_of(record, settings, detailed=detailed)}
            partition = key if step.partitioned_by else None
            context.add_asset_metadata(shown, partition_key=partition)
        return dg.MaterializeResult(data_version=dg.DataVersion(_data_version(records)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.asset(
            name=step.artifact,
            description=card.description,
            group_name=card.group,
            kinds=set(card.kinds),
            owners=[card.owner],
            pool=card.pool or None,
            metadata={
                "stage": step.name,
                "dagster/column_schema": columns_of(step.artifact),
                "files of all versions": dg.MetadataValue.path(_folder(step, settings)),
            },
            automation_condition=automation.follows(step, allowed),
            freshness_policy=automation.fresh(step, allowed),
            config_schema=DISCOVER_CONFIG if step.name == "discover" else None,
            deps=dependencies(step),
            partitions_def=partitions_def(step, settings),
            backfill_policy=backfill_policy(step),
        )(materialize)


def _folder(step: flow.Step, settings: Settings) -> str:
    paths = settings.paths
    if paths.store:
        return f"{paths.store}/{step.artifact}"
    return str(paths.artifact(step.artifact).absolute())


def _data_version(records: Sequence[Record]) -> str:
    fingerprints = sorted({record.fingerprint for record in records})
    return fingerprints[0] if len(fingerprints) == 1 else digest(*fingerprints)
