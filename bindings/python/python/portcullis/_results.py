"""What the engine answers, as values. Each is made of the JSON of the engine, which has it all: see `Outcome.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import Any, Iterable, Iterator, Mapping, Optional


@dataclass(frozen=True)
class Place:
    """A range of a text. Lines and columns count from 1, columns in characters; the end is behind the last one."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    #: The field, such as `spec.hostPID`; empty for the object as a whole.
    field: str = ""

    @classmethod
    def _of(cls, found: Optional[Mapping[str, Any]]) -> Optional[Place]:
        if found is None:
            return None
        return cls(
            found["file"], found["line"], found["column"], found["endLine"], found["endColumn"], found.get("field", "")
        )

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """What is wrong with what came in. Decide on `code`, never on the message."""

    code: str
    message: str
    is_error: bool = True
    subject: Optional[str] = None
    field: Optional[str] = None
    hint: Optional[str] = None
    location: Optional[Place] = None

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Problem:
        return cls(
            found["code"],
            found["message"],
            found["severity"] == "error",
            found.get("subject"),
            found.get("field"),
            found.get("hint"),
            Place._of(found.get("location")),
        )

    def __str__(self) -> str:
        place = f"{self.location}: " if self.location else ""
        subject = f"{self.subject}: " if self.subject else ""
        field = f" (at `{self.field}`)" if self.field else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{place}{subject}{self.message}{field}{hint}"


@dataclass(frozen=True)
class Constraint:
    """A constraint, by kind and name."""

    kind: str
    name: str
    #: `deny`, `warn`, `dryrun` or `scoped`; empty where only the name is known.
    enforcement_action: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Edit:
    """One edit of an object."""

    #: `add`, `replace` or `remove`.
    op: str
    #: The field, such as `spec.hostPID`.
    path: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class Fix:
    """Edits that make a finding go, all together, and no other come. Each was tried."""

    edits: tuple[Edit, ...]
    #: Whether the policy lets pass these values only; if not, whoever wrote the object decides them.
    is_decided: bool

    @classmethod
    def _of(cls, found: Optional[Mapping[str, Any]]) -> Optional[Fix]:
        if found is None:
            return None
        return cls(tuple(Edit(**edit) for edit in found["edits"]), found["isDecided"])


@dataclass(frozen=True)
class Fact:
    """What a condition looked at."""

    #: `field` of the object, `parameter` of the constraint, `input`, another `name`, `comparison` or `builtin`.
    kind: str
    #: The path, the operator, or the builtin.
    name: str
    #: What is there, or what the builtin answers; `None` also if there is nothing.
    value: Any = None
    #: Whether there is such a field, parameter or input; whether the comparison holds; whether the builtin is defined.
    holds: bool = True
    #: Both sides of a comparison, or arguments.
    args: tuple[Any, ...] = ()
    location: Optional[Place] = None

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Fact:
        for kind in ("field", "parameter", "input", "name"):
            if kind in found:
                return cls(kind, found[kind], found["value"], found["exists"], (), Place._of(found.get("location")))
        if "operator" in found:
            sides = (found["left"], found["right"])
            return cls("comparison", found["operator"], found["holds"], found["holds"], sides)
        return cls("builtin", found["builtin"], found["answer"], found["answer"] is not None, tuple(found["args"]))

    def __str__(self) -> str:
        def written(value: Any) -> str:
            return json.dumps(value, ensure_ascii=False)

        if self.kind == "comparison":
            left, right = self.args
            return f"{written(left)} {self.name} {written(right)} is {'true' if self.holds else 'false'}"
        if self.kind == "builtin":
            answer = written(self.value) if self.holds else "not defined"
            return f"{self.name}({', '.join(map(written, self.args))}) is {answer}"
        place = f" ({self.location})" if self.location else ""
        return f"{self.kind} {self.name} {'= ' + written(self.value) if self.holds else 'is not there'}{place}"


@dataclass(frozen=True)
class Condition:
    """A statement of a rule, what it looked at, and the rules that it asked."""

    text: str
    holds: bool
    facts: tuple[Fact, ...]
    rules: tuple[Rule, ...]
    location: Optional[Place] = None


@dataclass(frozen=True)
class Rule:
    """A body of a rule, with its conditions up to the one that fails."""

    name: str
    holds: bool
    conditions: tuple[Condition, ...]
    location: Optional[Place] = None
    #: `rule`, or, in CEL, `match condition`, `validation` or `variable`.
    kind: str = "rule"

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Rule:
        conditions = (
            Condition(
                one["condition"],
                one["holds"],
                tuple(map(Fact._of, one["facts"])),
                tuple(map(cls._of, one["rules"])),
                Place._of(one.get("location")),
            )
            for one in found["conditions"]
        )
        return cls(
            found["rule"], found["holds"], tuple(conditions), Place._of(found.get("location")), found["kind"]
        )

    def _lines(self, depth: int) -> Iterator[str]:
        indent = "  " * depth
        yield f"{indent}{self.location or ''} {self.kind} {self.name}"
        for condition in self.conditions:
            line = condition.location.line if condition.location else ""
            fails = "" if condition.holds else "  <-- does not hold"
            yield f"{indent}  {line} | {' '.join(condition.text.split())}{fails}"
            for fact in condition.facts:
                yield f"{indent}      {fact}"
            for rule in condition.rules:
                yield from rule._lines(depth + 2)


@dataclass(frozen=True)
class Explanation:
    """Why a constraint says what it says of an object. As text, it is for people."""

    constraint: Constraint
    #: Whether it applies at all. If it does not, `because` says why, and there is nothing else.
    applies: bool
    because: Optional[str] = None
    #: Each violation by its message: the rule that made it, once for each way in which it did.
    found: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    #: The bodies that did not hold, each as far as it came: the nearest to a violation first.
    missed: tuple[Rule, ...] = ()
    #: Why it could not be evaluated.
    error: Optional[str] = None
    #: Whether there was more than is told.
    is_cut: bool = False
    #: In CEL: the match conditions and validations that hold, and by what.
    held: tuple[Rule, ...] = ()

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Explanation:
        constraint = Constraint(found["constraint"]["kind"], found["constraint"]["name"])
        if not found["applies"]:
            return cls(constraint, False, found["because"])
        rules = {one["message"]: tuple(map(Rule._of, one["ways"])) for one in found["found"]}
        missed, held = (tuple(map(Rule._of, found[key])) for key in ("missed", "held"))
        return cls(constraint, True, None, rules, missed, found.get("error"), found["cut"], held)

    def __str__(self) -> str:
        if not self.applies:
            return f"{self.constraint} {self.because}"
        lines = [str(self.constraint)]
        if self.error:
            lines.append(f"  could not be evaluated: {self.error}")
        for message, ways in self.found.items():
            lines.append(f"  denies: {message}")
            lines.extend(line for way in ways for line in way._lines(1))
        if not self.found and not self.error:
            lines.append("  passes; the nearest to a violation:" if self.missed else "  passes")
            lines.extend(line for rule in self.missed for line in rule._lines(1))
            lines.extend(line for rule in self.held for line in rule._lines(1))
        if self.is_cut:
            lines.append("  there is more than is told")
        return "\n".join(lines)


@dataclass(frozen=True)
class Finding:
    """A violation, or a constraint that could not be evaluated."""

    constraint: Constraint
    message: str
    #: All that it leads to: `deny`, `warn`, `dryrun`.
    actions: tuple[str, ...]
    #: Whether it could not be determined whether the constraint holds.
    is_error: bool
    #: What the policy says beside its message.
    details: Any
    position: Optional[Place] = None
    #: The limit that was exceeded.
    limit: Optional[str] = None
    #: The expansion template that implies what it is about.
    implied_by: Optional[str] = None
    #: The PolicyException because of which it does not count.
    exception: Optional[str] = None
    #: What makes it go, if `Options.fixes` asks for it and something was found.
    fix: Optional[Fix] = None

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Finding:
        key, exception = found["constraint"], found.get("exception")
        return cls(
            Constraint(key["kind"], key["name"]),
            found["message"],
            tuple(found["actions"]),
            found["error"],
            found["details"],
            Place._of(found.get("position")),
            found.get("limit"),
            found.get("impliedBy"),
            exception["name"] if exception else None,
            Fix._of(found.get("fix")),
        )


def _problems(found: Iterable[Mapping[str, Any]]) -> tuple[Problem, ...]:
    return tuple(Problem._of(problem) for problem in found)


@dataclass(frozen=True)
class Compiled:
    """What there is in policies, and what is odd about them."""

    templates: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    #: The kinds that policies compare with, as (apiVersion, kind); what is `None` may be anything.
    reads: tuple[tuple[Optional[str], Optional[str]], ...] = ()
    problems: tuple[Problem, ...] = ()

    @classmethod
    def _of(cls, found: Mapping[str, Any]) -> Compiled:
        return cls(
            tuple(template["kind"] for template in found["templates"]),
            tuple(Constraint(one["kind"], one["name"], one["enforcementAction"]) for one in found["constraints"]),
            tuple((read.get("apiVersion"), read.get("kind")) for read in found["reads"]),
            _problems(found["problems"]),
        )


class Outcome:
    """What the policies say of one object. Read when it is asked for: `allowed` and `json` cost nothing."""

    __slots__ = ("allowed", "json", "_read")

    #: Whether it may pass.
    allowed: bool
    #: The `reviewAnswer`, as the engine wrote it.
    json: str

    def __init__(self, allowed: bool, answer: str) -> None:
        self.allowed = allowed
        self.json = answer
        self._read: Optional[dict[str, Any]] = None

    @property
    def _found(self) -> dict[str, Any]:
        if self._read is None:
            self._read = json.loads(self.json)
        return self._read

    @property
    def ok(self) -> bool:
        """Whether it was judged. What was not is not allowed, and `problems` says why."""
        return bool(self._found["ok"])

    @property
    def denials(self) -> list[str]:
        """The lines of what denies it: `[constraint] message`."""
        return list(self._found["denials"])

    @property
    def warnings(self) -> list[str]:
        """The lines of what it is warned about."""
        return list(self._found["warnings"])

    @property
    def findings(self) -> list[Finding]:
        """All that is not a pass and counts, in order."""
        return [Finding._of(found) for found in self._found["findings"]]

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Why constraints say what they say, by kind and name, if `Options.explain` asks for it."""
        return tuple(map(Explanation._of, self._found.get("explanations", ())))

    @property
    def unexplained(self) -> int:
        """Of how many constraints the explanation is left out, because there was no room."""
        return int(self._found.get("unexplained", 0))

    @property
    def excepted(self) -> list[Finding]:
        """Violations that do not count because of an exception."""
        return [Finding._of(found) for found in self._found["excepted"]]

    @property
    def excluded(self) -> bool:
        """Whether a Config keeps it from being judged."""
        return bool(self._found["excluded"])

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with what came in."""
        return _problems(self._found["problems"])

    @property
    def uid(self) -> str:
        """Of the request; empty for an object that came alone."""
        return str(self._found["uid"])

    @property
    def object(self) -> Optional[dict[str, str]]:
        """`apiVersion`, `kind`, `name` and `namespace` of what was judged."""
        found: Optional[dict[str, str]] = self._found.get("object")
        return found

    def __bool__(self) -> bool:
        raise TypeError("an outcome is neither true nor false: ask for `allowed`")

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Outcome) and self.json == other.json

    def __hash__(self) -> int:
        return hash(self.json)

    def __reduce__(self) -> tuple[type[Outcome], tuple[bool, str]]:
        return (Outcome, (self.allowed, self.json))

    def __repr__(self) -> str:
        found = self.object or {}
        name = "/".join(part for part in (found.get("namespace"), found.get("name")) if part)
        what = f" {found.get('kind')} {name}" if found else ""
        return f"<Outcome{what}: {'allowed' if self.allowed else 'denied'}, {len(self._found['findings'])} findings>"

    def _repr_html_(self) -> str:
        """For notebooks. All that comes from objects and policies is escaped."""
        verdict = "may pass" if self.allowed else "may not pass"
        if not self.ok:
            verdict = "could not be judged, and may not pass"
        found = self.object or {}
        name = "/".join(part for part in (found.get("namespace"), found.get("name")) if part)
        what = escape(f"{found.get('kind', 'object')} {name}".strip())
        colour = "#1a7f37" if self.allowed else "#b3261e"
        rows = [_row(finding) for finding in self.findings]
        rows += [
            f"<tr><td>{escape(problem.code)}</td><td>{'error' if problem.is_error else 'warning'}</td>"
            f"<td></td><td>{escape(str(problem))}</td></tr>"
            for problem in self.problems
        ]
        table = (
            "<table><thead><tr><th>constraint</th><th>action</th><th>where</th><th>message</th></tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
            if rows
            else ""
        )
        return f'<div><b>{what}</b> <span style="color:{colour}">{escape(verdict)}</span>{table}</div>'


def _row(finding: Finding) -> str:
    said = f"could not be evaluated: {finding.message}" if finding.is_error else finding.message
    place = finding.position
    where = (place.field or str(place)) if place else ""
    cells = (str(finding.constraint), ", ".join(finding.actions), where, said)
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
