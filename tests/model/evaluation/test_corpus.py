import subprocess
import sys
from importlib import metadata

import pytest

from awareness_model.evaluation import corpus
from awareness_model.evaluation.corpus import Package
from tests.model.evaluation.packages_world import packages


def body(seed, lines=12):
    return "".join(f"value_{seed}_{n} = {seed * 1000 + n} + offset\n" for n in range(lines))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    def written(**found):
        sources = {}
        for name, files in found.items():
            for path, text in files.items():
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(text)
            sources[name] = (tmp_path, list(files))
        monkeypatch.setattr(corpus, "_standard", dict)
        monkeypatch.setattr(corpus, "_installed", lambda: sources)
        return corpus.packages()

    return written


def test_files_come_sorted_and_tests_and_vendored_copies_stay_out(installed):
    files = {
        "a/core.py": body(1),
        "a/__init__.py": body(2),
        "a/tests/test_core.py": body(3),
        "a/_vendor/b.py": body(4),
        "a/thing_test.py": body(5),
        "a/latest.py": body(6),
    }
    (found,) = installed(a=files)
    assert [path for path, _ in found.files] == ["a/__init__.py", "a/core.py", "a/latest.py"]


def test_a_file_that_repeats_an_earlier_package_is_left_out(installed):
    same = {"b/one.py": body(1) + "more_of_this_line = 1\n", "b/two.py": body(8), "b/x.py": body(9)}
    first, second = installed(a={"a/one.py": body(1), "a/two.py": body(2)}, b=same)
    assert [path for path, _ in first.files] == ["a/one.py", "a/two.py"]
    assert [path for path, _ in second.files] == ["b/two.py", "b/x.py"]


def test_too_small_too_large_and_unreadable_files_are_left_out(installed, tmp_path):
    files = {"a/one.py": body(1), "a/two.py": body(2), "a/tiny.py": "x = 1\n"}
    files["a/huge.py"] = body(7, 2_000)
    files["a/latin.py"] = body(3)
    installed(a=files)
    (tmp_path / "a/latin.py").write_bytes(b"# \xe9\n" * 100)
    (found,) = corpus.packages()
    assert [path for path, _ in found.files] == ["a/one.py", "a/two.py"]


def test_of_many_files_those_nearest_the_root_are_read(installed):
    files = {f"a/deep/{n}.py": body(n) for n in range(5)} | {"a/near.py": body(9)}
    installed(a=files)
    (found,) = corpus.packages(most_files=3)
    assert [path for path, _ in found.files] == ["a/deep/0.py", "a/deep/1.py", "a/near.py"]


def test_packages_are_those_of_the_standard_library_and_of_distributions(tmp_path, monkeypatch):
    for path in ("email/__init__.py", "email/parser.py", "argparse.py", "notes/plain.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    monkeypatch.setattr(corpus.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    found = {name: sorted(paths) for name, (_, paths) in corpus._standard().items()}
    modules = ["email/__init__.py", "email/parser.py"]
    assert found == {"python-modules": ["argparse.py"], "python.email": modules}
    monkeypatch.setattr(corpus, "distributions", lambda: [metadata.distribution("pluggy")])
    ((name, (root, paths)),) = corpus._installed().items()
    assert name == "pluggy"
    assert "pluggy/_manager.py" in paths
    assert (root / "pluggy/_manager.py").is_file()


def test_kin_stand_on_one_side_and_standard_packages_each_on_their_own():
    assert corpus.family("dagster-graphql") == corpus.family("Dagster") == "dagster"
    assert corpus.family("httpx2") == "httpx"
    assert corpus.family("python.asyncio") != corpus.family("python.email")
    names = [f"name{letter}" for letter in "abcdefghijklmnopqrstuvwxyz" * 20]
    assert {corpus.side(name) for name in names} == {"train", "held_out"}
    assert corpus.side("dagster-graphql") == corpus.side("dagster")


def test_functions_are_whole_and_carry_their_decorators():
    text = "@wrapped\ndef one(a):\n    b = a\n    return b\n\n\ndef two():\n    pass\n"
    (found,) = corpus.functions(Package("p", "", (("p/a.py", text),)))
    assert (found.name, found.text) == ("one", "@wrapped\ndef one(a):\n    b = a\n    return b\n")


def test_packages_written_and_read_are_the_same(tmp_path):
    found = packages()
    corpus.write_packages(tmp_path / "corpus.jsonl", found)
    again = corpus.read_packages(tmp_path / "corpus.jsonl")
    assert again == found
    assert corpus.corpus_digest(again) == corpus.corpus_digest(found)
    assert corpus.corpus_digest(found[:-1]) != corpus.corpus_digest(found)


def test_what_this_interpreter_cannot_parse_is_none():
    assert corpus.parsed("print 'old'\n") is None
    assert corpus.parsed("x = 'é'\n") is None
    assert corpus.parsed("x = " + "(" * 5_000 + ")" * 5_000) is None


def test_corpus_targets_and_needles_need_only_the_standard_library():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import awareness_model.evaluation.targets, awareness_model.evaluation.needles\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "assert new - {'awareness_model'} <= sys.stdlib_module_names, new\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
