"""The whole tree of settings: one section per stage, and what every stage shares.

Limits: shard keys have three digits, so they sort as text for at most a thousand shards.
"""

from dataclasses import dataclass, field

from awareness_model.config import default_device, default_model
from awareness_pipeline.config.collecting import Clone, Curate, Discover, Extract
from awareness_pipeline.config.fingerprint import RUN_ONLY
from awareness_pipeline.config.learning import Audit, Encode, Evaluate, Train
from awareness_pipeline.config.places import Paths, Source
from awareness_pipeline.config.teaching import Distil, Reverse, Teacher

MOST_SHARDS = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a run needs to know."""

    recipe: str
    version: str
    """A name a person chose; part of every output path."""
    shards: int = 256
    """Partitions of the stages from clone to encode; `awareness reshard` changes it for a version
    that has outputs."""
    model: str = field(default_factory=default_model)
    device: str = field(default_factory=default_device, metadata=RUN_ONLY)
    paths: Paths = field(default_factory=Paths, metadata=RUN_ONLY)
    source: Source = field(default_factory=Source)
    discover: Discover = field(default_factory=Discover)
    clone: Clone = field(default_factory=Clone)
    extract: Extract = field(default_factory=Extract)
    curate: Curate = field(default_factory=Curate)
    reverse: Reverse = field(default_factory=Reverse)
    distil: Distil = field(default_factory=Distil)
    teacher: Teacher = field(default_factory=Teacher)
    audit: Audit = field(default_factory=Audit)
    encode: Encode = field(default_factory=Encode)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)

    @property
    def shard_keys(self) -> tuple[str, ...]:
        """Return the partition keys of the sharded stages: `000`, `001`, …"""
        return tuple(f"{number:03d}" for number in range(self.shards))
