"""What the program says on stderr: plain lines, or one JSON object a line.

`AWARENESS_LOG=json` switches. A JSON line has always `time` (UTC, ISO 8601, milliseconds), `level`
(`info`, `warning`, `error`), `logger` (the module that says it) and `message`; some have more:

    progress          label, done, total
    a stage's end     stage, rows_out, units_fresh, seconds
    an error's end    status (the exit status)
    from a module     exception, where a traceback is part of it

Plain is the default: lines of our own as they are, warnings of modules by their message. Limits:
what other programs print (git, the training process, Dagster) keeps its form, and so does the
traceback of a fault of the program.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from awareness_pipeline.config import UserError

SWITCH = "AWARENESS_LOG"
FORMS = ("", "plain", "json")
OURS = "awareness_pipeline"


def set_up() -> None:
    """Have what modules log come out in the form that the environment asks for.

    Raises:
        UserError: no such form.
    """
    form = os.environ.get(SWITCH, "")
    if form not in FORMS:
        raise UserError(f"{SWITCH} is plain or json, not {form!r}")
    if not structured():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(logging.INFO)


def structured() -> bool:
    """Whether lines are JSON."""
    return os.environ.get(SWITCH) == "json"


def tell(message: str, *, level: str = "info", **fields: Any) -> None:
    """Say a line on stderr; `fields` are told to machines only."""
    made = _line(level, OURS, message, **fields) if structured() else message
    print(made, file=sys.stderr, flush=True)


class _Lines(logging.Formatter):
    """A log record as a JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        told = {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        return _line(record.levelname.lower(), record.name, record.getMessage(), **told)


def _line(level: str, logger: str, message: str, **fields: Any) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row = {"time": now, "level": level, "logger": logger, "message": message, **fields}
    return json.dumps(row, ensure_ascii=False)
