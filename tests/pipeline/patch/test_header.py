"""Headers of patches: paths, status, modes and blobs."""

import pytest

from awareness_pipeline.patch.header import read_header, unquote


def test_an_ordinary_header() -> None:
    header = read_header(b"a/x y.c b/x y.c\nindex 11..22 100755\n--- a/x y.c\t\n+++ b/x y.c\t")
    assert (header.path, header.old_path, header.status) == (b"x y.c", b"x y.c", "modified")
    assert (header.mode, header.blobs) == (b"100755", (b"11", b"22"))


def test_a_path_may_look_like_the_space_between_both() -> None:
    assert read_header(b"a/b/ b/x b/b/ b/x\nold mode 100644\nnew mode 100755").path == b"b/ b/x"


@pytest.mark.parametrize(
    ("lines", "status", "mode"),
    [
        (b"new file mode 120000\nindex 00..22", "added", b"120000"),
        (b"deleted file mode 100644\nindex 11..00", "deleted", b"100644"),
        (b"old mode 100644\nnew mode 100755\nindex 11..22", "modified", b"100755"),
    ],
)
def test_status_and_mode(lines: bytes, status: str, mode: bytes) -> None:
    header = read_header(b"a/f b/f\n" + lines)
    assert (header.status, header.mode, header.path) == (status, mode, b"f")


@pytest.mark.parametrize(("word", "status"), [(b"rename", "renamed"), (b"copy", "copied")])
def test_a_move_names_both_paths(word: bytes, status: str) -> None:
    lines = b'similarity index 90%%\n%s from old name\n%s to "new\\tname"' % (word, word)
    header = read_header(b'a/old name "b/new\\tname"\n' + lines + b"\nindex 11..22 100644")
    assert (header.old_path, header.path) == (b"old name", b"new\tname")
    assert (header.status, header.mode) == (status, b"100644")


def test_binary_files_are_said_to_be() -> None:
    lines = b"new file mode 100644\nindex 00..22\nBinary files /dev/null and b/f differ"
    assert read_header(b"a/f b/f\n" + lines).is_binary
    assert not read_header(b"a/f b/f\nindex 11..22 100644\n--- a/f\n+++ b/f").is_binary


@pytest.mark.parametrize(
    ("quoted", "plain"),
    [
        (b"plain path", b"plain path"),
        (b'"a\\tb"', b"a\tb"),
        (b'"quo\\"te"', b'quo"te'),
        (b'"back\\\\slash\\\\n"', b"back\\slash\\n"),
        (b'"\\303\\244"', "ä".encode()),
        (b'"', b'"'),
    ],
)
def test_paths_lose_their_quoting(quoted: bytes, plain: bytes) -> None:
    assert unquote(quoted) == plain
