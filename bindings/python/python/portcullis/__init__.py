"""Judges Kubernetes objects and admission requests by OPA Gatekeeper's policies: may this pass, and if not, why?

    >>> policies = portcullis.Policies.from_files("policies/")
    >>> outcome = policies.review({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}})
    >>> outcome.allowed, outcome.denials

Policies are compiled once, and may be used by all threads at once: the interpreter is not held while they judge. What could
not be read or judged is an exception, or an outcome that is not allowed, and never a pass.
"""

from __future__ import annotations

from portcullis._errors import ClosedError, Error, InputError, InventoryError, PolicyError, ReviewError
from portcullis._policies import Object, Options, Policies
from portcullis._results import (
    Compiled,
    Condition,
    Constraint,
    Edit,
    Explanation,
    Fact,
    Finding,
    Fix,
    Outcome,
    Place,
    Problem,
    Rule,
)

__all__ = [
    "ClosedError",
    "Compiled",
    "Condition",
    "Constraint",
    "Edit",
    "Error",
    "Explanation",
    "Fact",
    "Finding",
    "Fix",
    "InputError",
    "InventoryError",
    "Object",
    "Options",
    "Outcome",
    "Place",
    "Policies",
    "PolicyError",
    "Problem",
    "ReviewError",
    "Rule",
]
