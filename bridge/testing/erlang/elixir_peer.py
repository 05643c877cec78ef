"""A peer that speaks of Erlang terms: a bridge as Elixir sees it."""

from __future__ import annotations

from ..inbox import PATIENCE_S
from ..port_peer import PortPeer
from .terms import from_python, to_python

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ElixirPeer(PortPeer):
    """A ``PortPeer`` whose arguments and results are Erlang terms, as Elixir's client has them.

    ``EncodeError`` is raised for an argument that the client refuses.
    """

    def request(
        self, method: str, params: list[Any] | dict[str, Any] | None = None, **options: Any
    ) -> int:
        """Send a request; ``params`` are terms, in a list or by name."""
        if isinstance(params, dict):
            params = {name: to_python(term) for name, term in params.items()}
        elif params is not None:
            params = [to_python(term) for term in params]
        return super().request(method, params, **options)

    def result(self, msgid: int, timeout_s: float = PATIENCE_S) -> Any:
        """Wait for the response to a request, a term. Raises the ``CallError`` in it."""
        return from_python(super().result(msgid, timeout_s))
