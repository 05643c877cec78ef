"""A model that keeps its input on itself between two steps scores the input of another call."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "features"


class Model:
    def __init__(self):
        self.weights = [0.5, -1.0, 2.0]

    def score(self, features):
        self.features = [value / 10 for value in features]
        return self._dot()

    def _dot(self):
        return sum(w * x for w, x in zip(self.weights, self.features, strict=True))


class StatelessModel:
    def __init__(self):
        self.weights = [0.5, -1.0, 2.0]

    def score(self, features):
        scaled = [value / 10 for value in features]
        return sum(w * x for w, x in zip(self.weights, scaled, strict=True))


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.model = Model()

    @tool(examples=[[[1, 2, 3]], [[3, 2, 1]]])
    def predict(self, features):
        return self.model.score(features)


class Mended(ThreadSafeAdapter):
    """The weights are loaded once and only read; the input stays in local variables."""

    def setup(self):
        self.model = StatelessModel()

    @tool(examples=[[[1, 2, 3]], [[3, 2, 1]]])
    def predict(self, features):
        return self.model.score(features)
