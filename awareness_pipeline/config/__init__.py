"""Settings: one frozen tree, and the recipes that fill it: `demo()`, `pilot()`, `full()`.

A recipe is a function that returns a whole configuration; environment variables (and `.env`)
replace where things live and who answers, never what a stage does. A field marked `run_only` says
how fast or where, so it stays out of every fingerprint; all other fields of a stage's section are
part of its identity (see `artifacts.py`). Limits: a value is checked where it is read from the
environment or by the stage that uses it; a section itself holds what it is given.
"""

from awareness_model.config import LOCAL_MODEL, UserError
from awareness_pipeline.config.collecting import Clone, Curate, Discover, Extract
from awareness_pipeline.config.environment import load
from awareness_pipeline.config.fingerprint import RUN_ONLY, identity
from awareness_pipeline.config.learning import BYTES_PER_TOKEN, Audit, Encode, Evaluate, Train
from awareness_pipeline.config.places import GITHUB, PROJECT, Paths, Source
from awareness_pipeline.config.recipes import RECIPES, demo, full, pilot
from awareness_pipeline.config.settings import Settings
from awareness_pipeline.config.teaching import Distil, Reverse, Teacher

__all__ = [
    "BYTES_PER_TOKEN",
    "GITHUB",
    "LOCAL_MODEL",
    "PROJECT",
    "RECIPES",
    "RUN_ONLY",
    "Audit",
    "Clone",
    "Curate",
    "Discover",
    "Distil",
    "Encode",
    "Evaluate",
    "Extract",
    "Paths",
    "Reverse",
    "Settings",
    "Source",
    "Teacher",
    "Train",
    "UserError",
    "demo",
    "full",
    "identity",
    "load",
    "pilot",
]
