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


if __name__ == "__main__":
    [asked] = sys.argv[1:]
    sys.exit(0 if (server_is_healthy if asked.isdigit() else node_is_healthy)(asked) else 1)
