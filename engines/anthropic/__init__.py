"""Claude looks at pictures: vision captions through Anthropic's API. Importing it loads neither the SDK nor Pillow."""
