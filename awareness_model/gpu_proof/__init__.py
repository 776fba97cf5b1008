"""Proof and main training of the kv reader on one GPU, on a machine that has only torch and
transformers: no lance, pyarrow, tree_sitter or DeepSpeed (the plain engine; the record says so).

`plan.py` says what is done, `questions.py` what travels beside the weights, `weights.py` and
`parts.py` how both travel, `stages.py` and `measuring.py` do one stage, `running.py` does them in
turn under a deadline, `state.py` brings back what a machine that goes away leaves, `results.py`
tells of it. Entry point: `python -m awareness_model.gpu_proof`; docs/gpu.md has the commands.
"""
