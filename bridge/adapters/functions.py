"""Functions of modules that were written for nobody's bridge: for people from ErlPort and Snex.

``--adapter bridge.adapters.functions:Functions --allow numpy.linalg,math`` serves the public functions
that these modules define themselves, as ``numpy.linalg.norm`` and ``math.sqrt``. Nothing is looked up
when a call comes: what is not in the list that was made at the start does not exist, so there are no
attributes of attributes, no modules that a module has imported, and no functions of theirs.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from bridge import AdapterError, ThreadSafeAdapter

from ..tool import Tool, ToolOptions

#: Whose functions run programs or code, open files or reach into the interpreter.
REFUSED_MODULES = frozenset(
    [
        *("builtins", "os", "posix", "sys", "subprocess", "shutil", "pathlib", "io", "tempfile"),
        *("importlib", "imp", "runpy", "code", "codeop", "ctypes", "gc", "inspect", "ast", "pty"),
        *("pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "socket"),
        *("multiprocessing", "threading", "_thread", "signal", "operator", "functools", "bridge"),
        *("ftplib", "http", "urllib", "webbrowser", "timeit", "cProfile", "profile", "pdb", "bdb"),
        *("pip", "setuptools", "distutils", "venv", "ensurepip", "zipapp", "zipimport", "pkgutil"),
        *(
            "compileall",
            "py_compile",
            "doctest",
            "unittest",
            "test",
            "trace",
            "site",
            "rlcompleter",
        ),
        *("posixpath", "ntpath", "genericpath", "nt", "fileinput", "modulefinder", "resource"),
        *("idlelib", "tkinter", "turtle", "lib2to3", "xmlrpc", "socketserver", "smtplib", "msilib"),
    ]
)
#: The same of modules that are harmless otherwise: names, and what they begin with.
_REFUSED_NAMES = frozenset(
    [
        *("load", "loads", "save", "savez", "savez_compressed", "savetxt", "memmap", "fromregex"),
        *("system", "popen", "spawn", "fork", "unlink", "rmtree", "compile", "get_data", "main"),
    ]
)
_REFUSED_BEGINNINGS = ("load", "from_pickle", "fromfile", "genfromtxt", "read_", "to_", "open", "exec", "eval")  # fmt: skip


class Functions(ThreadSafeAdapter):
    """The public functions of the modules that ``--allow`` names.

    They run on several threads at once; with libraries that are not made for that, ``--max-workers
    1``.
    """

    __needs_token__ = True
    allowed: tuple[str, ...] = ()

    @classmethod
    def allowing(cls, names: tuple[str, ...]) -> type[Functions]:
        """The same, for these modules."""
        return type(cls.__name__, (cls,), {"allowed": names, "__module__": cls.__module__})

    def __bind_tools__(self) -> dict[str, Tool]:
        """What is served, by name.

        Raises:
            AdapterError: No module is named, or one that there is not, or that is refused.
        """
        if not self.allowed:
            raise AdapterError(
                "bridge.adapters.functions:Functions serves nothing until modules are named: --allow "
                "numpy.linalg,math (allow: in the Elixir client)"
            )
        tools = {}
        for name in self.allowed:
            found = public_functions(_module(name))
            if not found:
                raise AdapterError(f"--allow {name}: the module defines no public functions itself")
            for function_name, function in found.items():
                full = f"{name}.{function_name}"
                tools[full] = Tool(full, function, ToolOptions(None, None, False, validate=False))
        return tools


def public_functions(module: ModuleType) -> dict[str, Any]:
    """The functions that a module defines itself and shows: no classes, no modules, no aliases."""
    shown = getattr(module, "__all__", None)
    found = {}
    for name, value in sorted(vars(module).items()):
        if name.startswith("_") or (shown is not None and name not in shown):
            continue
        if isinstance(value, type | ModuleType) or not callable(value):
            continue
        try:
            own = value.__module__ == module.__name__ and value.__name__ == name
        except AttributeError:
            continue
        if own and name not in _REFUSED_NAMES and not name.startswith(_REFUSED_BEGINNINGS):
            found[name] = value
    return found


def _check_name(allowed: str, name: str) -> None:
    first = name.partition(".")[0]
    if first in REFUSED_MODULES or first.startswith("_"):
        raise AdapterError(
            f"--allow {allowed}: its functions run code or programs, or open files; write an adapter with "
            "the one that you need, marked @tool"
        )


def _module(name: str) -> ModuleType:
    _check_name(name, name)
    try:
        module = importlib.import_module(name)
        # one may be known under several names, as os is below six.moves
        _check_name(name, str(module.__name__))
        return module
    except ImportError as error:
        parent = name.rpartition(".")[0]
        more = f"; --allow names modules, whole: {parent}" if parent else ""
        raise AdapterError(f"--allow {name}: there is no such module ({error}){more}") from None
