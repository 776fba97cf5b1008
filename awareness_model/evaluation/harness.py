"""Tasks for EleutherAI's lm-evaluation-harness: YAML and JSON lines, read with `--include_path`.

For each kind of needle question two tasks: `_text` holds the visible documents in its context,
`_none` holds none. They measure a model that reads text, so that any of the harness's models can
stand beside a reader of memory; the memory itself is measured by this package. The answer is
compared as the harness does: greedy text up to the first stop, exact match.

    lm_eval --model hf --model_args pretrained=MODEL --include_path FOLDER --tasks awareness_needle

Limits: written for the harness's `generate_until` and `exact_match` (0.4); the data files are named
by their absolute place, which the harness needs, so a folder is written where it is used.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awareness_model.evaluation.haystack import Haystack
from awareness_model.evaluation.needles import TASKS
from awareness_model.schema import write_atomic

GROUP = "awareness_needle"
STOP = {"value": "\n", "signature": ")", "description": "("}
"""Where an answer of each task ends."""


def export(folder: Path, haystack: Haystack, visible: int) -> list[Path]:
    """Write the tasks; return the files.

    Args:
        visible: documents in the context of `_text`: the most a question's `text` reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written, names = [], []
    for task in TASKS:
        for with_text in (True, False):
            name = f"{GROUP}_{task}_{'text' if with_text else 'none'}"
            rows = [
                {
                    "context": "".join(
                        piece.text for piece in one.reads["text", visible] if with_text
                    ),
                    "question": one.question.prompt.rstrip(" "),
                    "answer": one.question.answer,
                }
                for one in haystack.questions
                if one.task == task
            ]
            data = folder / f"{name}.jsonl"
            write_atomic(data, "".join(json.dumps(row) + "\n" for row in rows).encode())
            written += [data, _write(folder / f"{name}.yaml", _task(name, data, STOP[task]))]
            names.append(name)
    written.append(_write(folder / f"{GROUP}.yaml", {"group": GROUP, "task": names}))
    return written


def _task(name: str, data: Path, stop: str) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data.resolve())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{context}}{{question}}",
        "doc_to_target": "{{answer}}",
        "target_delimiter": " ",
        "generation_kwargs": {"until": [stop], "max_gen_toks": 32, "do_sample": False},
        "filter_list": [
            {
                "name": "stripped",
                "filter": [
                    {"function": "regex", "regex_pattern": "\\s*(.*)"},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1},
    }


def _write(path: Path, settings: Mapping[str, Any]) -> Path:
    """Write settings as YAML: JSON is a subset of it (YAML 1.2), so no YAML library is needed."""
    write_atomic(path, (json.dumps(settings, indent=1) + "\n").encode())
    return path
