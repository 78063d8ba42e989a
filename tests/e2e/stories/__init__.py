"""The stories: each function is a claim, and plays it on a stage of its own."""
