"""`catch_warnings` saves and restores the filters of the whole process, those of others included."""

import warnings

from bridge import ThreadSafeAdapter, tool

EXPECTED = "warnings"
GRADE = "documented"


def old_function(number):
    warnings.warn("use new_function", DeprecationWarning, stacklevel=2)
    return new_function(number)


def new_function(number):
    return number * 2


class Broken(ThreadSafeAdapter):
    @tool(examples=[[21]])
    def double(self, number):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return old_function(number)


class Mended(ThreadSafeAdapter):
    """The call does what the warning asks for."""

    @tool(examples=[[21]])
    def double(self, number):
        return new_function(number)
