"""A commit for tests of the gate."""

from awareness_pipeline.teacher.quality import Evidence, evidence_of

HEADER = "diff --git a/storage/upload.py b/storage/upload.py\n--- a/storage/upload.py\n+++ b/x\n"
MESSAGE = "upload: add retryLimit"
ADDED = (
    "    for attempt in range(retry_limit):",
    "        send(block, attempt, timeout_in_seconds=45)",
    "        raise UploadError('gave up at last')",
)


def diff_of(*added: str, removed: tuple[str, ...] = ("    send(block)",)) -> str:
    """Return a diff of one hunk."""
    lines = [*(f"-{line}" for line in removed), *(f"+{line}" for line in added)]
    head = f"@@ -1,{len(removed)} +1,{len(added)} @@"
    return HEADER + "\n".join([head, *lines]) + "\n"


def evidence(*added: str, message: str = MESSAGE) -> Evidence:
    return evidence_of(diff_of(*(added or ADDED)), message=message, paths=["storage/upload.py"])
