"""Names that exist nowhere are invented."""

import pytest

from awareness_pipeline.teacher.quality.grounding import grounding
from tests.pipeline.teacher.quality.commit import evidence


@pytest.mark.parametrize(
    ("text", "known", "share"),
    [
        ("Let uploads try again within 45 s", [], 1.0),
        ("Give send_file a retryLimit", ["send_file"], 1.0),
        ("Give send_file a retryLimit", [], 0.5),
        ("Change storage/upload.py", ["storage/upload.py"], 1.0),
        ("Change storage/upload.py", ["upload"], 0.0),
        ("Use np.zeros", ["np", "zeros"], 1.0),
        ("Use np.zeros", ["np"], 0.0),
        ("Add --dry-run", ["dry_run"], 1.0),
        ("Use retry_limit", [], 0.0),
        ("", [], 1.0),
    ],
)
def test_the_share_of_names_that_exist(text: str, known: list[str], share: float) -> None:
    assert grounding(text, evidence(), known) == share
