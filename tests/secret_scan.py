"""Secrets in the project's own files: `python -m tests.secret_scan`, a part of `make check`.

detect-secrets looks through every file that git knows or would take; what stands in
`.secrets.baseline` is known to be none (digests, made-up keys of tests). `--update` writes that
file anew: look at its difference before it is committed. Limits: results, which are numbers and
digests of our own, and pictures are left out.
"""

import contextlib
import re
import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings

ROOT = Path(__file__).parent.parent
BASELINE = ".secrets.baseline"
LEFT_OUT = re.compile(r"^results/|\.(png|npy)$")


def files() -> list[str]:
    """Return the project's files, those not committed yet among them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    names = {name for name in listed.split("\0") if name and name != BASELINE}
    return sorted(one for one in names if not LEFT_OUT.search(one) and (ROOT / one).is_file())


def scan(names: list[str]) -> SecretsCollection:
    """Return what looks like a secret in files, by the detectors that are set."""
    found = SecretsCollection()
    with contextlib.chdir(ROOT):  # a root of its own would stand in every name it keeps
        found.scan_files(*names)
    return found


def main(argv: list[str]) -> int:
    """Return 1 where a file holds what the baseline does not."""
    path = ROOT / BASELINE
    if argv == ["--update"]:
        with default_settings():
            baseline.save_to_file(scan(files()), str(path))
        return 0
    known = baseline.load(baseline.load_from_file(str(path)), str(path))
    new = scan(files()) - known
    for name, secret in new:
        print(f"{name}:{secret.line_number}: looks like a secret ({secret.type})")
    if new:
        print("error: take it out, or run `python -m tests.secret_scan --update` if it is none")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
