"""Names of ``typing`` for annotations, without importing it, which costs 9 ms of every start.

Type checkers see the real names. At run time ``object`` stands in their place, so that
``typing.get_type_hints`` finds each name in the module whose annotations it reads. What is in
``collections.abc`` and ``types`` is loaded anyway and imported from there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Protocol as Protocol
    from typing import Self as Self
else:
    Any = Protocol = Self = object
