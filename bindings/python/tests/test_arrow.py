"""Columns of Arrow in and out. Skipped without pyarrow."""

import json
import unittest

import portcullis
from support import NO_HOST_PID, pod, text

try:
    import pyarrow as pa
except ImportError:
    pa = None


@unittest.skipIf(pa is None, "SKIPPED: pyarrow is not here")
class Arrow(unittest.TestCase):
    def setUp(self):
        self.policies = portcullis.Policies.from_text(NO_HOST_PID)
        self.texts = [text(pod(f"p{i}", i % 3 == 0)) for i in range(3000)]

    def results(self, batches, **more):
        return pa.Table.from_batches(list(self.policies.review_batches(batches, **more)))

    def test_all_sorts_of_columns(self):
        for kind in [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()]:
            texts = self.texts if kind in (pa.string(), pa.large_string()) else [one.encode() for one in self.texts]
            table = pa.table({"id": pa.array(range(3000)), "object": pa.array(texts, kind)})
            for batches in [table, table.to_batches(max_chunksize=700), table.combine_chunks().to_batches()[0], table.to_reader(100)]:
                found = self.results(batches, keep=["id"], threads=2)
                self.assertEqual(found.column_names, ["id", "allowed", "ok", "denials", "outcome"])
                self.assertEqual(found["id"].to_pylist(), list(range(3000)))
                self.assertEqual(found["allowed"].to_pylist(), [i % 3 != 0 for i in range(3000)])
                self.assertEqual(found["ok"].to_pylist(), [True] * 3000)
                self.assertEqual(found["denials"].to_pylist()[3], ["[no-host-pid] pod p3 shares the node's processes"])
                self.assertEqual(json.loads(found["outcome"][3].as_py())["object"]["name"], "p3")

    def test_slices_nulls_and_what_is_broken(self):
        column = pa.array([None, self.texts[0], "{", self.texts[1], ""]).slice(0, 4)
        found = self.results(pa.record_batch({"object": column}))
        self.assertEqual(found["ok"].to_pylist(), [False, True, False, True])
        self.assertEqual(found["allowed"].to_pylist(), [False, False, False, True])
        empty = pa.record_batch({"object": pa.array([], pa.string())})
        self.assertEqual(self.results(empty).num_rows, 0)

    def test_other_columns_are_refused(self):
        batch = pa.record_batch({"object": [1, 2]})
        with self.assertRaisesRegex(TypeError, "is of int64"):
            list(self.policies.review_batches(batch))
        with self.assertRaises(KeyError):
            list(self.policies.review_batches(batch, column="nothing"))
        batch = pa.record_batch({"object": self.texts[:1]})
        self.policies.close()
        with self.assertRaises(portcullis.ClosedError):
            list(self.policies.review_batches(batch))

    def test_batches_are_taken_one_by_one(self):
        taken = 0

        def source():
            nonlocal taken
            while True:
                taken += 1
                yield pa.record_batch({"object": self.texts[:5]})

        found = self.policies.review_batches(source())
        next(found), next(found)
        self.assertLessEqual(taken, 3)


if __name__ == "__main__":
    unittest.main()
