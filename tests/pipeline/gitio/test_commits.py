"""Commit files: the same rows give the same bytes, and every character comes back."""

from pathlib import Path

import pyarrow as pa
import pytest

from awareness_pipeline.gitio import commits
from awareness_pipeline.gitio.commits import Grown, commit_file, read_commits, write_commits
from awareness_pipeline.records import Commit, FileChange

SEPARATORS = "form\x0cfeed, next\x85line, \u2028line and \u2029paragraph, \r return, \x00, 🦆"


def commit(number: int) -> Commit:
    return Commit(
        repo="owner/name",
        sha=f"{number:040x}",
        parent_sha=None,
        message=SEPARATORS,
        language="python",
        files_changed=("a b.py", SEPARATORS),
        additions=number,
        deletions=0,
        diff=f"+{SEPARATORS}\n" * 50,
        repo_id=2**63 - 1,
        parents=(),
        author_date="2024-01-01T00:00:00+00:00",
        committer_date="2024-01-01T00:00:00+00:00",
        files=(FileChange("a b.py", None, "added", "binary", None, None),),
        labels=("root",),
        truncated=False,
        encoding_lossy=False,
    )


@pytest.mark.parametrize("plain", [True, False])
def test_rows_come_back_equal(tmp_path: Path, plain: bool) -> None:
    path = tmp_path / ("7.jsonl" if plain else "7.jsonl.zst")
    rows = [commit(number) for number in range(500)]
    write_commits(path, rows, plain=plain)
    assert list(read_commits(path)) == rows
    assert commit_file(tmp_path, "7") == path


def test_a_plain_file_has_one_line_for_each_row(tmp_path: Path) -> None:
    path = tmp_path / "7.jsonl"
    write_commits(path, [commit(1), commit(2)], plain=True)
    assert path.read_bytes().count(b"\n") == 2


def test_compressed_bytes_are_the_same_every_time_and_small(tmp_path: Path) -> None:
    sizes = []
    for name in ("a.jsonl.zst", "b.jsonl.zst", "plain.jsonl"):
        rows = (commit(number) for number in range(50))
        write_commits(tmp_path / name, rows, plain=name == "plain.jsonl")
        sizes.append((tmp_path / name).stat().st_size)
    assert (tmp_path / "a.jsonl.zst").read_bytes() == (tmp_path / "b.jsonl.zst").read_bytes()
    assert sizes[0] * 5 < sizes[2]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("steps", [(0, 40), (1, 40), (7, 8, 9, 40), (39, 40), (40, 40), (0, 0, 3)])
@pytest.mark.parametrize("frame_bytes", [1, 9_000, 1 << 30])
def test_a_file_that_grows_has_the_bytes_of_one_written_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plain: bool,
    steps: tuple[int, ...],
    frame_bytes: int,
) -> None:
    monkeypatch.setattr(commits, "FRAME_BYTES", frame_bytes)
    monkeypatch.setattr(commits, "BLOCK_BYTES", 5_000)
    rows = [commit(number) for number in range(steps[-1])]
    suffix = ".jsonl" if plain else ".jsonl.zst"
    at_once = tmp_path / f"once{suffix}"
    tail = write_commits(at_once, rows, plain=plain)
    before, grown = 0, None
    for number, after in enumerate(steps):
        path = tmp_path / f"{number}{suffix}"
        told = write_commits(path, rows[before:after], plain=plain, after=grown)
        before, grown = after, Grown(path, told)
    assert path.read_bytes() == at_once.read_bytes()
    assert told == tail
    assert list(read_commits(path)) == rows


def test_frames_are_read_as_one_stream_by_others_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "FRAME_BYTES", 5_000)
    rows = [commit(number) for number in range(30)]
    write_commits(tmp_path / "a.jsonl.zst", rows, plain=False)
    write_commits(tmp_path / "a.jsonl", rows, plain=True)
    with (
        pa.OSFile(str(tmp_path / "a.jsonl.zst")) as file,
        pa.CompressedInputStream(file, "zstd") as stream,
    ):
        assert stream.read() == (tmp_path / "a.jsonl").read_bytes()


def test_a_damaged_last_frame_is_not_built_on(tmp_path: Path) -> None:
    path = tmp_path / "7.jsonl.zst"
    tail = write_commits(path, [commit(1), commit(2)], plain=False)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="zstd"):
        write_commits(tmp_path / "8.jsonl.zst", [], plain=False, after=Grown(path, tail))


@pytest.mark.parametrize("left", [0, 1, 100, -60, -1])
def test_a_torn_file_is_named_even_between_lines(tmp_path: Path, left: int) -> None:
    path = tmp_path / "7.jsonl.zst"
    write_commits(path, [commit(number) for number in range(30)], plain=False)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"7\.jsonl\.zst, line \d+: not a commit"):
        list(read_commits(path))


def test_a_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "7.jsonl.zst"
    write_commits(path, [commit(number) for number in range(30)], plain=False)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"7\.jsonl\.zst, line \d+: not a commit"):
        list(read_commits(path))


def test_a_line_that_is_no_commit_is_named(tmp_path: Path) -> None:
    path = tmp_path / "7.jsonl"
    write_commits(path, [commit(1)], plain=True)
    with path.open("ab") as file:
        file.write(b'{"repo": "cut')
    with pytest.raises(ValueError, match=r"7\.jsonl, line 2: not a commit"):
        list(read_commits(path))
