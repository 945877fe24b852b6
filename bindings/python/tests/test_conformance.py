"""The bytes of the engine's answers are those of every other language."""

import json
import unittest

import portcullis
from portcullis import _native
from support import ROOT


class Conformance(unittest.TestCase):
    def test_all_answers(self):
        cases = json.loads((ROOT / "testdata/embed/conformance.json").read_text(encoding="utf-8"))
        steps = 0
        for case in cases:
            engine = None
            for step in case["steps"]:
                with self.subTest(case=case["name"], request=step["request"][:200]):
                    request, options = step["request"].encode(), step["options"].encode()
                    if step["call"] == "compile":
                        made, answer = _native.Engine.compile(request)
                        engine = made or engine
                    elif step["call"] == "inventory":
                        answer = engine.inventory(request)[1]
                    elif step["call"] == "review":
                        answer = engine.review(request, options)[1]
                        self.assertEqual(engine.review_all([request] * 3, options, 2)[2][1], answer)
                    elif step["call"] == "admit":
                        answer = engine.admit(request, options)[1]
                    else:
                        self.fail(f"there is no call {step['call']}")
                    self.assertEqual(answer, step["answer"])
                    steps += 1
        self.assertGreater(steps, 30)

    def test_classes_read_all_answers(self):
        cases = json.loads((ROOT / "testdata/embed/conformance.json").read_text(encoding="utf-8"))
        read = 0
        for step in (step for case in cases for step in case["steps"] if step["call"] == "review"):
            found = json.loads(step["answer"])
            outcome = portcullis.Outcome(found["allowed"], step["answer"])
            self.assertEqual(outcome.ok, found["ok"])
            self.assertEqual([finding.message for finding in outcome.findings], [f["message"] for f in found["findings"]])
            self.assertEqual(len(outcome.problems), len(found["problems"]))
            self.assertTrue(outcome._repr_html_().startswith("<div>"))
            repr(outcome), outcome.excepted, outcome.uid, outcome.object
            read += 1
        self.assertGreater(read, 10)


if __name__ == "__main__":
    unittest.main()
