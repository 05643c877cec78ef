"""A model is trained while others predict with it, or only predicts, with ``torch.no_grad()``."""

import torch

from bridge import ThreadSafeAdapter, tool

FOUND = "model"
POINTS = [[[[0.0, 1.0], [2.0, 3.0]]]]


class Right(ThreadSafeAdapter):
    def setup(self):
        torch.set_num_threads(1)
        torch.manual_seed(0)
        layers = (torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
        self.model = torch.nn.Sequential(*layers).eval()

    @tool(examples=POINTS)
    def predict(self, points: list[list[float]]) -> list[float]:
        with torch.no_grad():
            return self.model(torch.tensor(points)).flatten().tolist()

    @tool(examples=POINTS)
    def predict_in_inference_mode(self, points: list[list[float]]) -> int:
        with torch.inference_mode():
            return len(self.model(torch.tensor(points)))

    @torch.no_grad()
    def _scores(self, points):
        return self.model(points)

    @tool(examples=POINTS)
    def predict_decorated(self, points: list[list[float]]) -> int:
        return len(self._scores(torch.tensor(points)))


class Wrong(Right):
    @tool
    def learn(self) -> None:
        self.model.train()
        self.model(torch.ones(2, 2)).sum().backward()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter -= 0.01 * parameter.grad
        self.model.eval()
