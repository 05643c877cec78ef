"""A fitted model is fitted anew while others predict, or replaced by another one."""

from sklearn.naive_bayes import GaussianNB

from bridge import ThreadSafeAdapter, tool

FOUND = "model"
POINTS, LABELS = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.model = GaussianNB().fit(POINTS, LABELS)

    @tool
    def learn(self) -> None:
        self.model.fit(POINTS, LABELS)

    @tool(examples=[[0.5], [2.5]])
    def predict(self, x: float) -> int:
        return int(self.model.predict([[x]])[0])


class Right(Wrong):
    @tool
    def learn(self) -> None:
        self.model = GaussianNB().fit(POINTS, LABELS)
