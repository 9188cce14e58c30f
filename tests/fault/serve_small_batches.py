"""`xinguan serve`, except that batches are small: so that a short answer is a stream of many."""

import sys

from gateway import server
from gateway.cli.main import main

BATCH_ROWS = 8

if __name__ == "__main__":
    server._BATCH_ROWS = BATCH_ROWS
    sys.argv[0] = "xinguan"
    main()
