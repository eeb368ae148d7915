"""A lossless `.env` document, its rewrite, its diff and its way back."""
