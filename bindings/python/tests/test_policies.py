"""The package as programs use it, and misuse it."""

import collections
import itertools
import os
import pickle
import signal
import tempfile
import threading
import time
import unittest
from pathlib import Path

import portcullis
from portcullis import Options
from support import NO_HOST_PID, ROOT, SLOW, UNIQUE_HOST, ingress, pod, text


class Policies(unittest.TestCase):
    def setUp(self):
        self.policies = portcullis.Policies.from_text(NO_HOST_PID)

    def test_outcomes(self):
        outcome = self.policies.review(pod("bad", True))
        self.assertIs(outcome.allowed, False)
        self.assertEqual(outcome.denials, ["[no-host-pid] pod bad shares the node's processes"])
        [finding] = outcome.findings
        self.assertEqual(str(finding.constraint), "NoHostPid/no-host-pid")
        self.assertEqual((finding.actions, finding.is_error), (("deny",), False))
        self.assertEqual(finding.position.field, "spec.hostPID")
        self.assertEqual(outcome.object["name"], "bad")
        self.assertIs(self.policies.review(text(pod("good"))).allowed, True)
        self.assertIs(self.policies.review(text(pod("bad", True)).encode()).allowed, False)
        self.assertIs(self.policies.review("{apiVersion: v1, kind: Pod, metadata: {name: yaml}, spec: {hostPID: true}}").allowed, False)
        self.assertEqual(pickle.loads(pickle.dumps(outcome)), outcome)
        with self.assertRaises(TypeError):
            bool(outcome)

    def test_policies_that_are_wrong(self):
        with self.assertRaises(portcullis.PolicyError) as caught:
            portcullis.Policies.from_text(NO_HOST_PID.replace("sprintf", "sprintff"))
        [problem] = [problem for problem in caught.exception.problems if "sprintff" in problem.message]
        self.assertEqual((problem.is_error, problem.location.file), (True, "policy-1.yaml"))
        self.assertIn("sprintff", str(caught.exception))
        self.assertEqual(str(pickle.loads(pickle.dumps(caught.exception))), str(caught.exception))
        for wrong in ["", "{", "\ud800", "kind: Pod"]:
            with self.assertRaises(portcullis.PolicyError):
                portcullis.Policies.from_text(wrong)
        with self.assertRaises(portcullis.PolicyError):
            portcullis.Policies.from_files("/nowhere/at/all.yaml")

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(portcullis.PolicyError):
                portcullis.Policies.from_files(folder)
            below = Path(folder, "below")
            below.mkdir()
            Path(below, "policy.yaml").write_text(NO_HOST_PID)
            Path(folder, "README.md").write_text("no policy: [")
            policies = portcullis.Policies.from_files(folder)
            self.assertEqual([str(one) for one in policies.compiled.constraints], ["NoHostPid/no-host-pid"])
            self.assertIn("1 templates, 1 constraints", repr(policies))
            Path(below, "latin.yaml").write_bytes(b"\xe9")
            with self.assertRaises(portcullis.PolicyError):
                portcullis.Policies.from_files(folder)

    def test_why(self):
        [why] = self.policies.explain(pod("bad", True), Options(name="bad.json"))
        self.assertEqual((str(why.constraint), why.applies, why.error, why.is_cut), ("NoHostPid/no-host-pid", True, None, False))
        [[rule]] = why.found.values()
        self.assertEqual([condition.holds for condition in rule.conditions], [True, True])
        condition = rule.conditions[0]
        self.assertEqual((condition.text, condition.location.line), ("input.review.object.spec.hostPID", 12))
        [fact] = condition.facts
        self.assertEqual((fact.kind, fact.name, fact.value, fact.holds), ("field", "spec.hostPID", True, True))
        self.assertEqual(fact.location.file, "bad.json")
        self.assertIn("12 | input.review.object.spec.hostPID\n", str(why))
        self.assertIn("field spec.hostPID = true (bad.json:1:", str(why))
        [passes] = self.policies.explain(pod("good"))
        self.assertEqual((dict(passes.found), passes.missed[0].holds), ({}, False))
        self.assertIn("<-- does not hold", str(passes))
        self.assertEqual(self.policies.review(pod("bad", True)).explanations, ())
        [finding] = self.policies.review(pod("bad", True), Options(fixes=True)).findings
        self.assertTrue(finding.fix.is_decided)
        self.assertEqual([edit.path for edit in finding.fix.edits], ["spec.hostPID"])
        [finding] = self.policies.review(pod("bad", True)).findings
        self.assertIsNone(finding.fix)
        cut = self.policies.review(pod("bad", True), Options(explain="findings", explanations_bytes=0))
        self.assertEqual((len(cut.explanations), cut.unexplained), (1, 0))
        with self.assertRaises(portcullis.ReviewError):
            self.policies.explain(pod("bad", True), Options(explain="everything"))

    def test_what_there_is_no_json_of(self):
        deep = {}
        for _ in range(100_000):
            deep = {"a": deep}
        itself = pod("itself")
        itself["spec"]["self"] = itself
        unwritable = [
            {**pod("nan"), "x": float("nan")},
            {**pod("inf"), "x": float("-inf")},
            {**pod("set"), "x": {1, 2}},
            {**pod("bytes"), "x": b"1"},
            {**pod("key"), (1, 2): 1},
            {**pod("huge"), "x": 10**5000},
            deep,
            itself,
            "a\ud800b",
            [pod("list")],
            (pod("tuple"),),
            7,
            None,
            object(),
        ]
        for value in unwritable:
            with self.assertRaises(portcullis.InputError):
                self.policies.review(value)
            [outcome] = self.policies.review_many([value])
            self.assertEqual((outcome.allowed, outcome.ok), (False, False))
            answer = self.policies.review_request(value)
            self.assertIs(answer["response"]["allowed"], False)
        while deep:
            deep = deep.popitem()[1]

    def test_what_cannot_be_judged(self):
        broken = [
            "",
            "{",
            "null",
            "[]",
            "7",
            '"text"',
            b"\xff\xfe",
            b"\xff",
            "\0",
            "{}",
            {},
            {"kind": "Pod"},
            text(pod("a")) + text(pod("b")),
            "[" * 100_000,
            '{"a":' * 100_000,
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ["x"]}},
        ]
        for value in broken:
            with self.assertRaises(portcullis.ReviewError, msg=repr(value)[:50]) as caught:
                self.policies.review(value)
            self.assertTrue(caught.exception.problems)
            [outcome] = self.policies.review_many([value])
            self.assertEqual((outcome.allowed, outcome.ok), (False, False))
        # Whole as numbers of Python, escaped as texts of JSON.
        for value in [{**pod("big", True), "x": 2**200}, {**pod("big", True), "x": "\ud800\udc00"}]:
            self.assertIs(self.policies.review(value).allowed, False)

    def test_mappings(self):
        self.assertIs(self.policies.review(collections.OrderedDict(pod("bad", True))).allowed, False)
        self.assertIs(self.policies.review(collections.UserDict(pod("bad", True))).allowed, False)
        self.assertIs(self.policies.review(bytearray(text(pod("bad", True)).encode())).allowed, False)

    def test_requests(self):
        request = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "u1",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "operation": "CREATE",
                "name": "bad",
                "namespace": "shop",
                "userInfo": {"username": "me"},
                "object": pod("bad", True),
            },
        }
        answer = self.policies.review_request(request)["response"]
        self.assertEqual((answer["uid"], answer["allowed"], answer["status"]["code"]), ("u1", False, 403))
        self.assertEqual(self.policies.review(request).uid, "u1")
        self.assertIs(self.policies.review_request(pod("no request"))["response"]["allowed"], False)

    def test_inventory(self):
        policies = portcullis.Policies.from_text(UNIQUE_HOST)
        self.assertIn("Ingress", [kind for _, kind in policies.compiled.reads])
        again = ingress("b", "x.example.com")
        # The constraint selects by labels of Namespaces, which are not known yet.
        self.assertIs(policies.review(again).allowed, False)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
        self.assertIs(policies.review(again, Options(namespace=namespace)).allowed, True)
        before = policies.upsert(namespace)
        self.assertIs(policies.review(again).allowed, True)
        self.assertEqual(policies.upsert(ingress("a", "x.example.com")), before + 1)
        self.assertIs(policies.review(again).allowed, False)
        self.assertEqual(policies.remove("networking.k8s.io/v1", "Ingress", "a", "shop"), before)
        self.assertIs(policies.review(again).allowed, True)
        policies.unreadable("networking.k8s.io/v1", "Ingress", "forbidden")
        [finding] = policies.review(again).findings
        self.assertIs(finding.is_error, True)
        policies.unreadable("networking.k8s.io/v1", "Ingress", None)
        self.assertEqual(policies.replace_kind("networking.k8s.io/v1", "Ingress", [again]), before + 1)
        for wrong in [["x"], [{"op": "?"}], [{"op": "upsert", "object": {"x": float("nan")}}]]:
            with self.assertRaises(portcullis.InventoryError):
                policies.change(wrong)
        with self.assertRaises(portcullis.InventoryError):
            policies.upsert("{", text(ingress("c", "y")))

    def test_options(self):
        for wrong in [Options(point="nowhere"), Options(seed=-1), Options(limits={"paces": 1}), Options(now_ms=2**80)]:
            with self.assertRaises(portcullis.ReviewError):
                self.policies.review(pod("a"), wrong)
        outcome = self.policies.review(text(pod("bad", True)), Options(name="pod.json", point="audit.gatekeeper.sh"))
        self.assertEqual(outcome.findings[0].position.file, "pod.json")
        slow = portcullis.Policies.from_text(SLOW)
        outcome = slow.review(pod("a"), Options(timeout_ms=20, limits={"steps": 10**12, "memory": 10**15}))
        self.assertEqual((outcome.allowed, outcome.findings[0].limit), (False, "time"))

    def test_html_is_escaped(self):
        name = "<script>alert(1)</script>"
        page = self.policies.review({**pod(name, True), "kind": "<b>"})._repr_html_()
        self.assertNotIn("<script>", page)
        self.assertIn("&lt;script&gt;", page)
        self.assertIn("may not pass", page)
        [outcome] = self.policies.review_many(["<img src=x>"])
        self.assertNotIn("<img", outcome._repr_html_())
        self.assertIn("could not be judged", outcome._repr_html_())


class Many(unittest.TestCase):
    def setUp(self):
        self.policies = portcullis.Policies.from_text(NO_HOST_PID)

    def test_order(self):
        for threads in [0, 1, 3]:
            found = self.policies.review_many((pod(f"p{i}", i % 3 == 0) for i in range(1000)), threads=threads, ahead=37)
            found = [(outcome.object["name"], outcome.allowed) for outcome in found]
            self.assertEqual(found, [(f"p{i}", i % 3 != 0) for i in range(1000)])
        self.assertEqual(list(self.policies.review_many([])), [])

    def test_sources_that_never_end(self):
        taken = 0

        def source():
            nonlocal taken
            for number in itertools.count():
                taken += 1
                yield pod(f"p{number}")

        found = self.policies.review_many(source(), ahead=10)
        self.assertEqual(taken, 0)
        next(found)
        self.assertLessEqual(taken, 10)
        self.assertEqual(len(list(itertools.islice(found, 100))), 100)
        self.assertLessEqual(taken, 111)
        found.close()
        large = ({**pod("x"), "x": "y" * 1_000_000} for _ in itertools.count())
        taken = 0
        counted = (taken_one for taken_one in large)
        next(self.policies.review_many(counted, ahead_bytes=3_000_000))

    def test_sources_that_are_slow(self):
        def source():
            for number in range(4):
                time.sleep(0.06)
                yield pod(f"p{number}")

        began = time.monotonic()
        found = self.policies.review_many(source(), wait=0.05)
        next(found)
        self.assertLess(time.monotonic() - began, 0.18)
        self.assertEqual(len(list(found)), 3)

    def test_sources_that_raise(self):
        def source():
            yield pod("a", True)
            yield pod("b")
            raise OSError("the source is broken")

        found = []
        with self.assertRaisesRegex(OSError, "the source is broken"):
            for outcome in self.policies.review_many(source()):
                found.append(outcome.allowed)
        self.assertEqual(found, [False, True])
        with self.assertRaises(TypeError):
            list(self.policies.review_many(7))
        with self.assertRaises(ValueError):
            self.policies.review_many([], ahead=0)

    def test_what_cannot_be_judged_stands_in_its_place(self):
        objects = [pod("a"), "{", {"x": float("nan")}, pod("b", True), 7, pod("c")]
        found = [(outcome.ok, outcome.allowed) for outcome in self.policies.review_many(objects)]
        no, good, bad = (False, False), (True, True), (True, False)
        self.assertEqual(found, [good, no, no, bad, no, good])


class Life(unittest.TestCase):
    def test_closed(self):
        with portcullis.Policies.from_text(NO_HOST_PID) as policies:
            policies.review(pod("a"))
        policies.close()
        self.assertTrue(policies.closed)
        for call in [
            lambda: policies.review(pod("a")),
            lambda: list(policies.review_many([pod("a")])),
            lambda: policies.review_request({}),
            lambda: policies.upsert(pod("a")),
        ]:
            with self.assertRaises(portcullis.ClosedError):
                call()

    def test_closed_while_it_is_used(self):
        policies = portcullis.Policies.from_text(NO_HOST_PID)
        wrong = []

        def work():
            try:
                while True:
                    if policies.review(pod("bad", True)).allowed:
                        wrong.append("allowed")
            except portcullis.ClosedError:
                pass
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        policies.close()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive())
        self.assertEqual(wrong, [])

    def test_the_interpreter_is_not_held(self):
        policies = portcullis.Policies.from_text(SLOW)
        thread = threading.Thread(target=lambda: policies.review(pod("a"), Options(timeout_ms=500, limits={"steps": 10**12, "memory": 10**15})))
        thread.start()
        turns, until = 0, time.monotonic() + 0.3
        while time.monotonic() < until:
            turns += 1
        thread.join()
        self.assertGreater(turns, 1000)

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork here")
    def test_fork(self):
        policies = portcullis.Policies.from_text(NO_HOST_PID)
        list(policies.review_many([pod(str(i)) for i in range(50)]))
        child = os.fork()
        if child == 0:
            found = [outcome.allowed for outcome in policies.review_many([pod("bad", True), pod("good")])]
            os._exit(0 if found == [False, True] and not policies.review(pod("bad", True)).allowed else 1)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                self.assertEqual(os.waitstatus_to_exitcode(status), 0)
                return
            time.sleep(0.02)
        os.kill(child, signal.SIGKILL)
        self.fail("the child waits for something")

    def interrupted(self, work):
        def interrupt():
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)

        began = time.monotonic()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            work()
        thread.join()
        self.assertLess(time.monotonic() - began, 10)

    def test_interrupts_end_reviews(self):
        policies = portcullis.Policies.from_text(SLOW)
        endless = Options(limits={"steps": 10**12, "memory": 10**15}, timeout_ms=60_000)
        self.interrupted(lambda: policies.review(pod("a"), endless))
        self.interrupted(lambda: list(policies.review_many([pod("a"), pod("b")] * 3, endless, threads=2)))
        self.interrupted(lambda: list(policies.review_many(pod("a") for _ in itertools.count())))
        quick = portcullis.Policies.from_text(NO_HOST_PID)
        self.interrupted(lambda: list(quick.review_many((pod("a") for _ in itertools.count()), threads=1)))
        # And then as if nothing had been.
        self.assertIs(quick.review(pod("bad", True)).allowed, False)

    def test_many_threads(self):
        policies = portcullis.Policies.from_text(UNIQUE_HOST)
        policies.upsert({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        wrong = []

        def review():
            for _ in range(100):
                outcome = policies.review(ingress("b", "x.example.com"))
                if outcome.allowed != (not outcome.findings):
                    wrong.append(outcome)

        def change():
            for _ in range(50):
                policies.upsert(ingress("a", "x.example.com"))
                policies.remove("networking.k8s.io/v1", "Ingress", "a", "shop")

        threads = [threading.Thread(target=work) for work in [review, review, review, change]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


class Manual(unittest.TestCase):
    def test_the_code_of_the_manual(self):
        page = (ROOT / "docs/embedding.md").read_text(encoding="utf-8")
        code = page.split("<!-- run: python -->\n```python\n")[1].split("\n```\n")[0]
        samples = ROOT / "policies/pod-security/privileged-containers"
        policy = [(samples / name).read_text() for name in ("template.yaml", "samples/no-exemptions/constraint.yaml")]
        bad = (samples / "samples/no-exemptions/violation-privileged.yaml").read_text()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policy.yaml").write_text("\n---\n".join(policy))
            Path(folder, "pod.yaml").write_text(bad)
            before = os.getcwd()
            os.chdir(folder)
            try:
                names = {}
                exec(compile(code, "embedding.md", "exec"), names)
            finally:
                os.chdir(before)
        self.assertIs(names["outcome"].allowed, False)
        self.assertEqual(len(names["found"]), 1)


if __name__ == "__main__":
    unittest.main()
