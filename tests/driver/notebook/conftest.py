"""A real IPython kernel, as JupyterLab starts it, beside the server of the fixture `spark`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

SECONDS = 120


@dataclass
class Outputs:
    """What a cell left behind."""

    status: str
    texts: list[str] = field(default_factory=list)
    """What was printed."""
    data: list[dict[str, str]] = field(default_factory=list)
    """What was shown, and what it was replaced by, in all its forms."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Errors by name, with what is shown of them."""

    @property
    def text(self) -> str:
        """The last thing shown, as text."""
        return self.data[-1]["text/plain"]


class Notebook:
    """A kernel that runs cells."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self._client = client

    def run(self, cell: str, on_output: Any = None) -> Outputs:
        """Run a cell to its end; ``on_output`` is told each of its outputs as they come."""
        outputs = Outputs("")

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    outputs.texts.append(content["text"])
                case "execute_result" | "display_data" | "update_display_data":
                    outputs.data.append(content["data"])
                case "error":
                    outputs.errors.append((content["ename"], "\n".join(content["traceback"])))
            if on_output is not None:
                on_output(outputs)

        reply = self._client.execute_interactive(cell, timeout=SECONDS, output_hook=hook, allow_stdin=False)
        outputs.status = reply["content"]["status"]
        return outputs


@pytest.fixture(scope="module")
def notebook(spark_remote: str) -> Iterator[Notebook]:
    """A kernel with the extension loaded, whose SPARK_REMOTE is the server of `spark`."""
    manager = KernelManager(kernel_cmd=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    manager.start_kernel(env={**os.environ, "SPARK_REMOTE": spark_remote})
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        kernel = Notebook(manager, client)
        loaded = kernel.run("%load_ext voltray")
        assert "".join(loaded.texts) == f"`spark` is a session of Spark 4.1.1 at {spark_remote}\n"
        yield kernel
        kernel.run("spark.stop()")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
