"""What a text names of code: identifiers, paths, options, and literals (numbers, quoted strings).

A word counts as a name by its form: `snake_case`, `camelCase`, `PascalCase`, `HTTPServer`, dotted
(`a.b`, `A::b`), called (`run()`), a path, an option (`--dry-run`), or one word in backticks. A
number counts as a literal from two digits on.

Limits: a plain word (`limit`) is no name, even where code calls something so. Product names of the
same form (`GitHub`) are told apart by a short list; one that is not in it counts as a name.
"""

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["forms_of", "literals_in", "names_in", "prose_of"]

_PRODUCT_NAMES: Final = """
    airflow appveyor asp.net bibtex bitbucket circleci couchdb cpython d3.js dockerhub dropbox
    dynamodb ecmascript elasticsearch express.js freebsd github gitlab gib graphql intellij ios ipad
    ipados iphone ipv4 ipv6 javascript jetbrains jquery jruby kb kib latex linkedin macos mariadb mb
    mib mingw mongodb mysql netbsd next.js node.js nosql numpy nuxt.js oauth openai openbsd opengl
    openssl openstack paypal phd postgresql powershell pypi pytorch rabbitmq readme scipy sqlite
    stackoverflow tensorflow tex three.js tib typescript vscode vue.js webassembly webgl wordpress
    youtube
"""
_PRODUCTS: Final = frozenset(_PRODUCT_NAMES.split())
_WORD: Final = r"[A-Za-z_$]\w{0,100}"
_TOKEN: Final = re.compile(
    r"`(?P<ticked>[^`\n]{1,300})`"
    r"|\"(?P<double>[^\"\n]{2,200})\"|(?<!\w)'(?P<single>[^'\n]{2,200})'(?!\w)"
    r"|“(?P<curly>[^“”\n]{2,200})”"
    r"|(?<![\w-])(?P<option>--[a-z][\w-]{1,60})"
    r"|(?<![\w/.@+-])(?P<path>(?:\.{0,2}/)?(?:[\w.@+-]{1,100}/){1,20}[\w.@+-]{0,100})"
    rf"|(?<!\w)(?P<dotted>{_WORD}(?:(?:\.|::|->|\#){_WORD}){{1,10}})(?:\(\))?"
    rf"|(?<!\w)(?P<called>{_WORD})\(\)"
    rf"|(?<!\w)(?P<word>{_WORD})"
    r"|(?<![\w.])(?<!\w-)(?P<number>\d[\d_]{0,30}(?:[.,]\d{1,30}){0,4})(?!\w)"
)
_HUMP: Final = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]{2}")
_EMPHASIS: Final = re.compile(r"_[^_]+_")
"""Markdown's."""
_ABBREVIATION: Final = re.compile(r"[A-Za-z](?:\.[A-Za-z])+")
_SEPARATOR: Final = re.compile(r"\.|::|->|#")


def names_in(text: str) -> list[str]:
    """Return the code-like names of a text, each once, in order."""
    return list(dict.fromkeys(name for kind, name, _ in _found(text) if kind == "name"))


def literals_in(text: str) -> list[str]:
    """Return the numbers of two digits or more and the quoted strings, each once, in order."""
    return list(dict.fromkeys(name for kind, name, _ in _found(text) if kind == "literal"))


def prose_of(text: str) -> str:
    """Return the text without what it names of code."""
    kept, at = [], 0
    for kind, _, (start, end) in _found(text):
        if kind == "name":
            kept.append(text[at:start])
            at = max(at, end)
    return " ".join([*kept, text[at:]])


def forms_of(name: str) -> tuple[frozenset[str], ...]:
    """Return the ways to find a name: it is there if all of any one of these sets is there.

    As it is written; a dotted name also by its parts, an option by its word, a number without its
    separators.
    """
    forms = [frozenset((name,))]
    if name.startswith("--"):
        word = name[2:]
        forms += [frozenset((word,)), frozenset((word.replace("-", "_"),))]
    elif name[0].isdigit():
        forms.append(frozenset((re.sub(r"[_,]", "", name),)))
    elif "/" not in name and " " not in name and _SEPARATOR.search(name):
        forms.append(frozenset(part for part in _SEPARATOR.split(name) if part))
    return tuple(dict.fromkeys(form for form in forms if form))


def _found(text: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield kind (`name` or `literal`), what is named, and where it stands."""
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup)
        content = match[kind]
        if kind == "ticked":
            for one in _in_ticks(content.strip()):
                yield *one, match.span()
        elif kind in ("double", "single", "curly"):
            yield ("name" if _is_name(content) else "literal"), content.strip(), match.span()
        elif kind == "number":
            if sum(map(str.isdigit, content)) > 1:
                yield "literal", content, match.span()
        elif kind in ("option", "called") or (kind == "path" and _is_path(content)):
            yield "name", content.rstrip("./") if kind == "path" else content, match.span()
        elif kind in ("dotted", "word") and _is_name(content):
            yield "name", content, match.span()


def _in_ticks(content: str) -> Iterator[tuple[str, str]]:
    """Yield what stands between backticks: one word is a name; of more, those that look so."""
    if not re.search(r"\w", content):
        return
    if not re.search(r"[\s()=,;{}\"'`]", content):
        yield ("literal" if re.match(r"v?\d", content) else "name"), content
        return
    for kind, name, _ in _found(content.replace("`", " ")):
        yield kind, name


def _is_name(word: str) -> bool:
    if word.lower() in _PRODUCTS or not re.fullmatch(r"[\w$.:#>-]+", word):
        return False
    if _SEPARATOR.search(word) and not _ABBREVIATION.fullmatch(word):
        return re.fullmatch(rf"{_WORD}(?:(?:\.|::|->|\#){_WORD})*", word) is not None
    if not word.isidentifier() or _EMPHASIS.fullmatch(word) or not any(map(str.isalpha, word)):
        return False
    return "_" in word or _HUMP.search(word) is not None


def _is_path(path: str) -> bool:
    """Tell a path from `and/or` and `1/2`: by a suffix, three parts, an underscore or its ends."""
    parts = [part for part in path.split("/") if part.strip(".")]
    marked = path.startswith(("./", "../", "/")) or path.endswith("/")
    suffixed = bool(parts) and re.search(r"\w\.[A-Za-z]\w{0,7}$", parts[-1]) is not None
    letters = any(map(str.isalpha, path))
    return letters and bool(parts) and (marked or suffixed or len(parts) > 2 or "_" in path)
