"""Copying: the longest run of words that a prompt shares with other text."""

from collections.abc import Sequence

__all__ = ["copy_overlap", "longest_shared_run"]


def copy_overlap(words: Sequence[str], added: Sequence[str]) -> float:
    """Return the longest run of words shared with the added lines as a share of all, 0 to 1."""
    return longest_shared_run(words, added) / len(words) if words else 0.0


def longest_shared_run(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest run of words that stands in both.

    Words become characters, so that each of the `2 len(left)` tests is one search of a string.
    """
    numbers = {word: chr(number) for number, word in enumerate(dict.fromkeys(left), start=1)}
    needle = "".join(numbers[word] for word in left)
    hay = "".join(numbers.get(word, "\0") for word in right)
    best = 0
    for start in range(len(needle)):
        while start + best < len(needle) and needle[start : start + best + 1] in hay:
            best += 1
    return best
