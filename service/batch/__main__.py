"""python -m service.batch SOURCE... --out FOLDER"""

import sys

from service.batch.command import main

sys.exit(main())
