"""Evidence that the distillation data is not a toy: what is compared with what, and what it says.

    partners   whose prompt or files stand in for one's own: a pure function of ids and a seed
    plan       what is asked, and what was left out on the way
    prompts    commits and their accepted prompts, as questions to the audit
    contexts   traces and the files their teacher saw, as questions to the audit
    verdicts   what was measured and what was not, and why a difference is not clear of 0

The model package scores and computes (`awareness_model.audit`); here is what it is asked, and what
the answers mean. The same rows give the same questions, in whatever order they come.
"""
