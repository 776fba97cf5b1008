"""What a student can learn from a repository: questions, the files that decide their answers, and
what the teacher reads.

`choice` says which tasks come first, `ground` reads trees, `instructions`, `reconstructions` and
`states` make lessons of the three kinds, `plan` puts a repository's lessons together. `subjects`
are the commits that tasks are made of, before all of that. Nothing here asks anybody.
"""
