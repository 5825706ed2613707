"""The browser page at /graphql: GraphiQL, bundled at set-up and served by the gateway itself.

The Python here serves the page; the JavaScript is bundled into `dist/` by `build.mjs`, which alone needs Node. Nothing
here knows the schema but `examples.py`, and nothing outside `server.py` imports this package.
"""
