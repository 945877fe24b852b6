"""Policies: compiled once, used by all threads."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, Iterator, Literal, Mapping, Optional, Sequence, TypedDict, Union

from portcullis import _native
from portcullis._errors import InputError, InventoryError, PolicyError, ReviewError, closed, input_error
from portcullis._results import Compiled, Explanation, Outcome, Problem, _problems

if TYPE_CHECKING:
    import pyarrow as pa

#: An object or a request: values as `json.loads` makes them, or a text of JSON or YAML.
Object = Union[Mapping[str, Any], str, bytes, bytearray]
#: Which program of a template is run, where it has more than one.
Engines = Literal["cel-first", "rego-only"]

_SUFFIXES = {".yaml", ".yml", ".json"}


class Limits(TypedDict, total=False):
    """What each evaluation may use. `depth` can be lowered, and not raised."""

    steps: int
    memory: int
    depth: int
    output: int


@dataclass(frozen=True)
class Options:
    """How something is reviewed. Everything has a default."""

    #: What positions call the object.
    name: Optional[str] = None
    #: `validation.gatekeeper.sh` if not given, `audit.gatekeeper.sh`, `gator.gatekeeper.sh` or `vap.k8s.io`.
    point: Optional[str] = None
    #: The Namespace that the object lives in, if it is not in the inventory.
    namespace: Optional[Mapping[str, Any]] = None
    #: Where objects live that name no namespace though their kind lives in one.
    default_namespace: Optional[str] = None
    #: The time that policies see, in milliseconds since 1970: that of the call, if not given.
    now_ms: Optional[int] = None
    #: What random numbers of policies are derived from.
    seed: int = 0
    #: How long each review may take. What is under way then does not pass.
    timeout_ms: Optional[int] = None
    limits: Optional[Limits] = None
    #: About how many bytes all findings of an object may have.
    findings_bytes: Optional[int] = None
    #: Whether findings have positions.
    positions: bool = True
    #: Whether outcomes say what each constraint came to that applies: in `Outcome.json`.
    results: bool = False
    #: Of which constraints it is told why: `findings`, those that find something in the object itself, or `all`. See
    #: `Outcome.explanations`.
    explain: Optional[str] = None
    #: About how many bytes all explanations of an object may have.
    explanations_bytes: Optional[int] = None
    #: Whether edits are looked for that make findings go, each tried and judged again by all constraints: `Finding.fix`.
    fixes: bool = False

    def _json(self) -> bytes:
        now = self.now_ms if self.now_ms is not None else time.time_ns() // 1_000_000
        found: dict[str, Any] = {"nowMs": now}
        given = {
            "name": self.name,
            "point": self.point,
            "namespace": self.namespace,
            "defaultNamespace": self.default_namespace,
            "seed": self.seed or None,
            "timeoutMs": self.timeout_ms,
            "limits": self.limits,
            "findingsBytes": self.findings_bytes,
            "positions": None if self.positions else False,
            "results": self.results or None,
            "explain": self.explain,
            "explanationsBytes": self.explanations_bytes,
            "fixes": self.fixes or None,
        }
        found.update((key, value) for key, value in given.items() if value is not None)
        return _bytes(found, "the options")


_DEFAULTS = Options()


def _bytes(value: Any, what: str) -> bytes:
    """JSON of a value. What JSON has not is refused: it would be something else for who reads it."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise input_error(what, error) from None
    return text.encode("ascii")


def _text(value: Object, what: str = "the object") -> bytes:
    """What goes to the engine. Texts go as they are: what is wrong with them the engine says."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise input_error(what, error) from None
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dict):
        return _bytes(value, what)
    if isinstance(value, Mapping):
        return _bytes(dict(value), what)
    problem = Problem("invalid-value", f"{what} is a `{type(value).__name__}`, and not a mapping or a text")
    raise InputError([problem])


class Policies:
    """Policies that were compiled, and the inventory that they compare with. All methods may be called by all threads."""

    def __init__(self, engine: _native.Engine, compiled: Compiled) -> None:
        self._engine = engine
        self._compiled = compiled

    @classmethod
    def from_text(
        cls,
        *texts: str,
        allow_unsupported: bool = False,
        partial: bool = False,
        engines: Engines = "cel-first",
        **named: str,
    ) -> Policies:
        """Compiles texts of YAML or JSON documents; those that are given by name are called so in messages."""
        documents = {f"policy-{number}.yaml": text for number, text in enumerate(texts, 1)}
        return cls.compile(
            {**documents, **named}, allow_unsupported=allow_unsupported, partial=partial, engines=engines
        )

    @classmethod
    def from_files(
        cls,
        *paths: Union[str, Path],
        allow_unsupported: bool = False,
        partial: bool = False,
        engines: Engines = "cel-first",
    ) -> Policies:
        """Compiles files, and all `.yaml`, `.yml` and `.json` files below directories."""
        return cls.compile(
            read_files(*paths), allow_unsupported=allow_unsupported, partial=partial, engines=engines
        )

    @classmethod
    def compile(
        cls,
        documents: Mapping[str, str],
        *,
        allow_unsupported: bool = False,
        partial: bool = False,
        engines: Engines = "cel-first",
    ) -> Policies:
        """Compiles texts by name. All of them count or none, unless `partial` takes what is good.

        Of a template with CEL and Rego the CEL is run, as Gatekeeper does; `engines="rego-only"` runs the Rego, and
        a template in CEL only is an error then.

        Raises PolicyError, which has all that is wrong.
        """
        listed = [{"name": name, "text": text} for name, text in documents.items()]
        request = {
            "version": _native.VERSION,
            "documents": listed,
            "allowUnsupported": allow_unsupported,
            "partial": partial,
            "engines": engines,
        }
        try:
            written = _bytes(request, "the policies")
        except InputError as error:
            raise PolicyError(error.problems) from None
        engine, answer = cls._compile_json(written)
        found = json.loads(answer)
        if engine is None:
            raise PolicyError(_problems(found["problems"]))
        return cls(engine, Compiled._of(found))

    @staticmethod
    def _compile_json(request: Union[str, bytes]) -> tuple[Optional[_native.Engine], str]:
        return _native.Engine.compile(request)

    @property
    def compiled(self) -> Compiled:
        """What there is, and what is odd about it."""
        return self._compiled

    def review(self, obj: Object, options: Options = _DEFAULTS) -> Outcome:
        """Judges an object, or an AdmissionReview.

        Raises ReviewError if it could not be judged, and InputError if there is no JSON of it.
        """
        return self._checked(self._engine.review(_text(obj), options._json()))

    def explain(self, obj: Object, options: Options = _DEFAULTS) -> tuple[Explanation, ...]:
        """Why constraints say what they say of an object: all of them, unless `options.explain` says otherwise.

        Raises as `review` does. Those that there is no room for are left out: `Outcome.unexplained` says how many.
        """
        if options.explain is None:
            options = replace(options, explain="all")
        return self.review(obj, options).explanations

    def review_request(self, request: Object, options: Options = _DEFAULTS) -> dict[str, Any]:
        """Answers an admission request: the AdmissionReview that an API server sends in, the one that it is answered with out.

        There is always an answer: what cannot be read or judged is refused in it.
        """
        try:
            body = _text(request, "the request")
        except InputError as error:
            return _refusal(str(error))
        said = self._engine.admit(body, options._json())
        if said is None:
            raise closed()
        answer: dict[str, Any] = json.loads(said[1])
        return answer

    def review_many(
        self,
        objects: Iterable[Object],
        options: Options = _DEFAULTS,
        *,
        threads: int = 0,
        ahead: int = 256,
        ahead_bytes: int = 16 << 20,
        wait: float = 0.1,
    ) -> Iterator[Outcome]:
        """Judges many, on all cores or so many threads, and gives their outcomes in the same order.

        At most `ahead` objects, of `ahead_bytes` together and one more, are taken before the outcome of the first is given; and
        no more after `wait` seconds, so that a slow source is not waited for. What could not be judged is an outcome that is not
        `ok`. If the source raises, outcomes of what came before are given first.
        """
        if ahead < 1 or threads < 0:
            raise ValueError("`ahead` is at least 1, `threads` at least 0")
        return self._review_many(objects, options, threads, ahead, ahead_bytes, wait)

    def _review_many(
        self, objects: Iterable[Object], options: Options, threads: int, ahead: int, ahead_bytes: int, wait: float
    ) -> Iterator[Outcome]:
        source = iter(objects)
        # One time for all, so that equal objects are judged equally.
        written = options._json()
        is_over = False
        while not is_over:
            # Outcomes of values that no engine sees stand where their objects stood.
            waiting: deque[Union[InputError, None]] = deque()
            batch: list[bytes] = []
            size, began, failed = 0, time.monotonic(), None
            while len(waiting) < ahead and size < ahead_bytes and (not waiting or time.monotonic() - began < wait):
                try:
                    value = next(source)
                except StopIteration:
                    is_over = True
                    break
                except Exception as error:  # What came before it is judged first.
                    failed, is_over = error, True
                    break
                try:
                    text = _text(value)
                except InputError as error:
                    waiting.append(error)
                    continue
                batch.append(text)
                waiting.append(None)
                size += len(text)
            said = self._engine.review_all(batch, written, threads)
            if said is None:
                raise closed()
            answers = iter(said)
            del batch
            for wrong in waiting:
                yield Outcome(*next(answers)) if wrong is None else _not_judged(wrong)
            if failed is not None:
                raise failed

    def review_batches(
        self,
        batches: Union[pa.Table, pa.RecordBatch, Iterable[pa.RecordBatch]],
        options: Options = _DEFAULTS,
        *,
        column: str = "object",
        keep: Sequence[str] = (),
        threads: int = 0,
    ) -> Iterator[pa.RecordBatch]:
        """Judges a column of texts in Arrow's form: batches in, a batch for each out.

        What comes out has the columns `keep`, and `allowed` and `ok` (bool), `denials` (list of string) and `outcome` (string: the
        `reviewAnswer`). A null is not `ok`, and not allowed.
        """
        from portcullis._arrow import review_batches

        return review_batches(self._engine, batches, options._json(), column, keep, threads)

    def upsert(self, *objects: Object) -> int:
        """Objects that policies compare with, and Namespaces: new, or changed. Gives how many there are now.

        Raises InventoryError for those that are wrong; the others are taken.
        """
        changes: list[dict[str, Any]] = []
        for obj in objects:
            if isinstance(obj, Mapping):
                changes.append({"op": "upsert", "object": obj})
            else:
                try:
                    decoded = _text(obj).decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InventoryError(input_error("the object", error).problems) from None
                changes.append({"op": "upsert", "text": decoded})
        return self.change(changes)

    def remove(self, api_version: str, kind: str, name: str, namespace: str = "") -> int:
        """An object that is gone."""
        where = {"namespace": namespace} if namespace else {}
        return self.change([{"op": "remove", "apiVersion": api_version, "kind": kind, "name": name, **where}])

    def replace_kind(self, api_version: str, kind: str, objects: Iterable[Mapping[str, Any]]) -> int:
        """All objects of a kind are these, as after a list. If one cannot be read, none is taken."""
        listed = list(objects)
        return self.change([{"op": "replace-kind", "apiVersion": api_version, "kind": kind, "objects": listed}])

    def unreadable(self, api_version: str, kind: str, reason: Optional[str]) -> int:
        """It is not known what objects of a kind there are: policies that compare with them cannot be evaluated. Without a reason it
        is known again."""
        why = {} if reason is None else {"reason": reason}
        return self.change([{"op": "unreadable", "apiVersion": api_version, "kind": kind, **why}])

    def change(self, changes: Sequence[Mapping[str, Any]]) -> int:
        """Changes of the inventory, as `embed.schema.json` has them, in their order. Gives how many objects there are now."""
        request = {"version": _native.VERSION, "changes": list(changes)}
        try:
            written = _bytes(request, "the changes")
        except InputError as error:
            raise InventoryError(error.problems) from None
        said = self._engine.inventory(written)
        if said is None:
            raise closed()
        found = json.loads(said[1])
        if not found["ok"]:
            raise InventoryError(_problems(found["problems"]))
        return int(found["objects"])

    def close(self) -> None:
        """Lets go of what there is, when reviews that are under way have ended. May be called twice."""
        self._engine.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed: then all calls raise ClosedError."""
        return self._engine.closed

    def __enter__(self) -> Policies:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        found = self._compiled
        state = "closed" if self.closed else f"{len(found.templates)} templates, {len(found.constraints)} constraints"
        return f"<Policies: {state}>"

    @staticmethod
    def _checked(said: Optional[tuple[bool, str]]) -> Outcome:
        if said is None:
            raise closed()
        outcome = Outcome(*said)
        # What is allowed was judged.
        if not outcome.allowed and not outcome.ok:
            raise ReviewError(outcome.problems)
        return outcome


def read_files(*paths: Union[str, Path]) -> dict[str, str]:
    """The texts of files, and of all `.yaml`, `.yml` and `.json` files below directories, by name and in order.

    Raises PolicyError if one cannot be read, or is no text.
    """
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for given in paths:
        path = Path(given)
        files = [path]
        if path.is_dir():
            below = (file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
            files = sorted(below)
            if not files:
                problems.append(Problem("no-input", f"{path}: there are no .yaml, .yml or .json files below it"))
        for file in files:
            try:
                found[str(file)] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                problems.append(Problem("unreadable", f"{file}: {error}"))
    if problems:
        raise PolicyError(problems)
    return found


def _not_judged(error: InputError) -> Outcome:
    """As the engine says it of what it cannot read."""
    problem = error.problems[0]
    answer = {
        "allowed": False,
        "denials": [],
        "excepted": [],
        "excluded": False,
        "findings": [],
        "ok": False,
        "problems": [{"code": problem.code, "message": problem.message, "severity": "error"}],
        "uid": "",
        "version": _native.VERSION,
        "warnings": [],
    }
    return Outcome(False, json.dumps(answer, separators=(",", ":")))


def _refusal(message: str) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "allowed": False,
            "status": {"code": 400, "message": message, "reason": "BadRequest"},
            "uid": "",
        },
    }
