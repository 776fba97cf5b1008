"""Recipes: functions that return a whole configuration, from minutes on two cores to a full crawl.

A recipe says only what differs from the defaults of the sections. Limits: it reads no environment,
apart from the defaults of model and device.
"""

from collections.abc import Callable

from awareness_pipeline.config.collecting import Discover, Extract
from awareness_pipeline.config.learning import Audit, Encode, Evaluate, Train
from awareness_pipeline.config.settings import Settings
from awareness_pipeline.config.teaching import Distil, Reverse


def demo() -> Settings:
    """The whole flow at the smallest size that is real: minutes on two cores."""
    return Settings(
        recipe="demo",
        version="demo",
        shards=4,
        discover=Discover(languages=("Python", "JavaScript", "Go"), min_stars=10),
        extract=Extract(max_commits=40),
        reverse=Reverse(max_commits=16, max_prompt_tokens=640, max_new_tokens=56),
        distil=Distil(
            max_traces=24,
            target="both",
            max_reconstruction=80,
            max_state=16,
            max_response_tokens=512,
        ),
        audit=Audit(max_commits=16, max_tasks=6, max_text_tokens=64, max_context_tokens=384),
        encode=Encode(max_file_tokens=1_000, max_repository_tokens=900),
        train=Train(
            steps=40,
            batch_size=8,
            curriculum=(),
            max_prompt_tokens=64,
            max_answer_tokens=32,
            checkpoint_every=10,
        ),
        evaluate=Evaluate(max_items=48),
    )


def pilot() -> Settings:
    """A day's work on one machine: ten thousand repositories."""
    return Settings(recipe="pilot", version="pilot", discover=Discover(target=10_000))


def full() -> Settings:
    """A hundred thousand repositories."""
    return Settings(recipe="full", version="full")


RECIPES: dict[str, Callable[[], Settings]] = {"demo": demo, "pilot": pilot, "full": full}
