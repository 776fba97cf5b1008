"""Names exist where a commit's tree holds them, whatever other commits hold."""

from collections.abc import Collection
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode

from awareness_pipeline.gitio import vocabulary
from awareness_pipeline.gitio.repository import BrokenRepository, NotARepository
from awareness_pipeline.gitio.vocabulary import names_at
from tests.pipeline.gitrepo import PICTURE, SYMLINK, Entry, Snap, git, make_repo

SNAPS = [
    Snap(
        b"First\n",
        {
            b"src/upload.py": b"def retry_upload(limit=30):\n    raise Error('not found')\n",
            b"deep/er/notes.md": b"Pass --dry-run to load.users\n",
            b"picture.png": PICTURE + b"pixelName",
            b"vendor/x/y.go": b"package vendoredName\n",
            b"go.sum": b"lockedName v1\n",
            b"link": Entry(b"linkedName", SYMLINK),
            b"big.txt": b"hugeName " + b"x" * 1_000_000,
            b"late.txt": b"lateName\n" * 2000 + b"\0",
            b"empty": b"",
        },
    ),
    Snap(b"Second\n", {b"src/upload.py": b"def send_blocks(): ...\n"}),
    Snap(b"Third\n", {b"src/upload.py": None, b"src/added_later.py": b"newest_name = 1\n"}),
]
WANTED = (
    *("retry_upload", "limit", "30", "not found", "--dry-run", "load.users", "users"),
    *("upload", "upload.py", "src/upload.py", "er/notes.md", "vendor", "big.txt"),
    *("send_blocks", "newest_name", "added_later", "retry", "Limit", "rc/upload.py"),
    *("pixelName", "vendoredName", "lockedName", "linkedName", "hugeName", "lateName"),
)
ALWAYS = {"--dry-run", "load.users", "users", "er/notes.md", "vendor", "big.txt"}
UPLOAD = {"upload", "upload.py", "src/upload.py"}


@pytest.fixture
def repo(tmp_path: Path) -> tuple[Path, list[str]]:
    path = tmp_path / "r.git"
    return path, make_repo(path, SNAPS)


def test_each_commit_has_its_own_names(repo: tuple[Path, list[str]]) -> None:
    path, shas = repo
    first, second, third = names_at(path, dict.fromkeys(shas, WANTED)).values()
    assert first == ALWAYS | UPLOAD | {"retry_upload", "limit", "30", "not found"}
    assert second == ALWAYS | UPLOAD | {"send_blocks"}
    assert third == ALWAYS | {"newest_name", "added_later"}


def test_only_what_was_asked_of_a_commit_is_answered(repo: tuple[Path, list[str]]) -> None:
    path, (first, second, _) = repo
    asked: dict[str, Collection[str]] = {first: ["limit"], second: ["users"]}
    assert names_at(path, asked) == {first: {"limit"}, second: {"users"}}
    assert names_at(path, {}) == {}


def test_answers_do_not_depend_on_order_or_company(repo: tuple[Path, list[str]]) -> None:
    path, shas = repo
    together = names_at(path, dict.fromkeys(reversed(shas), WANTED))
    assert together == {sha: names_at(path, {sha: WANTED})[sha] for sha in shas}


def test_a_shared_file_is_read_once(
    repo: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, shas = repo
    read: list[str] = []
    real = vocabulary.read_entry

    def counted(repository: object, child: object, name: str, most: int) -> object:
        read.append(name)
        return real(repository, child, name, most)  # type: ignore[arg-type]

    monkeypatch.setattr(vocabulary, "read_entry", counted)
    names_at(path, dict.fromkeys(shas, WANTED))
    assert read.count("deep/er/notes.md") == 1
    assert read.count("src/upload.py") == 2
    read.clear()
    monkeypatch.setattr(vocabulary, "MAX_KEPT", 1)
    forgetful = names_at(path, dict.fromkeys(shas, WANTED))
    assert read.count("deep/er/notes.md") == 3
    monkeypatch.undo()
    assert forgetful == names_at(path, dict.fromkeys(shas, WANTED))


def commit_of(path: Path, tree: pygit2.Oid) -> str:
    me = pygit2.Signature("a", "a@example.org", 0, 0)
    return str(pygit2.Repository(str(path)).create_commit(None, me, me, "x", tree, []))


def test_a_tree_that_unfolds_without_end_is_cut(
    repo: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = repo
    opened = pygit2.Repository(str(path))
    builder = opened.TreeBuilder()
    builder.insert("f.txt", opened.create_blob(b"boomName\n"), FileMode.BLOB)
    tree = builder.write()
    for _ in range(70):
        builder = opened.TreeBuilder()
        for name in ("a", "b", "c", "d"):
            builder.insert(name, tree, FileMode.TREE)
        tree = builder.write()
    builder = opened.TreeBuilder(tree)
    builder.insert("A.txt", opened.create_blob(b"firstName\n"), FileMode.BLOB)
    builder.insert("z.txt", opened.create_blob(b"lastName\n"), FileMode.BLOB)
    sha = commit_of(path, builder.write())
    monkeypatch.setattr(vocabulary, "MAX_FILES", 2_000)
    found = names_at(path, {sha: ["boomName", "firstName", "lastName"]})
    assert found == {sha: {"firstName"}}


@pytest.mark.parametrize(
    ("limit", "most", "expected"),
    [
        ("MAX_FILES", 3, {"one", "two"}),
        ("MAX_FILES", 4, {"one", "two", "three"}),
        ("MAX_TREE_CHARACTERS", 9, {"one", "two"}),
        ("MAX_TREE_CHARACTERS", 15, {"one", "two", "three"}),
    ],
)
def test_beyond_its_limits_a_tree_has_no_names_and_sharing_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, expected: set[str]
) -> None:
    path = tmp_path / "r.git"
    files = {b"a/1": b"one\n", b"a/2": b"two\n", b"b": b"three\n"}
    shas = make_repo(
        path, [Snap(b"a\n", {b"a/1": b"one\n", b"a/2": b"two\n"}), Snap(b"b\n", files)]
    )
    monkeypatch.setattr(vocabulary, limit, most)
    names = ["one", "two", "three"]
    assert names_at(path, {shas[1]: names}) == {shas[1]: expected}
    assert names_at(path, dict.fromkeys(shas, names))[shas[1]] == expected
    assert names_at(path, dict.fromkeys(reversed(shas), names))[shas[1]] == expected


@pytest.mark.parametrize(("limit", "most"), [("MAX_FILES", 4), ("MAX_TREE_CHARACTERS", 12)])
def test_a_folder_that_was_cut_in_one_tree_is_whole_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    path = tmp_path / "r.git"
    folder: dict[bytes, Entry | bytes | None] = {b"m/1": b"one\n", b"m/2": b"two\n"}
    more: dict[bytes, Entry | bytes | None] = {b"a": b"first\n", b"b": b""}
    whole, cut = make_repo(path, [Snap(b"a\n", folder), Snap(b"b\n", more)])
    monkeypatch.setattr(vocabulary, limit, most)
    found = names_at(path, {cut: ["one", "two"], whole: ["one", "two"]})
    assert found == {cut: {"one"}, whole: {"one", "two"}}


def test_hostile_files_and_names_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "r.git"
    files = {b"line.txt": b"a." * 400_000 + b" end_name", b"bad.txt": b"\xff\xfe caf\xe9 okName\n"}
    many = {b"d%d/f%d" % (n % 50, n): b"" for n in range(5_000)}
    (sha,) = make_repo(path, [Snap(b"a\n", {**files, **many})])
    wanted = ["a.a.a.b", "end_name", "okName", "x" * 100_000, "(", "f4999", "d7/f57"]
    assert names_at(path, {sha: wanted})[sha] == {"end_name", "okName", "f4999", "d7/f57"}


def test_a_name_that_could_leave_a_folder_is_passed_over(repo: tuple[Path, list[str]]) -> None:
    path, _ = repo
    opened = pygit2.Repository(str(path))
    raw = b"100644 ..\0" + opened.create_blob(b"outsideName\n").raw
    sha = commit_of(path, opened.odb.write(pygit2.enums.ObjectType.TREE, raw))
    assert names_at(path, {sha: ["outsideName"]}) == {sha: set()}


def test_what_a_partial_clone_lacks_has_no_names(repo: tuple[Path, list[str]]) -> None:
    path, shas = repo
    blob = git(path, "rev-parse", f"{shas[0]}:src/upload.py").decode().strip()
    (path / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(BrokenRepository, match=blob):
        names_at(path, {shas[0]: WANTED})
    (path / "omitted").write_text(f"{blob} -\n")
    assert names_at(path, {shas[0]: WANTED})[shas[0]] == ALWAYS | UPLOAD


def test_missing_commits_and_repositories_have_their_own_errors(
    repo: tuple[Path, list[str]],
) -> None:
    path, _ = repo
    with pytest.raises(BrokenRepository, match="0000"):
        names_at(path, {"0" * 40: ["x"]})
    with pytest.raises(BrokenRepository, match="main"):
        names_at(path, {"no sha, main": ["x"]})
    with pytest.raises(NotARepository):
        names_at(path.parent / "nowhere", {})
