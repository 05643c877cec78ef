"""A call that wants other settings changes those of everybody until it puts them back."""

from dataclasses import dataclass, replace

from bridge import ThreadSafeAdapter, tool

EXPECTED = "digits"


@dataclass(frozen=True)
class Settings:
    digits: int = 2


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.settings = {"digits": 2}

    @tool(examples=[[3.14159, 4], [2.71828, 1]])
    def show(self, number, digits):
        usual = self.settings["digits"]
        self.settings["digits"] = digits
        text = self._format(number)
        self.settings["digits"] = usual
        return text

    def _format(self, number):
        return f"{number:.{self.settings['digits']}f}"


class Mended(ThreadSafeAdapter):
    """Settings are frozen after `setup()`; a call derives its own from them."""

    def setup(self):
        self.settings = Settings()

    @tool(examples=[[3.14159, 4], [2.71828, 1]])
    def show(self, number, digits):
        settings = replace(self.settings, digits=digits)
        return f"{number:.{settings.digits}f}"
