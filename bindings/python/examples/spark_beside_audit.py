"""An audit on Spark beside one of the program, of the same objects: `spark_beside_audit.py POLICIES COUNT PROGRAM`.

`POLICIES` is a folder, `COUNT` how many objects are generated, `PROGRAM` is `portcullis` or `portcullis-audit`. Both audit on two cores; that
both find the same is checked line by line after sorting. Says the wall time of both, and the most memory that each process had.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from pyspark.sql import SparkSession

from portcullis import spark as on_spark

CHANCE = random.Random(11)


def metadata(name, **more):
    labels = {"app": name, "owner": "team-a.example"} if CHANCE.random() < 0.9 else {}
    return {"name": name, "namespace": CHANCE.choice(["shop", "blog", "batch"]), "labels": labels, **more}


def pod_spec():
    container = {
        "name": "web",
        "image": CHANCE.choice(["openpolicyagent/opa@sha256:" + "a" * 64] * 9 + ["nginx:latest"]),
        "resources": {"limits": {"cpu": "100m", "memory": CHANCE.choice(["100Mi", "100Mi", "100Mi", "4Gi"])}, "requests": {"cpu": "100m", "memory": "100Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": CHANCE.random() < 0.05,
            "privileged": CHANCE.random() < 0.02,
            "readOnlyRootFilesystem": CHANCE.random() < 0.95,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
    }
    return {"automountServiceAccountToken": False, "hostPID": CHANCE.random() < 0.02, "containers": [container]}


def generated(count):
    """Most are as they should be; some are not, and some hosts are taken twice."""
    for name in ("shop", "blog", "batch"):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"owner": "team-a.example"}}}
    for number in range(count - 3):
        part = number % 20
        if part < 10:
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(f"pod-{number}"), "spec": pod_spec()}
        elif part < 13:
            meta = metadata(f"deployment-{number}")
            spec = {"replicas": CHANCE.randrange(1, 60), "selector": {"matchLabels": meta["labels"]}}
            spec["template"] = {"metadata": {"labels": meta["labels"]}, "spec": pod_spec()}
            yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
        elif part < 16:
            spec = {"type": CHANCE.choice(["ClusterIP"] * 18 + ["NodePort", "LoadBalancer"]), "ports": [{"port": 80}], "selector": {"app": f"service-{number}"}}
            yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata(f"service-{number}"), "spec": spec}
        elif part < 17:
            host = f"host-{CHANCE.randrange(count * 2)}.example.com"
            meta = metadata(f"ingress-{number}", annotations={"kubernetes.io/ingress.allow-http": "false"})
            spec = {"tls": [{"hosts": [host]}], "rules": [{"host": host}]}
            yield {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": spec}
        else:
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(f"config-{number}"), "data": {"text": "x" * 100}}


class Memory(threading.Thread):
    """The most that each process below this one has had, by what it is."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.is_over = {}, False

    def run(self):
        while not self.is_over:
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                    kibibytes = int(status.get("VmRSS", "0 kB").split()[0])
                except (OSError, ValueError):
                    continue
                kind = "a worker" if "pyspark.daemon" in command else "the JVM" if "SparkSubmit" in command else None
                if kind and kibibytes > self.most.get((kind, folder.name), 0):
                    self.most[kind, folder.name] = kibibytes
            time.sleep(0.2)


def audited(line):
    """A line of `--ndjson`, as Spark has it."""
    found = json.loads(line)
    if "resourceKind" not in found:
        return None
    where = {"group": found.get("resourceGroup", ""), "version": found["resourceAPIVersion"], "kind": found["resourceKind"], "namespace": found.get("resourceNamespace", ""), "name": found["resourceName"]}
    return (json.dumps(where, sort_keys=True), f"{found['kind']}/{found['name']}", found["verdict"], found["message"], found["enforcementAction"], json.dumps(found.get("details", {}), sort_keys=True))


def on_table(line):
    found = json.loads(line)
    [action] = found["actions"]
    where = {"namespace": "", **found["object"]}
    return (json.dumps(where, sort_keys=True), found["constraint"], found["verdict"], found["message"], action, json.dumps(found.get("details", {}), sort_keys=True))


def main():
    policies, count, program = Path(sys.argv[1]).resolve(), int(sys.argv[2]), Path(sys.argv[3]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        dump, lines = Path(folder, "objects.ndjson"), Path(folder, "findings.ndjson")
        with dump.open("w") as out:
            for obj in generated(count):
                out.write(json.dumps(obj, separators=(",", ":")) + "\n")
        print(f"{count} objects, {dump.stat().st_size >> 20} MiB")

        began = time.monotonic()
        run = subprocess.run([program, "audit", "-p", policies, dump, "--max-memory", "2GiB", "--ndjson", lines], capture_output=True, text=True)
        took = time.monotonic() - began
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print("\n".join(run.stdout.splitlines()[-3:]), run.stderr[-1000:])
        print(f"portcullis audit: exit code {run.returncode}, {took:.1f} s, {most >> 10} MiB")

        builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.memory", "2g")
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        table = session.read.text(str(dump)).withColumnRenamed("value", "object")
        memory = Memory()
        memory.start()
        began = time.monotonic()
        found = on_spark.findings(table, on_spark.read_policies(policies, inventory_bytes=1 << 30))
        found.write.text(str(Path(folder, "found")))
        took = time.monotonic() - began
        memory.is_over = True
        memory.join()
        print(f"Spark, local[2]: {took:.1f} s")
        for (kind, number), kibibytes in sorted(memory.most.items()):
            print(f"  {kind}: {kibibytes >> 10} MiB")
        session.stop()

        expected = sorted(filter(None, map(audited, lines.open())))
        paths = sorted(Path(folder, "found").glob("part-*"))
        said = sorted(on_table(line) for path in paths for line in path.open())
        same = expected == said
        print(f"{len(expected)} findings of the audit, {len(said)} of Spark: {'the same' if same else 'NOT THE SAME'}")
        if not same:
            print([line for line in expected if line not in set(said)][:3], [line for line in said if line not in set(expected)][:3])
        sys.exit(0 if same and expected else 1)


if __name__ == "__main__":
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    main()
