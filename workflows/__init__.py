"""Long-running work on Temporal. Workflows decide the order of steps, activities do them, a worker runs both.

Nothing here speaks HTTP or GraphQL: activities call datasources. Resolvers may read `contracts` and nothing else.
"""
