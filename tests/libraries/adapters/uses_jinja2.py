"""An environment gets a global in each call, or everything before the first."""

import jinja2

from bridge import ThreadSafeAdapter, tool

FOUND = "templates"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.templates = jinja2.Environment()

    @tool(examples=[["ann"], ["bob"]])
    def greet(self, name: str) -> str:
        self.templates.globals["name"] = name
        return self.templates.from_string("hello {{ name }}").render()


class Right(ThreadSafeAdapter):
    def setup(self):
        self.templates = jinja2.Environment()
        self.greeting = self.templates.from_string("hello {{ name }}")

    @tool(examples=[["ann"], ["bob"]])
    def greet(self, name: str) -> str:
        return self.greeting.render(name=name)
