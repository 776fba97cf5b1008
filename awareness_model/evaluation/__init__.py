"""What a memory is worth on real code: held-out packages, remote-context perplexity, needles.

corpus, targets: what is asked of installed packages; needles: procedural functions; the rest
measures and reports. Importing `corpus`, `targets` or `needles` loads nothing but the standard
library.
"""
