"""``bridge tools``."""

import json


def test_tools_lists_signatures_marks_and_summaries(run):
    code, out, err = run("tools", "command_tools:Tools")
    assert (code, err) == (0, "")
    lines = {line.split("(")[0]: line for line in out.splitlines()}
    assert list(lines) == sorted(lines)
    assert lines["add"].split("  ")[0] == "add(a: int, b: int = 1)"
    assert lines["add"].endswith("  Add two numbers.")
    assert lines["count"].endswith("  [streams] [serial] Count.")
    assert lines["later"].endswith("  [async] Async.")
    assert lines["nothing"] == "nothing()"
    assert lines["waits"] == "waits()"


def test_tools_as_json_are_what_the_protocol_answers(run):
    code, out, _ = run("tools", "command_tools:Tools", "--json")
    described = {tool["name"]: tool for tool in json.loads(out)}
    assert code == 0
    assert described["count"]["streaming"] is True
    assert described["add"]["parameters"][1] == {
        "name": "b",
        "kind": "either",
        "annotation": "int",
        "required": False,
        "default": 1,
    }
