"""`pyplot` draws into a current figure that is one for the process: titles land on other plots."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "matplotlib"
GRADE = "documented"
REQUIRES = "matplotlib"


class Broken(ThreadSafeAdapter):
    def setup(self):
        import matplotlib

        matplotlib.use("agg")

    @tool(examples=[["temperature", [3, 5, 4]], ["rain", [0, 2, 1]]])
    def plot(self, title, values):
        from matplotlib import pyplot

        pyplot.figure()
        pyplot.plot(values)
        pyplot.title(title)
        drawn = pyplot.gca().get_title()
        pyplot.close()
        return drawn


class Mended(ThreadSafeAdapter):
    """A `Figure` made in the call, without `pyplot`, belongs to the call."""

    @tool(examples=[["temperature", [3, 5, 4]], ["rain", [0, 2, 1]]])
    def plot(self, title, values):
        from matplotlib.figure import Figure

        axes = Figure().subplots()
        axes.plot(values)
        axes.set_title(title)
        return axes.get_title()
