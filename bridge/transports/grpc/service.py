"""A service: some methods that clients may call, and what their messages mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .caller import ToolCaller


class Service(ABC):
    """Derive from it to serve tools under a protocol of your own; ``BridgeService`` is one.

    A behavior that calls tools takes and returns bytes, makes a ``Responses`` for its request, and
    hands it to ``ToolCaller.call``. Any other is wrapped with ``ToolCaller.aside``, so that it is
    answered while every worker is busy.
    """

    #: The full name, ``package.Service``.
    name: str

    @abstractmethod
    def handlers(self) -> Mapping[str, Any]:
        """The methods, by name, each a ``grpc.RpcMethodHandler``. Called once, before the start."""

    def close(self) -> None:  # noqa: B027  most have nothing that lasts
        """End what would last, such as streams of events. Called once, after the last call."""


#: Makes a service when there are tools to be called: most often the class itself.
ServiceFactory: TypeAlias = Callable[[ToolCaller], Service]
