"""`len` and `append` are atomic each, but two threads see one length and get one number."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "patients"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.patients = []

    @tool(examples=[["Ada"], ["Alan"]])
    def admit(self, name):
        number = len(self.patients)
        self.patients.append(name)
        return number


class Mended(ThreadSafeAdapter):
    """The lock holds the length still until the name is in."""

    def setup(self):
        self.patients = []

    @tool(examples=[["Ada"], ["Alan"]])
    def admit(self, name):
        with self.acquire_lock():
            number = len(self.patients)
            self.patients.append(name)
        return number
