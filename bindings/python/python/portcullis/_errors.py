"""What is wrong, as exceptions: each has the engine's problems."""

from __future__ import annotations

from typing import Sequence

from portcullis._results import Problem


class Error(Exception):
    """Something is wrong: `problems` says what, one by one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        errors = [problem for problem in self.problems if problem.is_error] or self.problems
        super().__init__("\n".join(str(problem) for problem in errors))

    def __reduce__(self) -> tuple[type[Error], tuple[tuple[Problem, ...]]]:
        return (type(self), (self.problems,))


class PolicyError(Error):
    """The policies cannot be used."""


class InventoryError(Error):
    """Changes of the inventory are wrong. Those beside them are done."""


class ReviewError(Error):
    """An object or a request could not be judged. It may not pass."""


class InputError(ReviewError, ValueError):
    """A value of Python that there is no JSON of, such as NaN. It may not pass."""


class ClosedError(Error, ValueError):
    """The policies are closed."""


def input_error(what: str, error: BaseException) -> InputError:
    """Of what Python says against a value."""
    if isinstance(error, RecursionError):
        why = "it is nested too deeply, or contains itself"
    else:
        why = str(error)
    return InputError([Problem("invalid-value", f"{what} cannot be written as JSON: {why}")])


def closed() -> ClosedError:
    return ClosedError([Problem("closed", "the policies are closed")])
