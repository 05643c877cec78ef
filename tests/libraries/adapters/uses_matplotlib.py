"""The current figure of pyplot, or a figure for each call."""

import io

from bridge import ThreadSafeAdapter, tool

FOUND = "pyplot"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        import matplotlib as mpl

        mpl.use("agg")

    @tool(examples=[[[1, 2, 3]]])
    def draw(self, values: list[int]) -> int:
        import matplotlib.pyplot as plt

        plt.figure()
        plt.plot(values)
        picture = io.BytesIO()
        plt.savefig(picture, dpi=20)
        plt.close()
        return 0


class Right(ThreadSafeAdapter):
    @tool(examples=[[[1, 2, 3]]])
    def draw(self, values: list[int]) -> int:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure()
        figure.add_subplot().plot(values)
        FigureCanvasAgg(figure).print_png(io.BytesIO())
        return 0
