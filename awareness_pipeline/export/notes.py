"""What every column of an export means, in a line each: the table of fields of the data card."""

from typing import Final

__all__ = ["NOTES"]

_SHARED: Final = {
    "repo_id": "63-bit hash of the host and its own id; renames change nothing",
    "repo": "full name of the repository, `owner/name`",
    "sha": "hash of the commit",
    "parent_sha": "hash of its first parent: the state before the change",
    "licence": "SPDX expression, `no_license`, or `NOASSERTION`",
    "licence_class": "`permissive`, `copyleft`, `no_license` or `unknown`",
    "style": "how the task is put: `imperative`, or `message` for the commit's own message",
}
_COMMITS: Final = {
    "message": "commit message, personal data and secrets replaced",
    "language": "main language of the repository, lower case",
    "files_changed": "paths after the change",
    "additions": "lines added; of a file null where lines are not counted",
    "deletions": "lines deleted; of a file null where lines are not counted",
    "diff": "unified diff, personal data and secrets replaced",
    "parents": "hashes of all parents",
    "author_date": "ISO 8601 with the author's offset",
    "committer_date": "ISO 8601 with the committer's offset",
    "files": "each file: path, old path, status, kind, counts, sizes",
    "labels": "what the commit is, such as `bot`, `docs_only`, `type:fix`, `lang:en`",
    "truncated": "whether the diff was cut at a size limit",
    "encoding_lossy": "whether bytes that are not UTF-8 became U+FFFD",
    "diff_bytes": "size of the whole diff as git prints it",
    "schema_version": "version of these fields",
}
_REPOSITORIES: Final = {
    "host": "API host; first half of the identity",
    "external_id": "the host's own id; second half of the identity",
    "node_id": "the host's GraphQL id",
    "full_name": "`owner/name` when last seen",
    "language": "main language as the host says",
    "stars": "stars when last seen",
    "forks": "forks when last seen",
    "size_kb": "size in KB as the host says",
    "default_branch": "branch whose history is read",
    "fork": "whether it is a fork",
    "archived": "whether it is archived",
    "disabled": "whether the host has switched it off",
    "updated_at": "when the host last changed its description of it; empty where unknown",
    "created_at": "ISO 8601, UTC",
    "pushed_at": "last push, ISO 8601, UTC",
    "topics": "topics its owner gave it",
}
_TASKS: Final = {
    "prompt": "the task, personal data and secrets replaced",
    "accepted": "whether it passed every check",
    "reject_reason": "the check it failed; empty if accepted",
    "finish_reason": "why the model stopped",
    "model": "model that wrote it, with its identity",
    "prompt_fingerprint": "digest of the prompt template",
    "prompt_tokens": "tokens asked",
    "completion_tokens": "tokens answered",
    "leak": "share of its names and literals that stand in added lines alone",
    "grounding": "share of its code-like names that are in the tree before the commit",
    "copy_overlap": "longest run of words shared with the added lines, as a share of the prompt",
    "words": "words of the prompt",
    "english": "0 to 1: how far its words are English",
    "self_contained": "0 to 1: less for each word that points outside it",
    "judge": "1 to 5 by a language model; empty where it was not asked",
}
_TRACES: Final = {
    "trace_id": "digest of what the trace is about",
    "kind": "`instruction`, `reconstruction` or `state`",
    "target": "`teacher`: its own answer; `commit`: the true diff; `span`: the true text",
    "prompt": "what is asked",
    "student_path": "file whose text the student reads with the prompt; empty for none",
    "student_prompt_ids": "tokens the student reads: the prompt without the repository",
    "response_ids": "tokens of the answer, T of them",
    "response_text": "the answer as text",
    "top_k": "alternatives per token; 0: text only, no probabilities",
    "topk_ids": "T lists of the teacher's likeliest tokens",
    "topk_logprobs": "their log probabilities (natural), T lists",
    "tail_mass": "probability outside them, T numbers",
    "manifest_paths": "files that the teacher saw",
    "manifest_tokens": "tokens of each",
    "manifest_reasons": "why each was seen: touched, imported, folder, rest, gold",
    "gold_paths": "files that decide the answer",
    "hops": "gold files beyond those that the diff touches",
    "chain": "traces of one question over successive trees; empty for others",
    "step": "place in the chain",
    "language": "main language of the tree, or of the file asked about",
    "repository_bytes": "bytes of text of the tree",
    "finish_reason": "why the teacher stopped; `forced` along a given answer",
    "tokenizer_fingerprint": "tokenizer of all token ids",
}
NOTES: Final = {
    "commits": {**_SHARED, **_COMMITS},
    "repositories": {**_SHARED, **_REPOSITORIES},
    "tasks": {**_SHARED, **_TASKS},
    "traces": {**_SHARED, **_TRACES},
}
"""Notes by column, by what is exported."""
