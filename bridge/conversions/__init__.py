"""What arguments and results become beyond what the wire says: the types of an adapter, and of libraries.

``arguments`` makes of a call's arguments what the annotations of its tool name, tables and tensors above
all, and is loaded by the first tool that has such an annotation. Importing this loads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..signature import Signature
from ..typing_names import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: From what is given by position and by name to what the function shall have.
    Conversion = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]

#: The names, or ends of names, of the classes of libraries that arguments become.
_NAMES = ("DataFrame", "LazyFrame", "Table", "RecordBatch", "Tensor", "Series")


def check_functions(name: str, functions: object) -> Mapping[type, Callable[[Any], Any]]:
    """The ``encoders`` or ``decoders`` of an adapter.

    Args:
        name: Which.
        functions: What the adapter has under that name; None: nothing.

    Raises:
        TypeError: It is no map of classes to functions, or has a class that no function is asked for.
    """
    if not functions:
        return {}
    if not isinstance(functions, Mapping):
        raise TypeError(f"{name} must be a dict of classes and functions, got {functions!r:.60}")
    for kind, function in functions.items():
        if not isinstance(kind, type) or not callable(function):
            raise TypeError(
                f"{name} must be a dict of classes and functions, {{Money: str}}; got {kind!r:.60}: "
                f"{function!r:.60}"
            )
        if name == "encoders" and kind in _WITHOUT_CHOICE:
            raise TypeError(
                f"encoders: {kind.__name__} travels as it is; only a class derived from it can have "
                "another form"
            )
    return dict(functions)


#: What MessagePack has itself, and is never asked about.
_WITHOUT_CHOICE = frozenset(
    [bool, int, float, str, bytes, bytearray, memoryview, list, tuple, dict, type(None), object]
)


def find_conversion(
    name: str,
    function: Callable[..., Any],
    signature: Signature,
    decoders: Mapping[type, Callable[[Any], Any]],
    writable: bool,
) -> Conversion | None:
    """What makes the arguments of a tool what it expects; None: it takes what comes.

    Args:
        name: The tool's, for errors.
        function: What it calls, for the names in its annotations.
        signature: Its parameters.
        decoders: The adapter's functions, by the class that a parameter is annotated with.
        writable: Whether it may write to arrays.
    """
    texts = [parameter.annotation for parameter in signature.parameters if parameter.annotation]
    wanted = writable or any(word in text for text in texts for word in _NAMES)
    if not wanted and not (decoders and texts):
        return None
    from .arguments import new_conversion

    return new_conversion(name, function, signature, decoders, writable)
