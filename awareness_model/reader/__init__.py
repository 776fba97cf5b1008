"""Teaching the kv layout's reader on a CPU: documents encoded once, short prompts, few parameters.

`rows.py` says what a batch is, `needle_rows.py` and `code_rows.py` draw rows, `course.py` trains,
`measure.py` measures with controls. Entry point: `python -m awareness_model.learn_kv`.
"""
