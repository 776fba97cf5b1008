"""Cleaning of commit messages: what a task writer may see of one.

Removed, in the message and later looked for in the answer: hashes (Gerrit's `I…` too), links, issue
and pull-request numbers of GitHub, GitLab and Jira, e-mail addresses, trailers. Removed from the
message only: squash and merge noise, a subject said again, lists and signs of bots, CI marks, HTML
comments, headings and boxes of pull-request templates. The rest keeps its words and their order,
not its indentation.

Every step only takes away, and steps are repeated until nothing changes: so a clean message is
cleaned to itself, and nothing that `leak_in` finds is left in it.

Limits: English trailers and headings. A number that merely looks like an issue (`#1`, `bug 12`)
goes too; names of people in running text stay. A Go import path (`github.com/owner/name/sub`) is
code and stays; a path to a pull request, issue, commit or file on a host goes.
"""

import re
from typing import Final

__all__ = ["MAX_CHARACTERS", "clean_message", "leak_in"]

MAX_CHARACTERS: Final = 4000
"""As Repo2RLEnv caps its messages (reference/data.md, section 7)."""
READ_CHARACTERS: Final = 5 * MAX_CHARACTERS
"""Of a message; what stands behind is mostly lists written by tools."""
MAX_PASSES: Final = 40
"""Real messages settle in two or three; one that does not settle is nested brackets and no text."""

_TRAILER: Final = re.compile(r"^[A-Z][A-Za-z]*(?:-[A-Za-z]+)+:\s.*$", re.MULTILINE)
"""The form of a trailer. `Non-breaking: …` has it too, so it is no leak by itself."""
_KNOWN_TRAILER: Final = re.compile(
    r"^[ \t>*]*(?:[a-z]{1,30}(?:-[a-z]{1,30}){0,3}-by|cc|(?:change|commit|bug|issue|task|patch)-id"
    r"|reviewed-on|depends-on|in-reply-to|(?:closes|partial|related)-bug|git-svn-id|git-dch|bug|issue"
    r"|ticket|jira|test plan|differential revision|reviewers|subscribers|upstream-commit)"
    r"[ \t]*:[ \t].*$",
    re.IGNORECASE | re.MULTILINE,
)
_NOISE: Final = re.compile(
    r"^Merge (?:pull request|branch|branches|remote-tracking branch|tag|commit)\b.*$"
    r"|^This reverts commit\b.*$"
    r"|^\(?cherry[- ]picked from commit.*$"
    r"|^[ \t]*\*? ?(?:fixup!|squash!|amend!)[ \t].*$"
    r"|^[ \t]*[-=*_]{3,}[ \t]*$"
    r"|^[ \t]*[-*] \[[ xX]\] .*$"
    r"|^[ \t]*</?(?:details|summary|br|p|ul|ol|li|blockquote)\b[^<>\n]{0,200}>[ \t]*$"
    r"|^[ \t]*\[[^\]\n]{1,80}\]:[ \t]*\S.*$"
    r"|^updated-dependencies:[ \t]*$(?:\n[ \t-].*)*"
    r"|^[ \t]*- (?:release notes|changelog|commits|upgrade guide|maintainer changes)[ \t]*$"
    r"|^\W{0,9}generated (?:with|by) .*$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING: Final = re.compile(
    r"^[ \t]*(?:#{1,6}|\*\*)[ \t]*(?:description|summary|checklist|types? of changes?|motivation"
    r"(?: and context)?|context|background|overview|related issues?|fixes|test(?:ing|s| plan)?"
    r"|how (?:has this been|was this|to) test(?:ed)?|screenshots?(?: \(.{0,40}\))?"
    r"|breaking changes?"
    r"|additional (?:context|notes?|information)|proposed changes?|changes?(?: made)?|what|why|how"
    r"|what does this (?:pr|pull request) do|reviewer notes?|release notes?|notes?)"
    r"[?!:.* \t]{0,20}$",
    re.IGNORECASE | re.MULTILINE,
)
_COMMENT: Final = re.compile(r"<!--.{0,2000}?-->", re.DOTALL)
_CI: Final = re.compile(
    r"\[(?:skip ci|ci skip|no ci|skip actions|actions skip|ci full)\]|\*{3}NO_CI\*{3}",
    re.IGNORECASE,
)
_MARKDOWN_LINK: Final = re.compile(r"!?\[([^\[\]\n]{0,300})\]\([^()\n]{0,2000}\)")
_URL: Final = re.compile(
    r"\b(?:https?|ssh|git|ftps?|file)://[^\s)>\]]*|\bgit@[\w.-]{1,100}:\S+|\bwww\.\S+"
    r"|\bredirect\.github\.com\b[^\s)>\]]*"
    r"|\b(?:github|gitlab|bitbucket|codeberg)\.(?:com|org)(?:/[\w.-]{1,100}){2}/(?:-/)?"
    r"(?:pulls?|pull-requests|merge_requests|issues?|commits?|compare|discussions|blob|tree|actions"
    r"|releases)\b[^\s)>\]]*",
    re.IGNORECASE,
)
# GitHub: an owner has at most 39 characters, a repository 100.
_NUMBER: Final = re.compile(
    r"(?:(?<![\w&])(?:[\w.-]{1,39}/[\w.-]{1,100})?#\d+\b|(?<![\w&.])![1-9]\d*\b|\bGH-\d+\b"
    r"|\b(?:issues?|bugs?|tickets?|PRs?|MRs?|(?:pull|merge) requests?)[ -]?"
    r"(?:no\. ?|number )?[#!]?\d+\b)",
    re.IGNORECASE,
)
_STANDARDS: Final = "AES|BASE|CP|CVE|ED|EC|GPT|HTTP|IPV|ISO|MD|RFC|RSA|SHA|UTF|WCAG|X"
_KEY: Final = re.compile(
    rf"(?:^[ \t]*|(?<=[\[(]))(?!(?:{_STANDARDS})-)[A-Z][A-Z0-9]{{1,9}}-\d+(?=[\]):.,\s]|$)",
    re.MULTILINE,
)
"""A Jira issue, where such stand: before a subject, or in brackets. `UTF-8` is none."""
_CLOSES: Final = re.compile(
    r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|see(?: also)?|refs?|references|related to"
    r"|addresses"
    r"|backport(?: of)?|follow-?up (?:to|of|for)|part of|closing|fixing|resolving)"
    r"[:\s]{1,5}(?:issues?\s+|PRs?\s+|pull requests?\s+)?"
    + _NUMBER.pattern
    + r"(?:(?:\s*,\s*|\s+and\s+|\s*&\s*)"
    + _NUMBER.pattern
    + r")*",
    re.IGNORECASE,
)
_SHA: Final = re.compile(
    r"\b(?=[0-9a-f]{0,63}\d)(?=[0-9a-f]{0,63}[a-f])[0-9a-f]{7,64}\b"
    r"|\b(?:[0-9]{40}|I[0-9a-f]{40})\b"
)
_EMAIL: Final = re.compile(
    r"<?\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.[A-Za-z]{2,24}\b>?"
)
_TYPE: Final = re.compile(r"^[*\- ]{0,3}(?:[a-z]{2,12}(?:\([^()\n]{1,60}\))?!?: )?", re.IGNORECASE)
_EMPTY_BRACKETS: Final = re.compile(r"\([\s,;:]*\)|\[[\s,;:]*\]|<\s*>")

_LEAKS: Final = (
    ("url", _URL),
    ("number", _NUMBER),
    ("number", _KEY),
    ("sha", _SHA),
    ("email", _EMAIL),
    ("trailer", _KNOWN_TRAILER),
)
_STEPS: Final = (_COMMENT, _KNOWN_TRAILER, _NOISE, _HEADING, _CI)


def clean_message(message: str) -> str:
    """Return a commit message without leaks and noise, capped; empty if nothing is left."""
    text = message[:READ_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").strip()
    for _ in range(MAX_PASSES):
        cleaner = _tidy(_without_leaks(text))[:MAX_CHARACTERS].strip()
        if cleaner == text:
            return text
        text = cleaner
    return ""


def leak_in(text: str) -> str:
    """Return what leaks from a text, or nothing: `url`, `number` (of an issue or pull request),
    `sha`, `email`, `trailer`."""
    return next((name for name, pattern in _LEAKS if pattern.search(text)), "")


def _without_leaks(text: str) -> str:
    subject, _, body = text.partition("\n")
    text = f"{subject}\n{_TRAILER.sub('', body)}"
    for pattern in _STEPS:
        text = pattern.sub("", text)
    text = _MARKDOWN_LINK.sub(r"\1", text)
    for pattern in (_URL, _CLOSES, _NUMBER, _KEY, _SHA, _EMAIL):
        text = pattern.sub("", text)
    return _EMPTY_BRACKETS.sub("", text)


def _tidy(text: str) -> str:
    """Take away what removals leave: double blanks, lone punctuation, empty lines."""
    lines = [re.sub(r"[ \t]{2,}", " ", line).strip(" \t,;") for line in text.split("\n")]
    lines = [line if re.search(r"\w", line) else "" for line in lines]
    # GitHub's squash says the subject again, as the first of its points.
    subject = _TYPE.sub("", lines[0])
    lines[1:] = ["" if _TYPE.sub("", line) == subject else line for line in lines[1:]]
    text = re.sub(r"(?<! ) +(?=[.,;:](?:\s|\Z))", "", "\n".join(lines))
    return re.sub(r"\n{3,}", "\n\n", text).strip().lstrip(":,;.- ")
