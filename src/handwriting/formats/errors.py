"""What can be wrong with the files of a data set."""

from pathlib import Path


class FormatError(ValueError):
    """A data set can't be read; the message names the file, its fault and what to do."""

    def __init__(self, file: Path | str, fault: str, remedy: str) -> None:
        super().__init__(f"{file}: {fault}. {remedy}")
        self.file = str(file)


class MissingError(FormatError):
    """A file, a part or a split is not there."""


class DamagedError(FormatError):
    """A file is cut short, altered, or not of the kind that its name says."""


class MismatchError(FormatError):
    """Files, each whole, do not belong together."""
