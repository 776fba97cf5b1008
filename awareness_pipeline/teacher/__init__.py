"""The language model that writes tasks and answers them: on this machine, or at an endpoint.

`backend.py` is the one call for both: `local.py` runs the model package as a child process;
`client.py` asks an endpoint (`endpoint.py` one exchange, `protocol.py` payloads and answers,
`pace.py` waits). Either way answers go into `cache.py`, costs into `ledger.py`, and `purse.py` says
when to stop.

`messages.py` strips commit messages of what would leak; `prompts.py` reads the templates in
`prompts/`, `quoting.py` and `room.py` say how a commit gets into them; `tasks.py` makes questions
and rows of it all, `quality/` judges answers, `judging.py` asks for a second opinion, `funnel.py`
counts. An answer is never trusted: what cannot be used is kept with its reason.
"""
