#!/opt/voltray/bin/python
"""Probe of a container: voltray-healthy URL for a Ray node, voltray-healthy PORT for the server's health port."""

import sys
import urllib.request


def server_is_healthy(port: str) -> bool:
    """Ask the gRPC health service."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def node_is_healthy(url: str) -> bool:
    """Ask a Ray process over HTTP."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return b"success" in answer.read()


def main(asked: str) -> int:
    """Return the exit code; a probe's log has room for a line."""
    try:
        healthy = server_is_healthy(asked) if asked.isdigit() else node_is_healthy(asked)
    except Exception as failure:  # noqa: BLE001 whatever it is, the answer is no
        print(type(failure).__name__, str(failure).partition("\n")[0])
        return 1
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
