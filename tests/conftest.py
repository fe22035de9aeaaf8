import os

import country

# Commands that tests start find the package too.
os.environ["PYTHONPATH"] = os.pathsep.join([str(country.ROOT / "workflow"), os.environ.get("PYTHONPATH", "")])
