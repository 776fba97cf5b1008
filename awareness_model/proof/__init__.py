"""The wiring proof: a small decoder learns to look values up in memory, or the wiring is broken.

task: documents and questions; plan: what a run is; small: the decoder and its encoder; states:
documents as memory, gradients kept; learner: losses of a lesson; growing: training, the visible set
grown by measurement; controls: own against shuffled, none, edited and permuted memory; runs: rows
of a file, resumable; variants: which runs; report, ablated: tables and plots. All parts that carry
memory (encoder, Memory, gated cross-attention, losses, engine, step) are those of the product.
"""
