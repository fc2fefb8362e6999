"""`python -m selfheal.stack.patient FOLDER NAME PORT`: the patient's parent."""

import sys
from pathlib import Path

from selfheal.common.clock import SystemClock
from selfheal.stack.patient.parent import serve

if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), SystemClock()))
