"""`dict.update` writes what was computed from an earlier read, and undoes what came between."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "robot"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.robot = {"x": 0, "y": 0}

    @tool(examples=[[1, 0], [0, 1]])
    def move(self, dx, dy):
        self.robot.update(x=self.robot["x"] + dx, y=self.robot["y"] + dy)
        return dict(self.robot)


class Mended(ThreadSafeAdapter):
    """Reading, computing and updating are one step under the lock."""

    def setup(self):
        self.robot = {"x": 0, "y": 0}

    @tool(examples=[[1, 0], [0, 1]])
    def move(self, dx, dy):
        with self.acquire_lock():
            self.robot.update(x=self.robot["x"] + dx, y=self.robot["y"] + dy)
            return dict(self.robot)
