"""The connection that store functions are given: one transaction of whichever database it is."""

from sqlalchemy import Connection

__all__ = ["Connection"]
