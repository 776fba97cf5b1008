"""Documents to chunks: spans of at most so many tokens, cut where the text itself has a seam.

`language.py` tells what a text is written in, `seams.py` rates every line as a place to cut,
`packing.py` chooses the cuts, `pieces.py` does it for a document with its tokenizer. The chunks of
a document, in order, are the document. Not covered: what a chunk means outside its file.
"""

from awareness_model.chunk.language import language_of
from awareness_model.chunk.pieces import Chunk, split

__all__ = ["Chunk", "language_of", "split"]
