"""The engine that trains and draws at Replicate. Importing it loads neither httpx nor Pillow."""
