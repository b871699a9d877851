"""The published rules that the labelling is compared with: each takes a glyph's answers in their order."""

from collections import Counter
from collections.abc import Callable, Sequence

Rule = Callable[[Sequence[str], str], str]
"""Given the answers (characters, in order) and what a machine reads ("" for none), return the label, or ""."""


def first(answers: Sequence[str], machine: str) -> str:  # noqa: ARG001
    """Take the first answer as the truth."""
    return answers[0] if answers else ""


def agree3(answers: Sequence[str], machine: str) -> str:  # noqa: ARG001
    """Take what three have typed."""
    return next((answer for answer, count in Counter(answers).items() if count >= 3), "")


def recaptcha(answers: Sequence[str], machine: str) -> str:
    """Add up 1 for a person and 0.5 for a machine, and accept at 2.5.

    von Ahn et al. 2008, https://doi.org/10.1126/science.1160379.
    """
    points = Counter({machine: 0.5}) if machine else Counter[str]()
    for answer in answers:
        points[answer] += 1
    return next((answer for answer, score in points.most_common(1) if score >= 2.5), "")


def dominance3(answers: Sequence[str], machine: str) -> str:  # noqa: ARG001
    """Take what is three votes ahead of everything else."""
    leading = [*Counter(answers).most_common(2), ("", 0), ("", 0)]
    return leading[0][0] if leading[0][1] - leading[1][1] >= 3 else ""


def majority(answers: Sequence[str], machine: str) -> str:  # noqa: ARG001
    """Of three answers and more, take the one that more than half have typed."""
    leading = Counter(answers).most_common(1)
    return leading[0][0] if len(answers) >= 3 and 2 * leading[0][1] > len(answers) else ""


RULES: dict[str, Rule] = {rule.__name__: rule for rule in (first, agree3, recaptcha, dominance3, majority)}
