"""The environment is one for the process: a call's setting is read by all the others."""

import os
import string

from bridge import ThreadSafeAdapter, tool

EXPECTED = "os.environ"
GRADE = "documented"


class Broken(ThreadSafeAdapter):
    @tool(examples=[["ann", "/mail/$OWNER/in"], ["bob", "/home/$OWNER"]])
    def expand(self, user, path):
        os.environ["OWNER"] = user
        try:
            return os.path.expandvars(path)
        finally:
            del os.environ["OWNER"]


class Mended(ThreadSafeAdapter):
    """The variables are an argument; the environment is only read, into a copy."""

    @tool(examples=[["ann", "/mail/$OWNER/in"], ["bob", "/home/$OWNER"]])
    def expand(self, user, path):
        variables = {**os.environ, "OWNER": user}
        return string.Template(path).safe_substitute(variables)
