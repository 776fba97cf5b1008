"""Known weaknesses of what we depend on: `make audit`, which `make check` calls and survives.

pip-audit asks PyPI's vulnerability data about every line of `constraints.txt`. Without a network,
behind an index that has no such data, or without pip-audit, nothing is audited, and one line says
so; status 0, since that is no fault of the code. Status 1: a weakness is known. Limits: only what
is pinned there is asked about, so not the base images of docker/, nor Debian's packages.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parent.parent / "constraints.txt"
TIMEOUT_S = 10


def asked(pins: Path) -> "subprocess.CompletedProcess[str]":
    """Run pip-audit over pinned requirements."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--format", "json"]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "pypi", "--timeout", str(TIMEOUT_S)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def judged(said: str, complaint: str) -> tuple[int, list[str]]:
    """Return the status and the lines to print for what pip-audit said."""
    try:
        rows: list[dict[str, Any]] = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complaint.strip().splitlines() or ["no answer"])[-1]
        return 0, [f"audit: nothing was audited: {last}"]
    known = [row for row in rows if "vulns" in row]
    weak = [(row, one) for row in known for one in row["vulns"]]
    lines = [
        f"{row['name']} {row['version']}: {one['id']}, mended in "
        f"{', '.join(one['fix_versions']) or 'no version yet'}"
        for row, one in weak
    ]
    left = len(rows) - len(known)
    missed = f"; nothing is known of {left}" if left else ""
    if not known:
        return 0, [f"audit: nothing was audited: no data on any of {len(rows)} packages"]
    return bool(weak), [*lines, f"audit: {len(known)} packages, {len(weak)} weaknesses{missed}"]


def main() -> int:
    """Print what is known; 1 if it is a weakness."""
    found = asked(PINS)
    status, lines = judged(found.stdout, found.stderr)
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
