"""A table, judged by the workers of Spark, beside `portcullis audit` of the same objects. Skipped without pyspark, Java or the program."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import portcullis
from support import NO_HOST_PID, UNIQUE_HOST, ingress, pod, text

try:
    import pandas  # Spark asks for it.
    import pyspark
    from pyspark.sql import SparkSession

    from portcullis import spark as on_spark
except ImportError:
    pyspark = None

AUDIT = os.environ.get("PORTCULLIS_AUDIT")
JAVA = os.environ.get("JAVA_HOME") or shutil.which("java")
MISSING = [name for name, there in [("pyspark", pyspark), ("Java", JAVA), ("PORTCULLIS_AUDIT", AUDIT)] if not there]

TWO_ANSWERS = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: twoanswers}
spec:
  crd: {spec: {names: {kind: TwoAnswers}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package twoanswers
      port = p { p := input.review.object.spec.ports[_].port }
      violation[{"msg": msg, "details": {"port": port, "half": 0.5, "é": [null, true]}}] { port > 1024; msg := "the port is hïgh" }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: TwoAnswers
metadata: {name: two-answers}
spec: {enforcementAction: warn, match: {kinds: [{apiGroups: [""], kinds: [Service]}]}}
"""


def service(name, ports):
    meta = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": [{"port": port} for port in ports]}}


def generated(count):
    """Objects of all sorts, of which some refer to others."""
    chance = random.Random(7)
    for namespace, quiet in [("shop", False), ("blog", False), ("quiet", True)]:
        labels = {"quiet": "yes"} if quiet else {}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    for number in range(count):
        kind = number % 10
        if kind < 6:
            yield pod(f"pod-{number}", chance.random() < 0.1, ["shop", "blog"][number % 2])
        elif kind < 8:
            yield service(f"service-{number}", [80, 81] if chance.random() < 0.05 else [chance.choice([80, 8080])])
        elif kind == 8 and number % 100 == 8:
            yield ingress(f"web-{number}", f"host-{chance.randrange(count // 100 + 2)}.example.com", ["shop", "quiet"][chance.randrange(2)])
        else:
            meta = {"name": f"config-{number}", "namespace": "shop"}
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"text": "x" * 50}}


@unittest.skipIf(MISSING, f"SKIPPED: not here: {', '.join(MISSING)}")
class Spark(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        builder = SparkSession.builder.master("local[2]").appName("portcullis")
        builder = builder.config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
        builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "1000")
        cls.spark = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
        cls.spark.sparkContext.setLogLevel("ERROR")

    @classmethod
    def tearDownClass(cls):
        cls.spark.stop()

    def test_the_same_is_found_as_by_one_audit(self):
        objects = list(generated(3000))
        policies = {"pid.yaml": NO_HOST_PID, "host.yaml": UNIQUE_HOST, "ports.yaml": TWO_ANSWERS}
        with tempfile.TemporaryDirectory() as folder:
            for name, written in policies.items():
                Path(folder, name).write_text(written)
            dump = Path(folder, "dump")
            dump.mkdir()
            (dump / "dump.ndjson").write_text("".join(text(obj) + "\n" for obj in objects))
            audit = [AUDIT, *(arg for name in policies for arg in ("-p", name)), "dump", "-o", "json"]
            run = subprocess.run(audit, cwd=folder, capture_output=True, text=True)
            self.assertEqual(run.returncode, 2, run.stderr)
            report = json.loads(run.stdout)
        expected = sorted(on_spark.audited_lines(report))
        self.assertEqual({json.loads(line)["constraint"] for line in expected}, {"NoHostPid/no-host-pid", "UniqueHost/unique-host", "TwoAnswers/two-answers"})
        self.assertTrue(any(json.loads(line)["verdict"] == "unknown" for line in expected))

        rows = [(number, text(obj)) for number, obj in enumerate(objects)]
        random.Random(3).shuffle(rows)
        table = self.spark.createDataFrame(rows, "id long, object string").repartition(5)
        job = on_spark.job(policies)
        found = sorted(row.finding for row in on_spark.findings(table, job).collect())
        self.assertEqual(found, expected)

        outcomes = on_spark.outcomes(table, job, keep=["id"]).cache()
        self.assertEqual(outcomes.count(), len(objects))
        bad = {row.id for row in outcomes.where("not allowed").select("id").collect()}
        denied = {number for number, obj in enumerate(objects) if obj["kind"] == "Pod" and obj["spec"]["hostPID"]}
        self.assertTrue(denied <= bad)
        self.assertEqual(on_spark.summary(outcomes), {"objects": len(objects), "denied": len(bad), "unjudged": 0})

    def test_binary_columns_and_what_cannot_be_judged(self):
        rows = [(bytearray(text(pod("bad", True)).encode()),), (bytearray(b"{"),), (None,), (bytearray(text(pod("good")).encode()),)]
        table = self.spark.createDataFrame(rows, "text binary")
        job = on_spark.job({"p.yaml": NO_HOST_PID})
        found = on_spark.outcomes(table, job, column="text")
        self.assertEqual(sorted((row.ok, row.allowed) for row in found.collect()), [(False, False), (False, False), (True, False), (True, True)])
        self.assertEqual(on_spark.summary(found), {"objects": 4, "denied": 3, "unjudged": 2})
        lines = [json.loads(row.finding) for row in on_spark.findings(table, job, column="text").collect()]
        self.assertEqual(sorted("problem" in line for line in lines), [False, True, True])

    def test_what_cannot_be_read_may_be_what_is_compared_with(self):
        rows = [(text(ingress("a", "x")),), ('{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", ',)]
        table = self.spark.createDataFrame(rows, "object string")
        lines = [json.loads(row.finding) for row in on_spark.findings(table, on_spark.job({"p.yaml": UNIQUE_HOST})).collect()]
        self.assertEqual(sorted(line.get("verdict", "problem") for line in lines), ["problem", "unknown"])

    def test_what_cannot_be_read_fails_policies_that_name_no_kind(self):
        rows = [(text(ingress("a", "x")),), ('{"kind": ',)]
        table = self.spark.createDataFrame(rows, "object string")
        job = on_spark.job({"p.yaml": UNIQUE_HOST.replace(".Ingress[name]", "[_][name]")})
        with self.assertRaisesRegex(Exception, "is not closed"):
            on_spark.findings(table, job).collect()

    def test_too_much_to_compare_with_is_said(self):
        table = self.spark.createDataFrame([(text(ingress(str(number), "x")),) for number in range(50)], "object string")
        with self.assertRaisesRegex(portcullis.InventoryError, "inventory_bytes"):
            on_spark.findings(table, on_spark.job({"p.yaml": UNIQUE_HOST}, inventory_bytes=1000))
        with self.assertRaises(portcullis.PolicyError):
            on_spark.job({"p.yaml": "{"})

    def test_the_code_of_the_manual(self):
        from support import ROOT

        page = (ROOT / "docs/spark.md").read_text(encoding="utf-8")
        code = page.split("<!-- run: spark -->\n```python\n")[1].split("\n```\n")[0]
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policies").mkdir()
            Path(folder, "policies", "policy.yaml").write_text(NO_HOST_PID)
            self.spark.createDataFrame([(text(pod("bad", True)),), (text(pod("good")),)], "object string").write.parquet(f"{folder}/objects")
            before = os.getcwd()
            os.chdir(folder)
            try:
                code = code.replace('"objects/"', repr(f"{folder}/objects")).replace('"findings/"', repr(f"{folder}/findings"))
                names = {"spark": self.spark}
                exec(compile(code, "spark.md", "exec"), names)
                self.assertEqual(self.spark.read.parquet(f"{folder}/findings").count(), 1)
            finally:
                os.chdir(before)


if __name__ == "__main__":
    unittest.main()
