"""What the tests share."""

import json
import os
from pathlib import Path

ROOT = Path(os.environ.get("PORTCULLIS_ROOT", Path(__file__).resolve().parents[3]))

NO_HOST_PID = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostpid}
spec:
  crd: {spec: {names: {kind: NoHostPid}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostpid
      violation[{"msg": msg, "details": {"path": ["spec", "hostPID"]}}] {
        input.review.object.spec.hostPID
        msg := sprintf("pod %v shares the node's processes", [input.review.object.metadata.name])
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoHostPid, metadata: {name: no-host-pid}}
"""

UNIQUE_HOST = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package uniquehost
      violation[{"msg": msg}] {
        host := input.review.object.spec.rules[_].host
        other := data.inventory.namespace[ns][_].Ingress[name]
        other.spec.rules[_].host == host
        [ns, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
        msg := sprintf("host %v is that of %v/%v too", [host, ns, name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: UniqueHost
metadata: {name: unique-host}
spec:
  match:
    kinds: [{apiGroups: [networking.k8s.io], kinds: [Ingress]}]
    namespaceSelector: {matchExpressions: [{key: quiet, operator: DoesNotExist}]}
"""

SLOW = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: slow}
spec:
  crd: {spec: {names: {kind: Slow}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package slow
      violation[{"msg": msg}] {
        count([1 | numbers.range(1, 3000)[_] > 0; numbers.range(1, 3000)[_] > 0]) == 1
        msg := "never"
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Slow, metadata: {name: slow}}
"""


def pod(name, host_pid=False, namespace="shop"):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hostPID": host_pid, "containers": [{"name": "c", "image": "web:1"}]},
    }


def ingress(name, host, namespace="shop"):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [{"host": host}]},
    }


def text(obj):
    return json.dumps(obj)
