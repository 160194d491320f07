"""The five clients of the endpoint's documentation, run as they stand there.

Only the host, the key and the model are put in. `samples/` holds their text, word for word.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.browser import SAY, what_chromium_says

SAMPLES = Path(__file__).parent / "samples"
HOST = "https://stablediffusionapi.com"
SECONDS = 600
OKHTTP = "com.squareup.okhttp3:okhttp:4.12.0"
IMPORTS = "import okhttp3.*;\n"

Client = Callable[[str, str, str, Path], str]
"""Given the gateway's address, a key, a model and a folder: what the client prints."""


def browser(address: str, key: str, model: str, folder: Path) -> str:
    """`fetch` in Chromium, from another origin."""
    script = _sample("fetch.js", address, key, model).replace("console.log(result)", "say(result)")
    return what_chromium_says(f"<!doctype html><script>{SAY}{script}</script>", folder)


def php(address: str, key: str, model: str, folder: Path) -> str:
    script = folder / "client.php"
    script.write_text(_sample("curl.php", address, key, model))
    return _printed(["php", str(script)])


def node(address: str, key: str, model: str, folder: Path) -> str:
    script = folder / "client.js"
    script.write_text(_sample("request.js", address, key, model))
    _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "request"], folder)
    return _printed(["node", "--no-deprecation", str(script)])


def python(address: str, key: str, model: str, folder: Path) -> str:
    script = folder / "client.py"
    script.write_text(_sample("requests.py.txt", address, key, model))
    return _printed([sys.executable, str(script)])


def java(address: str, key: str, model: str, folder: Path) -> str:
    """The sample is the body of a method that prints nothing."""
    body = _sample("okhttp.java.txt", address, key, model)
    text = "System.out.println(response.body().string());"
    main = f"public static void main(String[] words) throws Exception {{\n{body}\n{text}\n}}"
    (folder / "Client.java").write_text(f"{IMPORTS}class Client {{ {main} }}\n")
    jars = folder / "jars"
    _maven(folder, jars)
    return _printed(["java", "-cp", f"{jars}/*", str(folder / "Client.java")])


CLIENTS: dict[str, tuple[Client, tuple[str, ...]]] = {
    "browser": (browser, ("chromium",)),
    "php": (php, ("php",)),
    "node": (node, ("node", "npm")),
    "python": (python, ()),
    "java": (java, ("javac", "mvn")),
}
"""Each with the programs that it needs."""


def missing(programs: tuple[str, ...]) -> list[str]:
    """Those that this machine has not."""
    return [name for name in programs if not shutil.which(name)]


def _sample(name: str, address: str, key: str, model: str) -> str:
    text = (SAMPLES / name).read_text()
    assert HOST in text
    quote = r"\"" if name.startswith("okhttp") else '"'
    text = text.replace(HOST, address)
    text, keys = re.subn(
        rf"({re.escape(quote)}key{re.escape(quote)}\s*(?::|=>)\s*{re.escape(quote)})",
        lambda found: found[1] + key,
        text,
    )
    assert keys == 1
    return (
        text.replace(f"{quote}model_id{quote}", "\0", 1)
        .replace(f"{quote}model_id{quote}", f"{quote}{model}{quote}", 1)
        .replace("\0", f"{quote}model_id{quote}")
    )


def _maven(folder: Path, jars: Path) -> None:
    group, artifact, version = OKHTTP.split(":")
    (folder / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>"
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency></dependencies></project>"
    )
    _run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
