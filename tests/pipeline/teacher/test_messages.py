"""Commit messages lose what would leak and keep what they say."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awareness_pipeline.teacher.messages import MAX_CHARACTERS, clean_message, leak_in


@pytest.mark.parametrize(
    ("message", "cleaned"),
    [
        ("Keep as it is\n\nWith a body, 1.2.3 and `x = 1`.\n", None),
        ("Add export (#123)\n", "Add export"),
        ("Fix crash (owner/repo#12, GH-4)", "Fix crash"),
        ("Fix #12: crash on start", "crash on start"),
        ("Stop the crash\n\nCloses #1, #2 and owner/repo#33.", "Stop the crash"),
        ("Stop the crash, fixes issue 12", "Stop the crash"),
        ("Undo abc1234 and 0123456789012345678901234567890123456789", "Undo and"),
        ("Read [the guide](https://x.example/1) at https://x.example", "Read the guide at"),
        ("Say so\r\n\r\nSigned-off-by: A <a@b.example>\r\nReviewed-by: B", "Say so"),
        ("Say so\n\nCo-authored-by: A <a@b.example>\nChange-Id: I123", "Say so"),
        ("Write to <a.b@c.example> first", "Write to first"),
        ("Merge pull request #4 from me/it\n\nThe real title", "The real title"),
        ('Revert "Add x"\n\nThis reverts commit cf4b9f5d856d.', 'Revert "Add x"'),
        ("Tidy [skip ci]\n\n* fixup! tidy\n- [x] tested\n---\nmore", "Tidy\n\nmore"),
        ("(cherry picked from commit 1234567)", ""),
        ("", ""),
        ("Fixes: the crash on start", None),
        ("Non-breaking: a subject is no trailer", None),
        ("Use C#7, &#39; and decade or 1234567", None),
        ("Fix a crash (#12) (#13)", "Fix a crash"),
        ("Tidy, see [#12](https://github.com/a/b/issues/12) first", "Tidy, first"),
        ("Port redirect.github.com/a/b/pull/4 to main", "Port to main"),
        ("Port github.com/a/b/commit/0123abc to main", "Port to main"),
        ("Use github.com/pkg/errors in github.com/a", None),
        ("Take lodash@4.17.21 and @types/node", None),
        ("HADOOP-1234. Stop the crash [JIRA-7]", "Stop the crash"),
        ("UTF-8 and SHA-256: read both", None),
        ("Stop the crash !12 (GH-4; !13)", "Stop the crash"),
        ("Make it fast!\n\nChange-Id: I0123456789012345678901234567890123456789", "Make it fast!"),
        ("Take I0123456789abcdef0123456789abcdef01234567", "Take"),
        ("Say so\n\n> Signed-off-by: A\nCc: b\ngit-svn-id: x", "Say so"),
        ("Signed-off-by: Ada", ""),
        (
            "Say so\n\n## What does this PR do?\n\nIt says so.\n\n**Checklist:**\n- [ ] a",
            "Say so\n\nIt says so.",
        ),
        ("Say so\n\n<!-- tell\nmore -->\n<details>\nmore\n</details>", "Say so\n\nmore"),
        ("Say so\n\n[1]: https://x.example\n(cherry picked from commit 1234567)", "Say so"),
        ("Bumps [x](https://github.com/a/x) from 1.0 to 2.0.", "Bumps x from 1.0 to 2.0."),
        ("((((Keep)))) [[()]] this", "((((Keep)))) this"),
        ("Backport #12 and follow-up to a/b#3: quote paths", "and: quote paths"),
        ("😀", ""),
        ("fix(tree): stop it (#1)\n\n* fix: stop it\n* Stop", "fix(tree): stop it\n\n* Stop"),
        ("Read .git and :name fixes #3 .", "Read .git and :name."),
        ("Fix it (#1)\n\n* Fix it\n\n* Test it", "Fix it\n\n* Test it"),
        ("Bump x\n\n- [Commits](http://x)\n", "Bump x"),
        ("Bump x\n\n---\nupdated-dependencies:\n- name: x\n  y: z\n...", "Bump x"),
        ("Say so\n\n🤖 Generated with [Tool](https://x.example)", "Say so"),
    ],
)
def test_leaks_go_and_words_stay(message: str, cleaned: str | None) -> None:
    assert clean_message(message) == (message.strip() if cleaned is None else cleaned)


WORDS = """
    #12 (#12) a/b#3 GH-4 !5 PR issue bug no. 12 , and fixes see: closes refs https:// http://x.y
    deadbee1 0123456789 I abcdef a@b.cd git@ : / - Signed-off-by: Change-Id: Cc: [x](y) ( ) [ ] < >
    <!-- --> Merge branch fixup! # ## Summary ** - [x] --- AB-12 redirect.github.com/ pull/ issues/
    github.com/a/b/ word . ; ! & UTF-8 ghp www.
"""
PIECES = st.sampled_from(WORDS.split())
MESSAGES = st.lists(PIECES | st.text(max_size=3), max_size=14).flatmap(
    lambda pieces: st.lists(
        st.sampled_from(["", " ", "\n", "\n\n"]), min_size=len(pieces), max_size=len(pieces)
    ).map(lambda gaps: "".join(map("".join, zip(pieces, gaps, strict=True))))
)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_a_clean_message_has_no_leak_and_is_clean(message: str) -> None:
    cleaned = clean_message(message)
    assert leak_in(cleaned) == ""
    assert clean_message(cleaned) == cleaned


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "(",
            "()",
            "((",
            "[",
            "<!--",
            "\n",
            " ",
            "a.",
            "a/",
            "#1 ",
            "fixes #1 , ",
            "-",
            "## what  ",
        ),
        *("a@b.", "0a", "x\n\n", "Cc: ", "https://", "[a](", "😀", "! ", "\r", "## what  "),
    ],
)
def test_hostile_messages_end_clean(unit: str) -> None:
    cleaned = clean_message(unit * 100_000)
    assert len(cleaned) <= MAX_CHARACTERS
    assert leak_in(cleaned) == ""
    assert clean_message(cleaned) == cleaned


def test_nothing_that_leaks_is_left() -> None:
    message = "Do it, see #3, https://github.com/a/b/pull/3 and deadbee1 (PR 7)\n\nFixes: GH-12"
    assert leak_in(message)
    assert leak_in(clean_message(message)) == ""


def test_a_message_is_capped() -> None:
    assert len(clean_message("word " * 5000)) <= MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("See https://x.example", "url"),
        ("See www.x.example", "url"),
        ("As asked in #12", "number"),
        ("As asked in issue 12", "number"),
        ("As in deadbee1", "sha"),
        ("As asked in !12", "number"),
        ("HADOOP-1234: stop", "number"),
        ("Write to ada@example.org", "email"),
        ("Do it\nSigned-off-by: Ada", "trailer"),
        ("Do it\nChange-Id: x", "trailer"),
        ("Fixes: the crash", ""),
        ("Install lodash@4.17.21 with UTF-8", ""),
        ("Change 4 lines in 12 files, version 1.2.3", ""),
        ("The facade feeds decade", ""),
    ],
)
def test_leaks_are_named(text: str, leak: str) -> None:
    assert leak_in(text) == leak
