"""Run the command line as `python -m tritonforge`."""

from tritonforge.cli import main

if __name__ == "__main__":
    main()
