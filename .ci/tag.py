"""Names this interpreter and platform; with `locked`, turns pip's report of an installation into a file of hashes."""

import json
import sys
import sysconfig


def tag() -> str:
    """Return, for instance, `cp311-linux-x86_64`."""
    return f"cp{sys.version_info[0]}{sys.version_info[1]}-{sysconfig.get_platform()}"


def locked() -> str:
    """Return one line for each file of the report on standard input, but for this project itself."""
    lines = [
        f"{one['metadata']['name'].lower()}=={one['metadata']['version']}"
        f" --hash=sha256:{one['download_info']['archive_info']['hashes']['sha256']}"
        for one in json.load(sys.stdin)["install"]
        if "archive_info" in one["download_info"]
    ]
    head = f"# Made by .ci/lock for {tag()}: what CI tests with. pip takes these files and no others.\n"
    return head + "\n".join(sorted(lines))


print(locked() if sys.argv[1:] == ["locked"] else tag())
