"""The engine that trains and draws at fal. Importing it loads neither httpx nor Pillow."""
