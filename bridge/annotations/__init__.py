"""Annotations of parameters: what they promise, and how the promise is kept.

=============  ==============================================================================
``plain``      ``int``, ``float``, ``bool``, ``str``, ``bytes``, ``list``, ``dict``, ``None``
               and unions of them: read as text, for every tool; needs nothing
``typed``      everything else, for tools with ``validate``: msgspec, or pydantic
``expectations``  how the annotation of one parameter is checked
``resolve``    from what stands in the source to types; imports ``typing``
``forms``      what kind of type one is, and what is in it
``mending``    values that other languages cannot send in the form that msgspec wants
``arrays``     arguments that are arrays
``schema``     JSON Schema of a tool's parameters, made when somebody asks
=============  ==============================================================================

Importing this loads ``plain`` alone.
"""

from .plain import Checks, plain_checks

__all__ = ["Checks", "plain_checks"]
