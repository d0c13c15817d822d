"""How many of the public names have types that pyright knows completely; one without is an error.

In the integrations it is none, for there the types of libraries are missing that are not installed.
"""

import json
import subprocess
import sys

command = [sys.executable, "-m", "pyright", "--verifytypes", "fastsoftmax", "--ignoreexternal", "--outputjson"]
report = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)["typeCompleteness"]
public = [symbol for symbol in report["symbols"] if symbol["isExported"]]
unknown = [symbol["name"] for symbol in public if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]]
if not public:
    sys.exit("pyright found no public name: install the package first, not as an editable one")
print(f"types are complete: {report['completenessScore']:.1%} of {len(public)} public names")
print("without:", *unknown or ["none"], sep="\n    ")
sys.exit(any(not name.startswith("fastsoftmax.integrations.") for name in unknown))
