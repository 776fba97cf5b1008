"""The ten stages, one module each; none imports another: they meet on disk.

Every stage module has `ARTIFACT` (the noun it leaves behind) and
`run(settings: Settings, partition: str) -> Record`, which does what is not done yet in that
partition and returns the partition's record. Partitions: languages for discover, shards of
repository ids for clone … encode, `all` for audit, train and evaluate. A unit is one repository
(key: its repo_id as decimal text); discover's unit is a language.

What a unit's record says to those downstream (`Record.extra`):
    clones            full_name, language, stars, licence, fork, head (sha of the default branch; ""
                      when empty), rewritten (the head before, where history was replaced); the
                      bare repository is `<repo_id>.git` in the partition's folder
    commits           head, tail, counts by label and by diff size; all extracted shas, oldest
                      first, are in `<repo_id>.shas` beside the rows
    curated_commits   split (`train` or `held_out`), cluster, licences by class, findings by kind
    task_prompts, teacher_traces, memory_records: see their modules
"""
