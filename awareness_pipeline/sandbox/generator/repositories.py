"""Twenty-four generated repositories, eight each in Python, JavaScript and Go: the same everywhere.

Each is a small project whose files need each other, with 15 to 60 commits of true history. Ids are
chosen so that the pipeline's hash of (127.0.0.1, id) holds out exactly eight of them, at least two
in each language; the fork, the archived one and those without a licence are not among those eight.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

from awareness_pipeline.clock import iso, utc
from awareness_pipeline.sandbox.generator.domains import DOMAINS, Domain
from awareness_pipeline.sandbox.generator.draws import TONES, draw
from awareness_pipeline.sandbox.generator.fastimport import BRANCH
from awareness_pipeline.sandbox.generator.history import (
    Commit,
    Outline,
    template_history,
    write_history,
)
from awareness_pipeline.sandbox.generator.project import Value
from awareness_pipeline.sandbox.universe import SandboxRepo

SEED = 2
FIRST_ID = 700_002_834
_ID_STEP = 7919
_DAY = 86_400
_EPOCH = int(datetime(2019, 2, 4, 9, tzinfo=UTC).timestamp())
_LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "MIT")
_WITHOUT_LICENCE = (5, 13, 21)
_FORK, _ARCHIVED = 2, 19
_FROM_TEMPLATE = (_FORK, 6)


def generate() -> Iterator[tuple[SandboxRepo, list[Commit]]]:
    """Yield every repository's row and history, always the same ones in the same order."""
    taken: set[Value] = set()
    template = template_history(_EPOCH)
    for number, domain in enumerate(DOMAINS):
        random = Random(f"awareness {SEED} {domain.full_name}")
        tone = TONES[number % len(TONES)]
        drawn = draw(domain, random, taken, tone, variant=number % 8 == 5)
        outline = _outline(number, random, template if number in _FROM_TEMPLATE else ())
        commits = write_history(drawn, outline)
        yield _row(number, domain, commits, outline.licence, random), commits


def _outline(number: int, random: Random, template: tuple[Commit, ...]) -> Outline:
    """How long the history is and what odd things happen in it."""
    oddities = [
        *(["binary"] if number % 4 != 3 else []),
        *(["binary"] if number % 8 == 0 else []),
        *(["latin"] if number % 3 != 1 else []),
        *(["latin_message"] if number % 12 == 5 else []),
        *(["vendored"] if number % 3 != 2 else []),
    ]
    licence = _LICENCES[number % len(_LICENCES)]
    return Outline(
        length=22 + number * 11 % 34,
        start=_EPOCH + random.randrange(30, 1200) * _DAY,
        licence="MIT" if template else None if number in _WITHOUT_LICENCE else licence,
        oddities=tuple(oddities),
        template=template,
    )


def _row(
    number: int, domain: Domain, commits: list[Commit], licence: str | None, random: Random
) -> SandboxRepo:
    contents = {data for commit in commits for data in commit.files.values()}
    first = next(commit.when for commit in commits if commit.when > _EPOCH + _DAY)
    return SandboxRepo(
        id=FIRST_ID + number * _ID_STEP,
        full_name=domain.full_name,
        language=domain.language,
        stars=round(12 * (5000 / 12) ** (random.randrange(1001) / 1000)),
        created_at=iso(utc(first - random.randrange(60, 3600))),
        pushed_at=iso(utc(commits[-1].when)),
        description=domain.description,
        topics=domain.nouns[:2],
        license=licence,
        size=max(1, sum(map(len, contents)) // 1024),
        default_branch=BRANCH,
        fork=number == _FORK,
        archived=number == _ARCHIVED,
    )
