"""The wizard: a Textual app over the engine. Screens paint the board, dialogs answer for the operator."""
