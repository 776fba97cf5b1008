"""The order in which files are offered, and how many are."""

from random import Random

from awareness_model.schema import SourceFile
from awareness_pipeline.teacher.packing import by_relevance, offered

PATHS = ["README.md", "app/main.py", "app/use.py", "lib/deep/far.py", "lib/near.py", "lib/rates.py"]


def test_touched_then_imported_then_their_folders_then_the_rest() -> None:
    files = [SourceFile(path, path) for path in PATHS]
    Random(0).shuffle(files)
    ordered = by_relevance(files, {"app/use.py", "gone.py"}, {"lib/rates.py", "app/use.py"})
    assert [(file.path, reason) for file, reason in ordered] == [
        ("app/use.py", "touched"),
        ("lib/rates.py", "imported"),
        ("README.md", "folder"),
        ("app/main.py", "folder"),
        ("lib/deep/far.py", "rest"),
        ("lib/near.py", "rest"),
    ]


def test_only_the_folder_itself_is_near() -> None:
    files = [SourceFile(path, path) for path in PATHS]
    near = [file.path for file, reason in by_relevance(files, ["lib/x.py"], []) if reason != "rest"]
    assert near == ["lib/near.py", "lib/rates.py"]


def sized(*sizes: int) -> list[tuple[SourceFile, str]]:
    return [(SourceFile(str(n), "x" * size), "rest") for n, size in enumerate(sizes)]


def kept(*sizes: int) -> list[str]:
    return [file.path for file, _ in offered(sized(*sizes), 10)]


def test_files_beyond_the_window_are_not_offered() -> None:
    assert kept(81, 80, 79) == ["1", "2"]


def test_no_more_than_two_windows_of_text_are_offered() -> None:
    assert kept(80, 60, 30, 20, 1) == ["0", "1", "3"]


def test_an_offered_file_keeps_its_reason() -> None:
    assert [reason for _, reason in offered([(SourceFile("a", "a"), "folder")], 10)] == ["folder"]
