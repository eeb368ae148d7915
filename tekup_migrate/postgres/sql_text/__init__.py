"""Reading and rewriting names in SQL text, token by token, without touching anything else in it."""
