"""A recipe with the environment applied: where things live and who answers, not what stages do.

The process environment wins over `.env` of the working folder; an empty variable counts as not set.
Limits: variables that are not known are not reported, since the environment is full of others.
"""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from awareness_model.config import UserError
from awareness_pipeline.config.places import GITHUB, Paths, Source
from awareness_pipeline.config.recipes import RECIPES
from awareness_pipeline.config.settings import MOST_SHARDS, Settings
from awareness_pipeline.config.teaching import Teacher


def load(recipe: str | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Return a recipe's settings with the environment (and `.env`) applied.

    Raises:
        UserError: unknown recipe, or a variable whose value cannot be read.
    """
    env = _environment() if env is None else env
    name = recipe or env.get("AWARENESS_RECIPE") or "pilot"
    if name not in RECIPES:
        raise UserError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    settings = RECIPES[name]()
    return replace(
        settings,
        version=env.get("AWARENESS_VERSION") or settings.version,
        shards=_shards(env, settings.shards),
        model=env.get("AWARENESS_MODEL") or settings.model,
        device=env.get("DEVICE") or settings.device,
        paths=Paths(
            root=Path(env.get("AWARENESS_ROOT") or "data"),
            repos=_path(env, "AWARENESS_REPOS_PATH"),
            commits=_path(env, "AWARENESS_OUTPUT_PATH"),
            database=env.get("AWARENESS_DB_PATH") or "",
            store=_store(env),
        ),
        source=Source(
            url=(env.get("AWARENESS_GITHUB_URL") or GITHUB).rstrip("/"),
            tokens=_tokens(env),
            search_interval_s=_number(env, "AWARENESS_SEARCH_INTERVAL_S", 0.0),
            local=_path(env, "AWARENESS_LOCAL"),
            listing=_path(env, "AWARENESS_FROM_FILE"),
        ),
        teacher=_teacher(env),
    )


def _environment() -> dict[str, str]:
    """Return the process environment over what `.env` says."""
    from dotenv import dotenv_values

    found = {key: value for key, value in dotenv_values(".env").items() if value is not None}
    return {**found, **os.environ}


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _store(env: Mapping[str, str]) -> str:
    """Return the URL of the store. Credentials have no place in it, so it is not repeated."""
    said = (env.get("AWARENESS_STORE") or "").rstrip("/")
    if said and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]*(/[\w.=-]*\w[\w.=-]*)*", said, re.ASCII):
        raise UserError("AWARENESS_STORE must be s3://BUCKET or s3://BUCKET/PREFIX, nothing else")
    return said


def _tokens(env: Mapping[str, str]) -> tuple[str, ...]:
    given = ",".join(env.get(name, "") for name in ("GITHUB_TOKENS", "GITHUB_TOKEN"))
    return tuple(dict.fromkeys(token for part in given.split(",") if (token := part.strip())))


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        number = float(env.get(name) or default)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise UserError(f"{name} must be a number from 0 up, not {env[name]!r}")
    return number


def _shards(env: Mapping[str, str], default: int) -> int:
    said = env.get("AWARENESS_SHARDS") or str(default)
    if not (re.fullmatch(r"\d{1,4}", said, re.ASCII) and 1 <= int(said) <= MOST_SHARDS):
        raise UserError(f"AWARENESS_SHARDS must be a whole number from 1 to {MOST_SHARDS:,}")
    return int(said)


def _teacher(env: Mapping[str, str]) -> Teacher:
    usual = Teacher()
    spend = _number(env, "AWARENESS_TEACHER_MAX_COST", 0.0)
    tokens = int(_number(env, "AWARENESS_TEACHER_MAX_TOKENS", 0.0))
    return replace(
        usual,
        url=(env.get("AWARENESS_TEACHER_URL") or "").rstrip("/"),
        model=env.get("AWARENESS_TEACHER_MODEL") or "",
        revision=env.get("AWARENESS_TEACHER_REVISION") or "",
        key=_teacher_key(env),
        prefill=env.get("AWARENESS_TEACHER_PREFILL", "") in ("1", "true", "yes"),
        parameters=_object(env, "AWARENESS_TEACHER_PARAMETERS"),
        top_logprobs=int(_number(env, "AWARENESS_TEACHER_TOP_LOGPROBS", usual.top_logprobs)),
        prompt_logprobs=int(_number(env, "AWARENESS_TEACHER_PROMPT_LOGPROBS", 0.0)),
        concurrency=max(1, int(_number(env, "AWARENESS_TEACHER_CONCURRENCY", usual.concurrency))),
        requests_per_minute=_number(env, "AWARENESS_TEACHER_RPM", 0.0),
        tokens_per_minute=_number(env, "AWARENESS_TEACHER_TPM", 0.0),
        timeout_s=_number(env, "AWARENESS_TEACHER_TIMEOUT_S", usual.timeout_s),
        price_in=_number(env, "AWARENESS_TEACHER_PRICE_IN", 0.0),
        price_out=_number(env, "AWARENESS_TEACHER_PRICE_OUT", 0.0),
        max_cost=spend or None,
        max_tokens=tokens or None,
        cache=_path(env, "AWARENESS_TEACHER_CACHE"),
    )


def _teacher_key(env: Mapping[str, str]) -> str:
    """Return the endpoint's key. OpenAI's own goes to OpenAI alone, whatever the URL says."""
    own, openai = (env.get(name) or "" for name in ("AWARENESS_TEACHER_KEY", "OPENAI_API_KEY"))
    theirs = r"https://([\w-]+\.)*openai\.com(:443)?(/.*)?"
    url = env.get("AWARENESS_TEACHER_URL") or ""
    return own or (openai if re.fullmatch(theirs, url, re.ASCII) else "")


def _object(env: Mapping[str, str], name: str) -> str:
    """Return a variable that holds a JSON object, in one form; empty if it is not set."""
    try:
        found = json.loads(env.get(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{name} must be a JSON object")
    return json.dumps(found, sort_keys=True) if found else ""
