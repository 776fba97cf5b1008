"""Progress away from a terminal: few lines, the last one always."""

import pytest

from awareness_pipeline.progress import bar, in_words, listening, tell


def test_finished_work_prints_its_total(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("clone", 3) as advance:
        advance()
        advance(2)
    assert capsys.readouterr().err == "clone: 3/3\n"


def test_nothing_to_do_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("clone", 0) as advance:
        advance()
    assert capsys.readouterr().err == ""


def test_numbers_stand_beside_the_count(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("train", 2) as advance:
        advance(2, "loss 2.310")
    assert capsys.readouterr().err == "train: 2/2  loss 2.310\n"


def test_numbers_of_a_training_are_told_in_one_order_and_nothing_else() -> None:
    numbers = {"mfu": 0.123, "S": 0.02, "seconds": 3.0, "loss": 2.31, "memory_mib": 1024.4}
    assert in_words(numbers) == "loss 2.310, S +0.020, MFU 12.3%, 1,024 MiB"
    assert in_words({}) == ""


def test_who_listens_is_told_while_the_block_runs() -> None:
    heard: list[tuple[int, int, dict[str, float]]] = []
    with listening(lambda done, total, numbers: heard.append((done, total, dict(numbers)))):
        tell(1, 4, {"loss": 2.0})
        tell(2, 4, {})
    tell(3, 4, {"loss": 1.0})
    assert heard == [(1, 4, {"loss": 2.0})]
