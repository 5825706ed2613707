"""OpenAI's chat completions, whole and streamed, and embeddings: answers that follow from the question alone.

Every chat becomes a row of kind `completion`: its model, its last question, what it came to, and whether its reply was
taken to the end.
"""

from sandbox.openai.routes import Options, create_app, seed

__all__ = ["Options", "create_app", "seed"]
