"""Audits of tables with Apache Spark: the workers judge, in Arrow's form, and the same is found as by `portcullis audit`.

    from portcullis import spark

    policies = portcullis.spark.read_policies("policies/")
    found = spark.findings(table, policies)        # one row for each violation and for each unknown
    found.write.parquet("findings")
    spark.summary(spark.outcomes(table, policies))

`table` has a column of texts, one object each. A policy that compares objects needs a first pass over the table: what such policies read
is collected, once, and sent to the workers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, Optional, Sequence, Union

import pyarrow as pa

from portcullis import Options, Policies
from portcullis._arrow import judged, review_batches
from portcullis._errors import InventoryError
from portcullis._policies import read_files
from portcullis._results import Problem

if TYPE_CHECKING:
    from pyspark.broadcast import Broadcast
    from pyspark.sql import DataFrame

#: What comes out of `outcomes`, beside the columns that are kept.
OUTCOMES = "allowed boolean not null, ok boolean not null, denials array<string> not null, outcome string not null"
#: What comes out of `findings`, beside the columns that are kept.
FINDINGS = "finding string not null"

#: Kinds that every audit looks at first: where objects live, and the Namespaces that constraints select by.
_ALWAYS = frozenset({("v1", "Namespace"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")})
#: Policies that each worker has compiled, by what they are made of; the last few.
_ENGINES: dict[str, Policies] = {}
_MOST_ENGINES = 4


@dataclass(frozen=True)
class Job:
    """What the workers need."""

    documents: Mapping[str, str]
    options: Options
    allow_unsupported: bool = False
    #: Most bytes of what policies compare with, which each worker has in memory.
    inventory_bytes: int = 512 << 20


def read_policies(
    *paths: Union[str, Path],
    now_ms: Optional[int] = None,
    default_namespace: Optional[str] = None,
    allow_unsupported: bool = False,
    inventory_bytes: int = 512 << 20,
) -> Job:
    """Reads policies on the driver, and compiles them once to see that they are right.

    `now_ms` is the time that policies see, on all workers alike: that of this call, if not given.
    """
    documents = read_files(*paths)
    return job(
        documents,
        now_ms=now_ms,
        default_namespace=default_namespace,
        allow_unsupported=allow_unsupported,
        inventory_bytes=inventory_bytes,
    )


def job(
    documents: Mapping[str, str],
    *,
    now_ms: Optional[int] = None,
    default_namespace: Optional[str] = None,
    allow_unsupported: bool = False,
    inventory_bytes: int = 512 << 20,
) -> Job:
    """The same, of texts by name."""
    Policies.compile(documents, allow_unsupported=allow_unsupported).close()
    options = Options(point="audit.gatekeeper.sh", default_namespace=default_namespace, now_ms=now_ms, seed=0)
    # Without positions: nobody opens the texts of a table.
    now = json.loads(options._json())["nowMs"]
    return Job(dict(documents), replace(options, now_ms=now, positions=False), allow_unsupported, inventory_bytes)


def outcomes(table: DataFrame, policies: Job, *, column: str = "object", keep: Sequence[str] = ()) -> DataFrame:
    """What the policies say of each object: the columns `keep`, then those of `OUTCOMES`, in any order of rows."""
    world = _world(table, policies, column)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = _engine(policies, *world.value)
        return review_batches(found._engine, batches, policies.options._json(), column, keep, 1)

    return table.mapInArrow(work, _schema(table, keep, OUTCOMES))


def findings(table: DataFrame, policies: Job, *, column: str = "object", keep: Sequence[str] = ()) -> DataFrame:
    """All that is not a pass: the columns `keep`, and `finding`, which is the JSON of a finding as `portcullis audit -o json` lists it,
    with sorted keys, and without the place in a file. An object that could not be judged is a finding with `problem`."""
    world = _world(table, policies, column)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = _engine(policies, *world.value)
        options = policies.options._json()
        for batch in batches:
            rows: list[int] = []
            lines: list[str] = []
            for row, (_, answer) in enumerate(judged(found._engine, batch.column(column), options, 1)):
                for line in finding_lines(answer):
                    rows.append(row)
                    lines.append(line)
            kept = [batch.column(name).take(pa.array(rows, pa.int64())) for name in keep]
            yield pa.RecordBatch.from_arrays([*kept, pa.array(lines, pa.string())], names=[*keep, "finding"])

    return table.mapInArrow(work, _schema(table, keep, FINDINGS))


def finding_lines(answer: str) -> Iterator[str]:
    """The findings of a `reviewAnswer`, as the audit lists them."""
    # What nothing is found in is most of it, and is not read.
    if '"findings":[]' in answer and '"problems":[]' in answer:
        return
    found = json.loads(answer)
    api_version = found.get("object", {}).get("apiVersion", "")
    group, _, version = api_version.rpartition("/")
    where = found.get("object", {})
    name = {
        "group": group,
        "version": version,
        "kind": where.get("kind", ""),
        "namespace": where.get("namespace", ""),
        "name": where.get("name", ""),
    }
    for problem in found["problems"]:
        if problem["severity"] == "error":
            yield _line({"object": name, "problem": problem})
    for finding in found["findings"]:
        key = finding["constraint"]
        yield _line(
            {
                "object": name,
                "constraint": f"{key['kind']}/{key['name']}",
                "verdict": "unknown" if finding["error"] else "violation",
                "message": finding["message"],
                "actions": finding["actions"],
                "details": finding["details"],
            }
        )


def audited_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The findings of a report of `portcullis audit -o json`, in the form of `findings`: to compare both."""
    for finding in report["findings"]:
        yield _line({key: finding[key] for key in ("object", "constraint", "verdict", "message", "actions", "details")})


def summary(judged_objects: DataFrame) -> dict[str, int]:
    """How many objects of `outcomes` there are, are not allowed, and could not be judged."""
    from pyspark.sql import functions

    def count(column: Any) -> Any:
        return functions.count(functions.when(~column, True))

    row = judged_objects.agg(
        functions.count("*").alias("objects"),
        count(functions.col("allowed")).alias("denied"),
        count(functions.col("ok")).alias("unjudged"),
    ).first()
    return {name: int(row[name]) for name in ("objects", "denied", "unjudged")} if row else {}


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _schema(table: DataFrame, keep: Sequence[str], more: str) -> str:
    kinds = dict(table.dtypes)
    return ", ".join([*(f"`{name}` {kinds[name]}" for name in keep), more])


def _world(table: DataFrame, policies: Job, column: str) -> Broadcast[tuple[str, list[str]]]:
    """The first pass: what policies compare with, on all workers."""
    compiled = Policies.compile(policies.documents, allow_unsupported=policies.allow_unsupported)
    reads = compiled.compiled.reads
    compiled.close()
    objects: list[str] = []
    size = 0
    pick = _picker(reads)

    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            texts = [text for text in batch.column(column).to_pylist() if text is not None]
            kept = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts if pick(text)]
            yield pa.RecordBatch.from_arrays([pa.array(kept, pa.string())], names=["object"])

    for row in table.select(column).mapInArrow(work, "object string").toLocalIterator(prefetchPartitions=False):
        objects.append(row[0])
        size += len(row[0])
        if size > policies.inventory_bytes:
            message = (
                f"what the policies compare objects with has more than the {policies.inventory_bytes} bytes of "
                "`inventory_bytes`, which every worker would have in memory"
            )
            raise InventoryError([Problem("limit", message)])
    # In any order of partitions the same.
    objects.sort()
    hashed = sha256(repr((sorted(policies.documents.items()), policies.allow_unsupported)).encode())
    for text in objects:
        hashed.update(text.encode("utf-8", "replace") + b"\0")
    return table.sparkSession.sparkContext.broadcast((hashed.hexdigest(), objects))


def _picker(reads: Sequence[tuple[Optional[str], Optional[str]]]) -> Callable[[Union[str, bytes]], bool]:
    """Whether a text is of a kind that policies compare with. What cannot be told is kept, so that it is not taken for nothing."""
    wanted = _ALWAYS | set(reads)
    anything = any(kind is None for _, kind in wanted)
    words = {json.dumps(kind)[1:-1] for _, kind in wanted if kind is not None}

    def pick(text: Union[str, bytes]) -> bool:
        if anything:
            return True
        decoded = text if isinstance(text, str) else text.decode("utf-8", "replace")
        # Most are not of them, and are not read.
        # A kind may be written with escapes of JSON or YAML.
        if "\\" not in decoded and not any(word in decoded for word in words):
            return False
        try:
            found = json.loads(decoded)
        except (ValueError, RecursionError):
            return True
        if not isinstance(found, dict):
            return True
        api_version, kind = found.get("apiVersion"), found.get("kind")
        return any(kind == of and version in (None, api_version) for version, of in wanted)

    return pick


def _engine(policies: Job, key: str, objects: list[str]) -> Policies:
    """The policies, compiled once in each worker, with what they compare with."""
    found = _ENGINES.get(key)
    if found is not None:
        return found
    made = Policies.compile(policies.documents, allow_unsupported=policies.allow_unsupported)
    wrong: list[Problem] = []
    for start in range(0, len(objects), 1000):
        try:
            made.upsert(*objects[start : start + 1000])
        except InventoryError as error:
            wrong.extend(error.problems)
    # A text that is no object may be what is missing: nothing that compares objects can be evaluated then.
    if wrong:
        for api_version, kind in made.compiled.reads:
            if kind is None:
                # There is no kind to name, and no verdict to rely on.
                raise InventoryError(wrong)
            # Who reads any version reads this one as well.
            made.unreadable(api_version or "unreadable/v1", kind, f"an object of the table cannot be read: {wrong[0]}")
    while len(_ENGINES) >= _MOST_ENGINES:
        _ENGINES.pop(next(iter(_ENGINES))).close()
    _ENGINES[key] = made
    return made
