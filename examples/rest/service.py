"""A REST service whose endpoints are SQL queries on Voltray, streamed as JSON lines or as Arrow: see README.md."""

import asyncio
import functools
import io
import os
import uuid
from collections.abc import AsyncIterator

import grpc
import pyarrow as pa
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc, expressions_pb2, relations_pb2

ADDRESS = os.environ.get("VOLTRAY_ADDRESS", "localhost:15002")
TOKEN = os.environ.get("VOLTRAY_TOKEN")
ARROW, JSON_LINES = "application/vnd.apache.arrow.stream", "application/x-ndjson"
HEADERS = [("authorization", f"Bearer {TOKEN}")] if TOKEN else []
WHO = {"session_id": str(uuid.uuid4()), "user_context": base_pb2.UserContext(user_id="rest")}
# A value's type decides what parameter it becomes; the text of a query never changes.
LITERALS = {bool: "boolean", int: "long", float: "double", str: "string"}

app = FastAPI(title="Orders")


@functools.cache
def spark() -> base_pb2_grpc.SparkConnectServiceStub:
    """The server, over one channel that is made within the event loop."""
    tls = grpc.ssl_channel_credentials() if os.environ.get("VOLTRAY_TLS") == "true" else None
    channel = grpc.aio.secure_channel(ADDRESS, tls) if tls else grpc.aio.insecure_channel(ADDRESS)
    return base_pb2_grpc.SparkConnectServiceStub(channel)


async def batches(sql: str, values: dict[str, bool | int | float | str]) -> AsyncIterator[pa.RecordBatch]:
    """A query's rows; whoever leaves early has the server drop the work."""
    literals = {n: expressions_pb2.Expression.Literal(**{LITERALS[type(v)]: v}) for n, v in values.items()}
    arguments = {name: expressions_pb2.Expression(literal=literal) for name, literal in literals.items()}
    query = relations_pb2.Relation(sql=relations_pb2.SQL(query=sql, named_arguments=arguments))
    request = base_pb2.ExecutePlanRequest(**WHO, operation_id=str(uuid.uuid4()), plan=base_pb2.Plan(root=query))
    try:
        async for response in spark().ExecutePlan(request, metadata=HEADERS):
            if response.HasField("arrow_batch"):
                for batch in pa.ipc.open_stream(response.arrow_batch.data):
                    yield batch
    except (asyncio.CancelledError, GeneratorExit):
        kind = base_pb2.InterruptRequest.INTERRUPT_TYPE_OPERATION_ID
        stop = base_pb2.InterruptRequest(**WHO, interrupt_type=kind, operation_id=request.operation_id)
        await spark().Interrupt(stop, metadata=HEADERS)
        raise


async def encoded(first: pa.RecordBatch | None, rest: AsyncIterator, arrow: bool) -> AsyncIterator[bytes]:
    """Batches as one Arrow stream, or the lines that the server has made of the rows."""
    buffer, writer = io.BytesIO(), None
    while first is not None:
        if arrow:
            writer = writer or pa.ipc.new_stream(buffer, first.schema)
            writer.write_batch(first)
            yield buffer.getvalue()
            buffer.seek(buffer.truncate(0))
        else:
            yield "\n".join([*first.column(0).to_pylist(), ""]).encode()
        first = await anext(rest, None)


async def answer(request: Request, sql: str, **values: bool | int | float | str) -> Response:
    """Run a query for a client; it is told of an error as long as no row has been sent."""
    arrow = request.headers.get("accept") == ARROW
    rows = batches(sql if arrow else f"SELECT to_json(struct(*)) FROM ({sql})", values)
    first = asyncio.ensure_future(anext(rows, None))
    while not (await asyncio.wait([first], timeout=0.5))[0]:
        if await request.is_disconnected():
            first.cancel()
    try:
        return StreamingResponse(encoded(await first, rows, arrow), media_type=ARROW if arrow else JSON_LINES)
    except grpc.aio.AioRpcError as error:
        unavailable = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)
        raise HTTPException(503 if unavailable else 400, error.details()) from None
    except asyncio.CancelledError:
        return Response(status_code=499)


@app.get("/health")
async def health() -> dict[str, str]:
    """Whether Voltray answers, and as which Spark."""
    asked = base_pb2.AnalyzePlanRequest(**WHO, spark_version=base_pb2.AnalyzePlanRequest.SparkVersion())
    try:
        return {"spark": (await spark().AnalyzePlan(asked, metadata=HEADERS, timeout=5)).spark_version.version}
    except grpc.aio.AioRpcError as error:
        raise HTTPException(503, error.details()) from None


@app.get("/orders")
async def orders(request: Request, city: str, least: float = 0.0, rows: int = 1_000_000) -> Response:
    """The orders of a city; a table would stand where this makes some up."""
    made = "SELECT id, if(id % 2 = 0, 'Lisbon', 'Porto') AS city, id % 100 / 10D AS amount FROM range(:rows)"
    query = f"SELECT * FROM ({made}) WHERE city = :city AND amount >= :least"
    return await answer(request, query, city=city, least=least, rows=rows)
