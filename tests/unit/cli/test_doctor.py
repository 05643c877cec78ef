"""``bridge doctor``."""

import sys

import bridge


def test_doctor_shows_interpreter_packages_and_descriptors(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run("doctor")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert rows["bridge"] == bridge.__version__
    assert sys.executable in rows["python"]
    assert "GIL o" in rows["python"]
    assert rows["msgpack"][0].isdigit()
    assert rows["elixir"].startswith("not found; on Debian")
    assert {"numpy", "grpcio", "workers", "stdin", "stdout", "stderr"} <= rows.keys()


def test_doctor_sets_an_adapter_up_and_tells_whether_it_is_thread_safe(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, out, _ = run("doctor", "command_tools:Tools")
    assert code == 0
    assert "closed\n" in out
    assert out.endswith("adapter     command_tools:Tools: 12 tools, declares itself thread-safe\n")
    assert run("doctor", "command_tools:Careful")[1].endswith("1 tools, needs --max-workers 1\n")
