"""A table, judged by the workers of Ray: the code of the manual, beside one process. Skipped without ray."""

import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path

import portcullis
from support import NO_HOST_PID, ROOT, pod, text

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
    import ray
    import ray.data
except ImportError:
    ray = None


@unittest.skipIf(ray is None, "SKIPPED: not here: ray")
class Ray(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=200 << 20)

    @classmethod
    def tearDownClass(cls):
        ray.shutdown()

    def test_the_code_of_the_manual(self):
        manual = (ROOT / "docs/spark.md").read_text()
        code = manual.split("<!-- run: ray -->\n```python\n")[1].split("\n```\n")[0]
        objects = [text(pod(f"pod-{number}", number % 7 == 0)) for number in range(500)] + ["{", None]
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            policies = Path(folder, "policies")
            policies.mkdir()
            (policies / "pid.yaml").write_text(NO_HOST_PID)
            Path(folder, "objects").mkdir()
            for part in range(3):
                rows = objects[part::3]
                clusters = pa.array([f"c-{part}"] * len(rows))
                pq.write_table(pa.table({"cluster": clusters, "object": pa.array(rows, pa.string())}), Path(folder, "objects", f"{part}.parquet"))
            said, names = io.StringIO(), {"__name__": "__main__"}
            os.chdir(folder)
            try:
                with contextlib.redirect_stdout(said):
                    here = code.replace('"policies/"', repr(str(policies))).replace('"objects/"', repr(f"{folder}/objects"))
                    exec(here, names)
                found = names["outcomes"].take_all()
            finally:
                os.chdir(before)
        one = portcullis.Policies.from_text(NO_HOST_PID)
        expected = [outcome.allowed for outcome in one.review_many(["" if value is None else value for value in objects])]
        self.assertEqual(said.getvalue().strip(), str(expected.count(False)))
        self.assertEqual(sorted(row["allowed"] for row in found), sorted(expected))
        self.assertEqual({row["cluster"] for row in found}, {"c-0", "c-1", "c-2"})
        self.assertEqual(sum(not row["ok"] for row in found), 2)
        self.assertEqual({line for row in found for line in row["denials"]} & {"[no-host-pid] pod pod-7 shares the node's processes"}, {"[no-host-pid] pod pod-7 shares the node's processes"})


if __name__ == "__main__":
    unittest.main()
