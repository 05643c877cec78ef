"""`vars()` of an object is all its attributes, which another call is changing."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "point"


class Point:
    def __init__(self):
        self.x, self.y = 0, 0


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.point = Point()

    @tool(examples=[[1], [2]])
    def move(self, by):
        with self.acquire_lock():
            self.point.x += by
            self.point.y -= by

    @tool(examples=[[]])
    def look(self):
        return dict(vars(self.point))


class Mended(ThreadSafeAdapter):
    """The attributes are copied under the lock under which they are written."""

    def setup(self):
        self.point = Point()

    @tool(examples=[[1], [2]])
    def move(self, by):
        with self.acquire_lock():
            self.point.x += by
            self.point.y -= by

    @tool(examples=[[]])
    def look(self):
        with self.acquire_lock():
            return dict(vars(self.point))
