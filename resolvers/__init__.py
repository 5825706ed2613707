"""Decisions: which rows are whose, what joins to what, how pages are cut. One module per domain.

Functions take a `Context` first and speak in the datasources' records; nothing here knows HTTP or Strawberry.
"""
