"""Which version of Snakepit has started the process."""

import pytest

from bridge.snakepit.version import find_version

READY = {"SNAKEPIT_READY_FILE": "/tmp/ready"}
INSTANCE = ["--adapter", "a.B", "--snakepit-instance-name", "app"]


@pytest.mark.parametrize(
    "text",
    [
        '{application,snakepit,[{vsn,"0.9.1"},{modules,[]}]}.',
        '{application, snakepit,\n  [{description, "vsn"},\n   { vsn , "0.9.1-rc.1" }]}.',
    ],
)
def test_the_application_above_the_script_tells_it(tmp_path, text):
    (tmp_path / "ebin").mkdir()
    (tmp_path / "ebin" / "snakepit.app").write_text(text)
    script = str(tmp_path / "priv" / "python" / "grpc_server.py")
    assert find_version(script, INSTANCE, READY) == (0, 9, 1)


@pytest.mark.parametrize("text", [None, "", '{vsn,"next"}'])
@pytest.mark.parametrize(
    ("arguments", "environ", "version"),
    [
        ([], {}, (0, 6, 0)),
        # 0.8.1: priv/python/grpc_server.py, _signal_ready
        ([], READY, (0, 8, 1)),
        # 0.10.0: priv/python/grpc_server.py, --snakepit-instance-name
        (INSTANCE, READY, (0, 13, 0)),
    ],
)
def test_else_it_is_told_by_how_it_starts_its_workers(tmp_path, text, arguments, environ, version):
    if text is not None:
        (tmp_path / "ebin").mkdir()
        (tmp_path / "ebin" / "snakepit.app").write_text(text)
    script = str(tmp_path / "priv" / "python" / "grpc_server.py")
    assert find_version(script, arguments, environ) == version
    assert find_version(None, arguments, environ) == version
