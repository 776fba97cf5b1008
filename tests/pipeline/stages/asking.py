"""Answers without a model, for tests of the stages that ask one."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from awareness_model.schema import (
    DistilAnswer,
    DistilRequest,
    ManifestEntry,
)
from awareness_pipeline.config import Curate, Settings
from awareness_pipeline.stages import curate, extract
from awareness_pipeline.teacher.backend import Batch
from awareness_pipeline.teacher.chat import ChatAnswer, ChatRequest
from awareness_pipeline.teacher.local import Given
from awareness_pipeline.teacher.prompts import load_template
from awareness_pipeline.teacher.tasks import STYLES
from tests.pipeline.gitrepo import Snap

HISTORY = [
    Snap(
        b"Begin\n",
        {
            b"app/rates.py": b"BASE_RATE = 4831\n",
            b"app/bill.py": b"from app.rates import BASE_RATE\n\n\n"
            b"def total():\n    return BASE_RATE\n",
            b"docs/use.md": b"# Use\n",
            b"README.md": b"# Bills\n",
        },
    ),
    Snap(b"Double the base rate\n", {b"app/rates.py": b"BASE_RATE = 9662\n"}),
    Snap(b"Explain the use\n", {b"docs/use.md": b"# Use\n\nCall total().\n"}),
    Snap(
        b"Round the total (#12)\n",
        {
            b"app/bill.py": b"from app.rates import BASE_RATE\n\n\n"
            b"def total():\n    return round(BASE_RATE)\n"
        },
    ),
]
"""Two commits that change code, one that changes a document."""


def history_of(repo_id: int) -> list[Snap]:
    """The same history as a repository's own: every file ends in a line that no other has, or its
    commits would be duplicates."""
    mark = b"# %d\n" % repo_id
    snaps = [
        replace(snap, changes={name: data + mark for name, data in snap.changes.items()})
        for snap in HISTORY
    ]
    return [replace(snaps[0], message=b"Begin %d\n" % repo_id), *snaps[1:]]


class Asked:
    """Stands in for the teacher: notes the requests and answers by a function."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self.answer = answer
        self.offered: list[Any] = []
        self.wanted: list[Any] = []
        self.times = 0

    def chat(
        self,
        settings: Settings,
        stage: str,
        requests: Sequence[ChatRequest],
        scratch: Path,
        *,
        label: str,
        wanted: Collection[int],
    ) -> Batch:
        """Stands in for `backend.ask`. What is answered with None is pending."""
        self._note(requests, [requests[place] for place in wanted])
        found = [
            self.answer(one) if place in wanted else None for place, one in enumerate(requests)
        ]
        return Batch(tuple(found), {place: "pending" for place in wanted if not found[place]})

    def files(
        self,
        settings: Settings,
        stage: str,
        requests: Iterable[DistilRequest],
        scratch: Path,
        *,
        label: str,
        wanted: Collection[str],
    ) -> "Given[DistilAnswer]":
        """Stands in for `files.ask_files`. What is answered with None is pending."""
        offered = list(requests)
        self._note(offered, [one for one in offered if one.id in wanted])
        found = {one.id: self.answer(one) for one in self.wanted}
        answers = {name: answer for name, answer in found.items() if answer}
        return Given(answers, dict.fromkeys(found.keys() - answers.keys(), "pending"))

    def _note(self, offered: Sequence[Any], wanted: list[Any]) -> None:
        self.times += 1
        self.offered, self.wanted = list(offered), wanted


def task(text: str, finish: str = "stop") -> Callable[[ChatRequest], ChatAnswer]:
    """Answer every question with one text, closed unless the limit came before."""
    closing = "</task>" if finish == "stop" else ""
    return lambda one: ChatAnswer(f"<task>{text}{closing}", finish, 10, 5)


def good_task(one: ChatRequest) -> ChatAnswer:
    """Answer with a usable task: the same words about every commit."""
    said = "Change the total or the rate, or explain their use in docs"
    return task(f"The total is off\n{said}" if style_of(one) == "issue" else said)(one)


def own_task(one: ChatRequest) -> ChatAnswer:
    """Answer with a usable task of the commit's own."""
    message = one.prefix.split('Commit "', 1)[1].split('"')[0]
    said = f"{message}, as the total and the rate need it"
    return task(f"The total is off\n{said}" if style_of(one) == "issue" else said)(one)


def style_of(one: ChatRequest) -> str:
    """Return the style that a question asks for; `judge` for the judge's."""
    names = [*(f"reverse_{style}" for style in STYLES), "judge"]
    found = next(name for name in names if load_template(name).system == one.system)
    return found.removeprefix("reverse_")


def trace(one: DistilRequest) -> DistilAnswer:
    """Answer with two tokens, or with those that are given; without files with none."""
    seen = [file.path for file in one.files]
    ids = () if not seen else (7, 8)
    return DistilAnswer(
        id=one.id,
        student_prompt_ids=(1, 2, 3),
        response_ids=ids,
        response_text=one.response or "do",
        topk_ids=tuple((id, 9) for id in ids),
        topk_logprobs=tuple((-0.5, -1.5) for _ in ids),
        tail_mass=tuple(0.25 for _ in ids),
        manifest=tuple(ManifestEntry(path, 4) for path in seen),
        finish_reason="no_context" if not seen else "forced" if one.response else "length",
        teacher_tokens=20,
        tokenizer_fingerprint="f",
    )


def prepared(settings: Settings) -> None:
    """Extract and curate what was cloned."""
    for shard in settings.shard_keys:
        extract.run(settings, shard)
        curate.run(settings, shard)


ALL_TRAIN = Curate(held_out_fraction=0.0)
