"""Two threads read the same first letter before either deletes it; the second deletes another."""

from collections import deque

from bridge import ThreadSafeAdapter, tool

EXPECTED = "letters"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.letters = []

    @tool(examples=[["hello"], ["goodbye"]])
    def send(self, letter):
        self.letters.append(letter)

    @tool(examples=[[]])
    def receive(self):
        if not self.letters:
            return None
        letter = self.letters[0]
        del self.letters[0]
        return letter


class Mended(ThreadSafeAdapter):
    """`deque.append` and `deque.popleft` are atomic: a letter is taken by exactly one."""

    def setup(self):
        self.letters = deque()

    @tool(examples=[["hello"], ["goodbye"]])
    def send(self, letter):
        self.letters.append(letter)

    @tool(examples=[[]])
    def receive(self):
        try:
            return self.letters.popleft()
        except IndexError:
            return None
