"""The key was there when it was looked for and is gone when it is deleted: `KeyError`."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "tokens"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.tokens = {}

    @tool(examples=[["t1", "ann"], ["t2", "bob"]])
    def login(self, token, user):
        self.tokens.setdefault(token, user)

    @tool(examples=[["t1"], ["t2"]])
    def logout(self, token):
        if token in self.tokens:
            user = self.tokens[token]
            del self.tokens[token]
            return user
        return None


class Mended(ThreadSafeAdapter):
    """`setdefault` and `pop` with a default look and act in one step."""

    def setup(self):
        self.tokens = {}

    @tool(examples=[["t1", "ann"], ["t2", "bob"]])
    def login(self, token, user):
        self.tokens.setdefault(token, user)

    @tool(examples=[["t1"], ["t2"]])
    def logout(self, token):
        return self.tokens.pop(token, None)
