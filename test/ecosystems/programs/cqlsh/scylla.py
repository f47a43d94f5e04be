"""scylla-cqlsh as it comes, but for its end: the event loop of its driver sometimes misses that, and would be waited for for 5 seconds."""

import os
import sys

if __name__ == "__main__":
    from cqlsh.__main__ import main

    sys.argv[0] = "cqlsh"
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)
