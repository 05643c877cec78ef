"""While `list.sort` runs, the list is empty for everybody else: the best score is not there."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "scores"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.scores = [{"name": "ann", "points": 7}]

    @tool(examples=[["bob", 5], ["cid", 9]])
    def enter(self, name, points):
        self.scores.append({"name": name, "points": points})
        self.scores.sort(key=lambda score: -score["points"])

    @tool(examples=[[]])
    def best(self):
        return self.scores[0]["points"]


class Mended(ThreadSafeAdapter):
    """Scores are only appended; the reader sorts a copy of its own."""

    def setup(self):
        self.scores = [{"name": "ann", "points": 7}]

    @tool(examples=[["bob", 5], ["cid", 9]])
    def enter(self, name, points):
        self.scores.append({"name": name, "points": points})

    @tool(examples=[[]])
    def best(self):
        scores = self.scores.copy()
        scores.sort(key=lambda score: -score["points"])
        return scores[0]["points"]
