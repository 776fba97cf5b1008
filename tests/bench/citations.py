"""How often the citation with most mass is the source: natural questions over this project's files.

    python -m tests.bench.citations

The default model answers 24 questions in plain words over 20 of this project's own files, four of
them read at a time as `awareness ask` does. Of each, the source is known: it holds the words beside
the question. Every second question was held out when the estimate was chosen. Limits: one model,
one project, one author of the questions; four documents, so chance is 1 in 4.
"""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from awareness_model import home
from awareness_model.citing import by_document, looks
from awareness_model.config import default_model
from awareness_model.conversation import Message
from awareness_model.loaded import Loaded, load
from awareness_model.memory.live import LiveMemory
from awareness_model.reading import Asked, answer, chosen, prompt_of, slots_of
from awareness_model.writing import Style

PACKAGE = Path(__file__).resolve().parents[2] / "awareness_pipeline"
FILES = (
    "clock",
    "locks",
    "wanted",
    "address",
    "progress",
    "teacher/pace",
    "teacher/budget",
    "teacher/purse",
    "teacher/quoting",
    "gitio/lock",
    "curation/near",
    "curation/passwords",
    "curation/grams",
    "curation/sensitive",
    "config/collecting",
    "config/teaching",
    "config/places",
    "config/learning",
    "github/sampling",
    "launch",
)
QUESTIONS = (
    (
        "How many seconds may a back-off last at most when a request fails?",
        "teacher/pace",
        "LONGEST_BACK_OFF_S",
    ),
    (
        "How many permutations does the MinHash signature have?",
        "curation/near",
        "PERMUTATIONS: Final = 128",
    ),
    ("In which format is a time written as text?", "clock", "%Y-%m-%dT%H:%M:%SZ"),
    (
        "How often is a progress line printed when there is no terminal?",
        "progress",
        "LINE_EVERY_S = 5.0",
    ),
    (
        "What is the longest wanted name that can be found in a text?",
        "wanted",
        "MAX_CHARACTERS: Final = 300",
    ),
    (
        "What is the shortest value that counts as a password?",
        "curation/passwords",
        "_SHORTEST: Final = 6",
    ),
    (
        "How many repositories are discovered by default, the target?",
        "config/collecting",
        "100_000",
    ),
    ("How many prompt tokens may the reverse stage use at most?", "config/teaching", "1_600"),
    (
        "Which kernel call holds a lock file so that it goes with its holder?",
        "locks",
        "fcntl.flock",
    ),
    (
        "Which exception is raised when a process that is alive holds the folder?",
        "gitio/lock",
        "UserError",
    ),
    ("Which host name counts as this machine besides loopback addresses?", "address", "localhost"),
    (
        "Who gets the rest of a cap that does not divide evenly among shards?",
        "teacher/budget",
        "first shards",
    ),
    ("What does one million stand for when a price is computed?", "teacher/purse", "MILLION"),
    ("How long is a clone allowed to take before it times out?", "config/collecting", "3600.0"),
    (
        "How much free disk space must be left before nothing more is fetched?",
        "config/collecting",
        "min_free_gb",
    ),
    (
        "What rating must the judge give at least for a prompt to be kept?",
        "config/teaching",
        "min_judge",
    ),
    ("How many bands does near-duplicate detection use?", "curation/near", "BANDS: Final = 16"),
    (
        "Whose patterns are used for finding passwords in URLs?",
        "curation/passwords",
        "detect-secrets",
    ),
    ("How many seconds are in the window of a rate limit per minute?", "teacher/pace", "MINUTE_S"),
    (
        "What is printed while waiting for what a killed run left running?",
        "gitio/lock",
        "waiting for what a killed run left running",
    ),
    ("Which exception does parsing another text as a time raise?", "clock", "ValueError"),
    ("Which library draws the progress bar on a terminal?", "progress", "rich"),
    ("Two URLs have the same origin if which parts are equal?", "address", "scheme, host and port"),
    (
        "How are phrases searched in a text: when are all their words looked at?",
        "wanted",
        "a phrase is searched only where all its words are",
    ),
)
"""Question, source, and words of the source that answer it."""
KINDS = ("router", "mean mass", "drawn")


def first_cited(question: str, model: Loaded, memory: LiveMemory) -> dict[str, str]:
    """Return the document that each kind of citation names first."""
    asked = Asked([Message("user", question)], style=Style(max_new_tokens=48))
    chunks, prompt = chosen(asked, model, memory), prompt_of(asked, model, memory)
    found = answer(asked, model, memory)
    ids = model.tokenizer(found.text, add_special_tokens=False)["input_ids"]
    read = slots_of([record for _, record in chunks])
    slots = looks(model.decoder, read, prompt, ids)[2].mean(0)
    lengths = [len(record.keys) for _, record in chunks]
    mass: dict[str, float] = {}
    for (path, _), part in zip(chunks, slots.split(lengths), strict=True):
        mass[path] = mass.get(path, 0.0) + float(part.sum())
    plain = max(mass, key=lambda path: mass[path])
    return dict(
        zip(KINDS, (chunks[0][0], plain, next(iter(by_document(found.cited)))), strict=True)
    )


def main() -> int:
    """Print what each kind got right, of the questions it was chosen on and of those held out."""
    model = load(default_model(), "cpu")
    right = {kind: [0, 0] for kind in KINDS}
    with TemporaryDirectory() as place:
        root = Path(place)
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PACKAGE / f"{name}.py", root / f"{name}.py")
        home.make_home(root)
        memory = home.open_memory(root, model)
        memory.index()
        for number, (question, source, words) in enumerate(QUESTIONS):
            assert words in (root / f"{source}.py").read_text(), words
            named = first_cited(question, model, memory)
            for kind in KINDS:
                right[kind][number % 2] += named[kind] == f"{source}.py"
            print(number + 1, source, named, file=sys.stderr, flush=True)
    for kind, (tuned, held) in right.items():
        print(f"{kind}: {tuned} of {len(QUESTIONS) // 2}, held out {held}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
