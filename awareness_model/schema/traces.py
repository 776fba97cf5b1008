"""Teacher traces on disk: the columns that the pipeline writes and training reads.

One row is one answer of a teacher, or one text it was forced along. Limits: names and types alone;
nothing here ties the lengths of the lists to one another.
"""

TRACE_COLUMNS: dict[str, str] = {
    "trace_id": "string",
    "repo_id": "int64",
    "sha": "string",
    "parent_sha": "string",
    "kind": "string",
    "style": "string",
    "target": "string",
    "prompt": "string",
    "student_path": "string",
    "student_prompt_ids": "list<int32>",
    "response_ids": "list<int32>",
    "response_text": "string",
    "top_k": "int32",
    "topk_ids": "list<list<int32>>",
    "topk_logprobs": "list<list<float>>",
    "tail_mass": "list<float>",
    "manifest_paths": "list<string>",
    "manifest_tokens": "list<int32>",
    "manifest_reasons": "list<string>",
    "gold_paths": "list<string>",
    "hops": "int32",
    "chain": "string",
    "step": "int32",
    "language": "string",
    "repository_bytes": "int64",
    "finish_reason": "string",
    "tokenizer_fingerprint": "string",
}
"""Columns of a teacher-trace Parquet file, in order, as pyarrow type names.

- `parent_sha`: the tree that decides the answer, and that a memory must hold.
- `kind`: `instruction` (a task prompt), `reconstruction` (a span whose text another file decides)
  or `state` (such a span over successive trees: one `chain`, `step` 0, 1, …).
- `target`: `teacher`, its own answer; `commit`, forced along the true diff; `span`, forced along
  the true text of a reconstruction or state.
- `student_path`: a file whose text stands in the student's prompt; empty for none.
- `top_k`: alternatives of every response token; 0 is text only, then `topk_ids`, `topk_logprobs`
  and `tail_mass` are empty and `response_ids` are the student tokenizer's ids of the text.
- `manifest_reasons`: `touched`, `imported`, `folder`, `rest` or `gold`, as long as
  `manifest_paths`.
- `hops`: gold files beyond those that the diff touches; 0 for a span.
- `language`: main language of the tree, or of the file asked about; `repository_bytes`: bytes of
  text that were read of the tree.
"""
