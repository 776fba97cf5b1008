"""On-disk formats shared with the pipeline: the rows that cross the process boundary.

The pipeline writes requests, documents, snapshots and items as JSON lines; the entry points of this
package (`python -m awareness_model.<name>`) read them and write answers and reports beside them.
Standard library only, so that reading a schema never loads torch. A row is a frozen dataclass; its
JSON form is the dict of its fields. Limits: one line per row, UTF-8, no versioned migrations: a
change of meaning is a new field or a new name.
"""

from awareness_model.schema.asking import (
    FILES_BEFORE,
    TASK_BEFORE,
    AlignRequest,
    DistilAnswer,
    DistilRequest,
    GenerateAnswer,
    GenerateRequest,
    ManifestEntry,
    SourceFile,
)
from awareness_model.schema.audit import AuditAnswer, AuditRequest, Reading
from awareness_model.schema.digests import content_hash, digest
from awareness_model.schema.learning import CONDITIONS, EvaluationItem, TrainJob, TrainReport
from awareness_model.schema.memory import (
    LAYOUTS,
    READINGS,
    EncodeDocument,
    EncodeReport,
    SnapshotRow,
)
from awareness_model.schema.rows import (
    from_json,
    read_rows,
    to_json,
    whole_lines,
    write_atomic,
    write_rows,
    write_through,
)
from awareness_model.schema.traces import TRACE_COLUMNS

__all__ = [
    "CONDITIONS",
    "FILES_BEFORE",
    "LAYOUTS",
    "READINGS",
    "TASK_BEFORE",
    "TRACE_COLUMNS",
    "AlignRequest",
    "AuditAnswer",
    "AuditRequest",
    "DistilAnswer",
    "DistilRequest",
    "EncodeDocument",
    "EncodeReport",
    "EvaluationItem",
    "GenerateAnswer",
    "GenerateRequest",
    "ManifestEntry",
    "Reading",
    "SnapshotRow",
    "SourceFile",
    "TrainJob",
    "TrainReport",
    "content_hash",
    "digest",
    "from_json",
    "read_rows",
    "to_json",
    "whole_lines",
    "write_atomic",
    "write_rows",
    "write_through",
]
