"""One picture is drawn on by all calls, or copied by each."""

from PIL import Image, ImageDraw

from bridge import ThreadSafeAdapter, tool

FOUND = "blank"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.blank = Image.new("L", (8, 8))

    @tool(examples=[[1], [2]])
    def dot(self, x: int) -> int:
        self.blank.putpixel((x, x), 255)
        return self.blank.getpixel((x, x))


class Right(ThreadSafeAdapter):
    def setup(self):
        self.blank = Image.new("L", (8, 8))

    @tool(examples=[[1], [2]])
    def dot(self, x: int) -> int:
        own = self.blank.copy()
        ImageDraw.Draw(own).point((x, x), 255)
        return own.getpixel((x, x))
