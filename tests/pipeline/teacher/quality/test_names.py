"""Names of code are told from prose by their form."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.teacher.quality.names import forms_of, literals_in, names_in, prose_of


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("retry_limit, loadUser and HTTPServer", ["retry_limit", "loadUser", "HTTPServer"]),
        ("UploadError in _private of __init__", ["UploadError", "_private", "__init__"]),
        ("Call run() on np.zeros or Foo::bar.", ["run", "np.zeros", "Foo::bar"]),
        ("in src/a/b.py and storage/up.py", ["src/a/b.py", "storage/up.py"]),
        ("./x or docs/ or a/b_c", ["./x", "docs", "a/b_c"]),
        ("upload.py with --dry-run", ["upload.py", "--dry-run"]),
        ("`limit` and `x = make_it(1)`", ["limit", "make_it"]),
        ("the 'load_user' call", ["load_user"]),
        ("once retry_limit twice retry_limit", ["retry_limit"]),
        ("$scope.x", ["$scope.x"]),
        ("The limit and/or client/server, e.g. A/B, i.e. 1/2", []),
        ("It is _not_ so, `.` and `..` and ``", []),
        ("GitHub, JavaScript, Node.js, iOS, IPv6, OAuth, MiB", []),
        ("IDs, URLs, JSON, utf8, sha256, don't, O'Brien", []),
        ("", []),
    ],
)
def test_what_is_a_name(text: str, names: list[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("wait 30 s, then 1,000 or 3.14 or 1_500", ["30", "1,000", "3.14", "1_500"]),
        ("say \"not found\" or 'gave up' or “no way”", ["not found", "gave up", "no way"]),
        ("`45` and `v0.9.0`", ["45", "v0.9.0"]),
        ("CVE-2025-59530, but x -30", ["30"]),
        ("at 5 times, the 2nd v2 in utf8, users' and others' don't", []),
    ],
)
def test_what_is_a_literal(text: str, literals: list[str]) -> None:
    assert literals_in(text) == literals


def test_a_name_is_found_by_its_parts_too() -> None:
    assert forms_of("np.zeros") == (frozenset({"np.zeros"}), frozenset({"np", "zeros"}))
    assert frozenset({"dry_run"}) in forms_of("--dry-run")
    assert frozenset({"1000"}) in forms_of("1,000")
    assert forms_of("src/a.py") == (frozenset({"src/a.py"}),)
    assert forms_of("limit") == (frozenset({"limit"}),)


def test_prose_is_what_names_leave() -> None:
    assert prose_of("Give retry_limit the name `x` in 30 s").split() == [
        *("Give", "the", "name", "in", "30", "s")
    ]


@settings(deadline=None)
@given(st.text(st.sampled_from("aB_.:/-`'\"$1 (),#>\n"), max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    assert Counter(prose_of(text).replace(" ", "")) <= Counter(text)
    for name in (*names_in(text), *literals_in(text)):
        assert name.strip()
        assert all(forms_of(name))


@pytest.mark.parametrize("unit", ["a.", "a/", "`", "'a ", "a_", "--a", "$", "1_", "a::", '"', "aB"])
def test_long_text_is_read_in_linear_time(unit: str) -> None:
    assert len(names_in(unit * 20_000)) <= 20_000
