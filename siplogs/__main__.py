"""`python -m siplogs`."""

from siplogs.cli import main

main()
