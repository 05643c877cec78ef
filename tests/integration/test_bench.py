"""``scripts/bench``: a short run of the real machinery, and its arithmetic."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from scripts.benchmarks import cli, report
from scripts.benchmarks.figures import Measurement, Results, Spread, paired_ratio
from scripts.benchmarks.targets import TARGETS
from scripts.benchmarks.workloads import WORKLOADS
from tests.waiting import PROGRAM_S, wait_until

ROOT = Path(__file__).parents[2]
needs_elixir = pytest.mark.skipif(shutil.which("elixirc") is None, reason="there is no Elixir")


def bench(*arguments: str, **more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scripts.benchmarks", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes, **more)


def results(figures: dict[tuple[str, str], list[float]], metric: str = "calls_s") -> Results:
    return Results(
        Measurement(workload, subject, number, {metric: value})
        for (workload, subject), values in figures.items()
        for number, value in enumerate(values, 1)
    )


# -- the machinery ----------------------------------------------------------------------------


@needs_elixir
def test_a_quick_run_measures_both_sides_of_a_ratio(tmp_path):
    file = tmp_path / "figures.json"
    run = bench("--quick", "--only", "window", "--subjects", "bridge", "--json", str(file))
    out, err = run.communicate(timeout=PROGRAM_S)
    assert run.returncode == 0, err + out
    data = json.loads(file.read_text())
    # the bare loop was not asked for, but the bridge is compared with it
    assert [m["subject"] for m in data["measurements"]] == ["bare", "bridge"]
    assert all(m["figures"]["calls_s"] > 100 for m in data["measurements"])
    (target,) = [t for t in data["targets"] if t["text"] == "64 in flight: bridge / bare loop"]
    bare, bridge = (m["figures"]["calls_s"] for m in data["measurements"])
    assert target["figure"]["median"] == pytest.approx(bridge / bare)
    assert "x bare loop" in out


@needs_elixir
def test_a_quick_run_of_a_load_tells_slow_calls_and_the_time_of_both_sides(tmp_path):
    file = tmp_path / "figures.json"
    run = bench(
        "--quick", "--only", "maps,growth_calls", "--subjects", "client", "--json", str(file)
    )
    out, err = run.communicate(timeout=PROGRAM_S)
    assert run.returncode == 0, err + out
    measured = {
        (m["workload"], m["subject"]): m["figures"]
        for m in json.loads(file.read_text())["measurements"]
    }
    assert set(measured) == {(w, s) for w in ("maps", "growth_calls") for s in ("bare", "client")}
    figures = measured["maps", "client"]
    assert 0 < figures["p50_us"] <= figures["p99_us"] <= figures["p999_us"]
    assert figures["cpu_python_us"] > 0
    assert figures["cpu_elixir_us"] > 0
    points = measured["growth_calls", "client"]["points"]
    assert [calls for calls, _ in points] == [3_000, 10_000, 30_000]
    assert "p99.9" in out


def test_a_load_without_its_package_is_left_out_and_said(monkeypatch, capsys):
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert cli.main(["--only", "predict", "--list"]) == 0
    told = capsys.readouterr()
    assert "predict" not in told.out
    assert "there is no sklearn" in told.err


@needs_elixir
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_prints_what_is_there_and_leaves_nothing_behind():
    mark = f"BENCH_TEST={uuid.uuid4()}"

    def running():
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark.encode() in path.read_bytes():
                    yield path
            except OSError:
                continue

    name, _, value = mark.partition("=")
    arguments = ("--quick", "--rounds", "1000", "--only", "window,mixed", "--subjects", "bridge")
    run = bench(*arguments, env={**os.environ, name: value})
    for line in run.stderr:
        if line.startswith("round 2/"):
            break
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=PROGRAM_S)
    assert run.returncode == 130, err
    assert "Interrupted" in out
    assert "echo, 64 calls in flight" in out
    wait_until(lambda: not list(running()))


def test_names_that_do_not_exist_are_told_before_anything_runs(capsys):
    assert cli.main(["--only", "window,windmill"]) == 2
    assert "windmill" in capsys.readouterr().err


# -- the arithmetic ---------------------------------------------------------------------------


def test_a_spread_is_the_median_and_both_ends():
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0, 3)
    assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.0, 2.0, 2)
    assert Spread.of([]) is None


def test_ratios_are_made_within_a_round():
    # the machine is half as fast in the second round: the ratio is that of the programs
    ours, theirs = {1: 80.0, 2: 40.0, 3: 90.0}, {1: 100.0, 2: 50.0, 4: 1.0}
    assert paired_ratio(ours, theirs) == Spread(0.8, 0.8, 0.8, 2)
    assert paired_ratio({1: 1.0}, {2: 1.0}) is None
    assert paired_ratio({1: 1.0}, {1: 0.0}) is None


def test_what_failed_is_in_no_figure():
    found = results({("window", "bare"): [100.0, 200.0]})
    found.add(Measurement("window", "bare", 3, {}, "it ended"))
    found.add(Measurement("window", "bridge", 3, {}, "it ended"))
    assert found.spread("window", "bare", "calls_s") == Spread(150.0, 100.0, 200.0, 2)
    assert found.subjects("window") == ["bare"]
    assert list(found.errors()) == [("window", "bare"), ("window", "bridge")]


def test_a_curve_has_a_spread_at_each_point():
    found = Results(
        [
            Measurement("growth", "bridge", 1, {"points": [[1, 10.0], [64, 20.0]]}),
            Measurement("growth", "bridge", 2, {"points": [[1, 12.0]]}),
        ]
    )
    assert found.points("growth", "bridge") == [
        (1, Spread(11.0, 10.0, 12.0, 2)),
        (64, Spread(20.0, 20.0, 20.0, 1)),
    ]


@pytest.mark.parametrize(
    ("bare", "bridge", "met"),
    [([100.0], [75.0], True), ([100.0], [74.0], False), ([100.0] * 3, [10.0, 76.0, 80.0], True)],
)
def test_a_target_is_judged_by_the_median_ratio(bare, bridge, met):
    found = results({("window", "bare"): bare, ("window", "bridge"): bridge})
    judged = {v.target.text: v.met for v in report.verdicts(found, {})}
    assert judged["64 in flight: bridge / bare loop"] is met
    # what was not measured is neither met nor missed
    assert judged["16 x 50 ms sleeps on 16 workers"] is None


def test_a_target_for_times_is_met_from_below():
    found = results({("sleeps", "bridge"): [52.0]}, "ms")
    (verdict,) = [v for v in report.verdicts(found, {}) if v.target.workload == "sleeps"]
    assert verdict.met
    header, row = report.target_rows([verdict])
    assert row == (verdict.target.text, "≤ 53.0 ms", "52.00 ms", "52.00 .. 52.00", "met")
    assert len(header) == len(row)


def test_targets_name_workloads_and_subjects_that_are_measured():
    workloads = {workload.name: workload for workload in WORKLOADS}
    for target in TARGETS:
        named = [(target.workload, target.subject)]
        for workload, subject in named + ([target.against] if target.against else []):
            assert subject.removesuffix("@") in workloads[workload].subjects
