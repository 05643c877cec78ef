"""One session for all calls, or one for each."""

import os
import tempfile

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from bridge import ThreadSafeAdapter, tool

FOUND = "session"
TABLE = sa.Table("parts", sa.MetaData(), sa.Column("name", sa.String))


class Stored(ThreadSafeAdapter):
    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "parts.db")
        self.engine = sa.create_engine(
            f"sqlite:///{path}", connect_args={"timeout": 30, "check_same_thread": False}
        )
        TABLE.create(self.engine)

    def close(self):
        self.engine.dispose()
        self.folder.cleanup()


class Wrong(Stored):
    def setup(self):
        super().setup()
        self.session = Session(self.engine)

    @tool(examples=[["nut"], ["bolt"]])
    def count(self, name: str) -> int:
        return len(self.session.execute(sa.select(TABLE).where(TABLE.c.name == name)).all())

    def close(self):
        self.session.close()
        super().close()


class Right(Stored):
    def setup(self):
        super().setup()
        self.sessions = sessionmaker(self.engine)

    @tool(examples=[["nut"], ["bolt"]])
    def count(self, name: str) -> int:
        with self.sessions() as session:
            return len(session.execute(sa.select(TABLE).where(TABLE.c.name == name)).all())
