"""`python -m loradeck` is the `loradeck` command."""

from loradeck.server.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
