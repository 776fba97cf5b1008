"""The checks of `make check` that are our own can fail, and fail only for their reason."""

import json
import re
from pathlib import Path

import pytest

from tests import dependency_audit, secret_scan


def audit(*rows: dict[str, object]) -> str:
    return json.dumps({"dependencies": list(rows), "fixes": []})


SOUND = {"name": "one", "version": "1.0", "vulns": []}
WEAK = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "three", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("said", "status", "last"),
    [
        (audit(SOUND), 0, "audit: 1 packages, 0 weaknesses"),
        (audit(SOUND, WEAK), 1, "audit: 2 packages, 1 weaknesses"),
        (audit(SOUND, UNKNOWN), 0, "audit: 1 packages, 0 weaknesses; nothing is known of 1"),
        (audit(UNKNOWN), 0, "audit: nothing was audited: no data on any of 1 packages"),
        ("", 0, "audit: nothing was audited: No module named pip_audit"),
    ],
)
def test_an_audit_fails_for_weaknesses_alone(said: str, status: int, last: str) -> None:
    found, lines = dependency_audit.judged(said, "trouble\nNo module named pip_audit\n")
    assert (found, lines[-1]) == (status, last)


def test_a_weakness_is_named_with_its_remedy() -> None:
    assert dependency_audit.judged(audit(WEAK), "")[1][0] == "two 2.0: PYSEC-1, mended in 2.1"


def test_a_secret_in_a_file_of_the_project_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secret_scan, "ROOT", tmp_path)
    monkeypatch.setattr(secret_scan, "files", lambda: ["a.py"])
    (tmp_path / "a.py").write_text("x = 1\n")
    assert secret_scan.main(["--update"]) == 0
    assert secret_scan.main([]) == 0
    key = "AKIA" + "Z7Q4W2E8R5T1Y6U3"
    (tmp_path / "a.py").write_text(f"x = 1\nkey = '{key}'\n")
    assert secret_scan.main([]) == 1
    assert "a.py:2: looks like a secret" in capsys.readouterr().out
    assert secret_scan.main(["--update"]) == 0
    (tmp_path / "a.py").write_text(f"\n\nx = 1\nkey = '{key}'\n")
    assert secret_scan.main([]) == 0, "a line that moved is no new secret"


SECURITY = (secret_scan.ROOT / "docs" / "security.md").read_text()


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", SECURITY)
    assert len(named) > 25
    for path, test in named:
        text = (secret_scan.ROOT / path).read_text()
        assert not test or f"def {test}(" in text, f"{path}::{test}"


def test_every_module_that_the_threat_model_names_is_there() -> None:
    cells = [row.split("|")[3] for row in SECURITY.splitlines() if row.count("|") == 5]
    named = [path for cell in cells for path in re.findall(r"`([\w/.]+)`", cell)]
    assert len(named) > 25
    for path in named:
        places = (secret_scan.ROOT / path, secret_scan.ROOT / "awareness_pipeline" / path)
        assert any(place.exists() for place in places), path
