"""Two threads both find no list for the topic, and the second replaces the list of the first."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "subscribers"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.subscribers = {}

    @tool(examples=[["news", "ann"], ["sport", "bob"]])
    def subscribe(self, topic, user):
        if topic not in self.subscribers:
            self.subscribers[topic] = []
        self.subscribers[topic].append(user)
        return len(self.subscribers[topic])


class Mended(ThreadSafeAdapter):
    """`dict.setdefault` finds or inserts in one step, and `list.append` is atomic, too."""

    def setup(self):
        self.subscribers = {}

    @tool(examples=[["news", "ann"], ["sport", "bob"]])
    def subscribe(self, topic, user):
        users = self.subscribers.setdefault(topic, [])
        users.append(user)
        return len(users)
