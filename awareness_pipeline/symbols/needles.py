"""The opening of a test that compares a constant with its value, in the constant's own language.

The snippet names the constant's true module, so a reader that remembers the file can go on with
the literal. No snippet is made where the value could be guessed: numbers of fewer than three
significant digits, strings of fewer than three letters or digits or that the name already tells.

Limits: a literal is compared as it is written; the snippet is a beginning, never run.
"""

import posixpath
import re
from pathlib import PurePosixPath
from typing import Final

from awareness_pipeline.symbols.modules import import_name
from awareness_pipeline.symbols.syntax import Definition

__all__ = ["needle_prompt", "worth_asking"]

MAX_STRING: Final = 40
MIN_SIGNIFICANT: Final = 3
_QUOTES: Final = "\"'`"
_JS_EXPORT: Final = re.compile(r"^\s*export\b", re.MULTILINE)


def needle_prompt(constant: Definition, path: str, language: str, text: str, package: str) -> str:
    """Return the snippet that ends where the constant's value is due; empty where there is none.

    `package` is the name in the package clause (Go); `text` the file that defines the constant.
    """
    literal = constant.literal
    if constant.kind != "constant" or literal is None or not worth_asking(constant.name, literal):
        return ""
    if language == "Python":
        prompt = _python(constant.name, path)
    elif language == "JavaScript":
        prompt = _javascript(constant.name, path, text)
    else:
        prompt = _go(constant.name, path, package)
    return "" if literal.strip(_QUOTES) in prompt else prompt


def worth_asking(name: str, literal: str) -> bool:
    """Tell whether a literal is long enough, and not told by its name, so that it is no guess."""
    if literal[0] not in _QUOTES:
        digits = "".join(character for character in literal if character.isalnum())
        return len(digits.strip("0")) >= MIN_SIGNIFICANT
    content = literal.strip(_QUOTES)
    letters = "".join(character for character in content if character.isalnum()).lower()
    told = "".join(character for character in name if character.isalnum()).lower()
    return (
        len(letters) >= MIN_SIGNIFICANT
        and len(content) <= MAX_STRING
        and "\n" not in content
        and letters not in told
        and told not in letters
    )


def _python(name: str, path: str) -> str:
    module = import_name(path)
    if not module or name.startswith("_"):
        return ""
    test = f"tests/test_{module.rpartition('.')[2]}.py"
    return f"# {test}\nfrom {module} import {name}\n\nassert {name} == "


def _javascript(name: str, path: str, text: str) -> str:
    if not re.search(rf"\bexports?\b[^;]*\b{re.escape(name)}(?![\w$])", text):
        return ""
    test = f"test/{PurePosixPath(path).stem}.test.js"
    where = posixpath.relpath(path, posixpath.dirname(test))
    if _JS_EXPORT.search(text):
        take = f"import {{ {name} }} from '{where}';"
    else:
        take = f"const {{ {name} }} = require('{PurePosixPath(where).with_suffix('')}');"
    return f"// {test}\n{take}\n\nassert.strictEqual({name}, "


def _go(name: str, path: str, package: str) -> str:
    if not package or package == "main" or path.endswith("_test.go"):
        return ""
    test = PurePosixPath(path).with_name(f"{PurePosixPath(path).stem}_test.go")
    if name[0].isupper():
        return f"// {test}\npackage {package}_test\n\nif {package}.{name} != "
    return f"// {test}\npackage {package}\n\nif {name} != "
