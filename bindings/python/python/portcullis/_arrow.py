"""Columns of Arrow in, columns of Arrow out."""

from __future__ import annotations

import json
from typing import Any, Iterable, Iterator, Sequence, Union

import pyarrow as pa

from portcullis import _native
from portcullis._errors import closed

#: So many objects go to the engine at once: a batch may have millions.
_AT_ONCE = 1024

#: What comes out beside the columns that are kept.
RESULT = (
    pa.field("allowed", pa.bool_(), nullable=False),
    pa.field("ok", pa.bool_(), nullable=False),
    pa.field("denials", pa.list_(pa.string()), nullable=False),
    pa.field("outcome", pa.string(), nullable=False),
)


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    return any(
        test(kind) for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def record_batches(batches: Union[pa.Table, pa.RecordBatch, Iterable[pa.RecordBatch]]) -> Iterable[pa.RecordBatch]:
    if isinstance(batches, pa.RecordBatch):
        return [batches]
    if isinstance(batches, pa.Table):
        found: Iterable[pa.RecordBatch] = batches.to_batches()
        return found
    if hasattr(batches, "__arrow_c_stream__") and not hasattr(batches, "__iter__"):
        stream: Iterable[pa.RecordBatch] = pa.RecordBatchReader.from_stream(batches)
        return stream
    return batches


def judged(engine: _native.Engine, texts: pa.Array, options: bytes, threads: int) -> Iterator[tuple[bool, str]]:
    """What comes of a column of texts. A null is no object, as no bytes are."""
    for start in range(0, len(texts), _AT_ONCE):
        column = texts.slice(start, _AT_ONCE).to_pylist()
        said = engine.review_all([b"" if text is None else text for text in column], options, threads)
        if said is None:
            raise closed()
        yield from said


def review_batches(
    engine: _native.Engine,
    batches: Union[pa.Table, pa.RecordBatch, Iterable[pa.RecordBatch]],
    options: bytes,
    column: str,
    keep: Sequence[str],
    threads: int,
) -> Iterator[pa.RecordBatch]:
    for batch in record_batches(batches):
        texts = batch.column(column)
        if not _is_text(texts.type):
            raise TypeError(f"expected a column of strings or binary values, `{column}` is of {texts.type}")
        allowed: list[bool] = []
        ok: list[bool] = []
        denials: list[Any] = []
        outcomes: list[str] = []
        for good, answer in judged(engine, texts, options, threads):
            found = None if good else json.loads(answer)
            allowed.append(good)
            ok.append(found is None or found["ok"])
            denials.append([] if found is None else found["denials"])
            outcomes.append(answer)
        arrays = [batch.column(name) for name in keep]
        fields = [batch.schema.field(name) for name in keep]
        results = [
            pa.array(values, field.type) for values, field in zip((allowed, ok, denials, outcomes), RESULT)
        ]
        yield pa.RecordBatch.from_arrays(arrays + results, schema=pa.schema([*fields, *RESULT]))
