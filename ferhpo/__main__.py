"""``python -m ferhpo`` is the command ``ferhpo``."""

from ferhpo.cli.main import main

main()
