"""The command-line door: `python -m mergeit_ops COMMAND`."""

from mergeit_ops.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
