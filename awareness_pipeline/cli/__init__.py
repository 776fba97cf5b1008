"""The command `awareness`: thin commands over the flow, the catalog and the records.

    data     discover, download (clone), process, refresh, reprocess, full, extract
    consent  opt-out
    learn    tasks, traces, audit, encode, eval
    training train, checkpoint
    parts    run, retry, reshard, bring
    look     stats, report, ledger, digest, doctor
    measures metrics, plan
    export   export
    memory   index, ask, edit, remember, watch, memory, serve
    serve    demo, ui

Exit status: 0 done, 1 a fault (with its traceback) or an unhealthy `doctor`, 2 something the user
can mend, in one line. Modules that take long to load are imported inside the commands, so
`awareness --help` answers at once.
"""

from collections.abc import Callable

import typer
from dotenv import load_dotenv

from awareness_pipeline.cli import (
    consent,
    data,
    export,
    learn,
    look,
    measures,
    memory,
    parts,
    serve,
    training,
)
from awareness_pipeline.cli.errors import Commands

app = typer.Typer(
    cls=Commands,
    help="Repository data, memory and training, from discovery to a measured evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "The data": {
        "discover": data.discover,
        "download": data.download,
        "clone": data.download,
        "process": data.process,
        "extract": data.extract,
        "refresh": data.refresh,
        "opt-out": consent.opt_out,
        "reprocess": data.reprocess,
    },
    "The model": {
        "tasks": learn.tasks,
        "traces": learn.traces,
        "audit": learn.audit,
        "encode": learn.encode,
        "train": training.train,
        "checkpoint": training.checkpoint,
        "eval": learn.evaluate,
    },
    "The memory": {
        "index": memory.index,
        "ask": memory.ask,
        "edit": memory.edit,
        "remember": memory.remember,
        "watch": memory.watch,
        "memory": memory.memory,
        "serve": memory.serve,
    },
    "All of it": {"demo": serve.demo, "full": data.full, "ui": serve.ui},
    "Parts of it": {
        "run": parts.run,
        "retry": parts.retry,
        "reshard": parts.reshard,
        "bring": parts.bring,
    },
    "What is there": {
        "stats": look.stats,
        "plan": measures.plan,
        "report": look.report,
        "metrics": measures.metrics,
        "ledger": look.ledger,
        "digest": look.digest,
        "doctor": look.doctor,
    },
    "For others": {"export": export.export},
}

for panel, commands in PANELS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel, hidden=name == "clone")(command)


def main() -> None:
    """Run the command line. What `.env` says reaches child processes too, unless the environment
    says otherwise: `WANDB_API_KEY`, for one, is read by the training process alone."""
    load_dotenv(".env")
    app()
