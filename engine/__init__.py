"""How an operation is admitted and executed. Knows GraphQL and Strawberry, and no domain."""
