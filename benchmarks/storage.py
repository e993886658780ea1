"""What the clients of S3 cost the process that uses them: CPU milliseconds a request.

    python -m benchmarks.storage [--threads 1 4]

Against moto, as a process of its own whose time is not counted: whole objects of 100 kB that are
read if they are still what was listed (If-Match), as workers read sources; objects of 30 kB that
are written unless the key exists (If-None-Match), as workers write renditions; and a listing of
2,000 keys. Each client has processes of its own, in turns, of which the best counts; each process
begins with a round that is not counted. obstore takes part where it is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.measure import machine
from tests.servers.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READ_BYTES, WRITTEN_BYTES, LISTED = 100_000, 30_000, 2_000
OBJECTS = 100
"""That are read, and written, in one round."""
ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How one client does what is measured."""

    read: Callable[[str, str], bytes]
    """By key and etag."""
    write: Callable[[str, bytes], object]
    list: Callable[[str], int]
    """The number of keys below a prefix."""


def refold(bucket: str) -> Client:
    """Refold's own store, as it is by default: by obstore where that is installed."""
    from tasks.storage import open_store

    store = open_store(f"s3://{bucket}")
    return Client(
        read=store.get_version,
        write=store.put_new,
        list=lambda prefix: sum(1 for _ in store.list(prefix)),
    )


def refold_by_s3fs(bucket: str) -> Client:
    """Refold's own store with `REFOLD_STORE_CLIENT=s3fs`."""
    os.environ["REFOLD_STORE_CLIENT"] = "s3fs"
    return refold(bucket)


def s3fs(bucket: str) -> Client:
    """s3fs's requests, as bare as it can send them. Its `cat_file` asks for the size first."""
    from fsspec.asyn import sync
    from s3fs import S3FileSystem

    found = S3FileSystem(client_kwargs={"region_name": "us-east-1"}, skip_instance_cache=True)

    async def read(key: str, etag: str) -> bytes:
        answer = await found._call_s3("get_object", Bucket=bucket, Key=key, IfMatch=f'"{etag}"')
        async with answer["Body"] as body:
            return await body.read()

    def listed(prefix: str) -> int:
        found.invalidate_cache()
        return len(found.find(f"{bucket}/{prefix}"))

    return Client(
        read=lambda key, etag: sync(found.loop, read, key, etag),
        write=lambda key, data: found.pipe_file(f"{bucket}/{key}", data, mode="create"),
        list=listed,
    )


def botocore(bucket: str) -> Client:
    """Botocore alone, without an event loop; its writes carry an MD5, as Refold's do."""
    from botocore.session import Session

    client = Session().create_client("s3", region_name="us-east-1")

    def write(key: str, data: bytes) -> object:
        digest = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        return client.put_object(
            Bucket=bucket, Key=key, Body=data, ContentMD5=digest, IfNoneMatch="*"
        )

    def listed(prefix: str) -> int:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sum(len(page["Contents"]) for page in pages)

    def read(key: str, etag: str) -> bytes:
        data: bytes = client.get_object(Bucket=bucket, Key=key, IfMatch=f'"{etag}"')["Body"].read()
        return data

    return Client(read=read, write=write, list=listed)


def obstore(bucket: str) -> Client:
    """obstore: a client in Rust."""
    import obstore as obs
    from obstore.store import S3Store

    store = S3Store(bucket, region="us-east-1", client_options={"allow_http": True})
    return Client(
        read=lambda key, etag: obs.get(store, key, options={"if_match": f'"{etag}"'}).bytes(),
        write=lambda key, data: obs.put(store, key, data, mode="create"),
        list=lambda prefix: sum(len(page) for page in obs.list(store, prefix)),
    )


CLIENTS: dict[str, Callable[[str], Client]] = {
    "refold": refold,
    "refold by s3fs": refold_by_s3fs,
    "s3fs": s3fs,
    "botocore": botocore,
    "obstore": obstore,
}
MEASURED = ("read", "write", "list")


def measure(name: str, bucket: str, threads: int) -> dict[str, float]:
    """The CPU milliseconds of one client, in this process: best of its rounds."""
    client, chosen = CLIENTS[name](bucket), random.Random(os.getpid())
    etag = hashlib.md5(_bytes(READ_BYTES), usedforsecurity=False).hexdigest()
    data, unlike = _bytes(WRITTEN_BYTES), f"written/{chosen.getrandbits(64):x}"
    rounds = []
    with ThreadPoolExecutor(threads) as pool:

        def each(action: Callable[[int], object]) -> float:
            started = time.process_time()
            list(pool.map(action, range(OBJECTS)))
            return 1000 * (time.process_time() - started) / OBJECTS

        def read(number: int) -> None:
            assert len(client.read(f"read/{number}", etag)) == READ_BYTES

        for turn in range(ROUNDS + 1):
            took = {
                "read": each(read),
                "write": each(lambda number, turn=turn: client.write(  # type: ignore[misc]
                    f"{unlike}/{turn}-{number}", data
                )),
            }  # fmt: skip
            started = time.process_time()
            assert client.list("listed/") == LISTED
            took["list"] = 1000 * (time.process_time() - started)
            rounds.append(took)
    return {what: min(one[what] for one in rounds[1:]) for what in MEASURED}


def main() -> None:
    """Measure the clients in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, bucket, threads = given.one
        print(json.dumps(measure(name, bucket, int(threads))))
        return
    names = [name for name in CLIENTS if name.startswith("refold") or find_spec(name)]
    with moto_server(keeps_alive=True) as server:
        os.environ.update(server.environment)
        bucket, client = server.new_bucket(), server.client()
        for key, data in _objects():
            client.put_object(Bucket=bucket, Key=key, Body=data)
        rows = [
            {"threads": threads, "client": name, **_measured(name, bucket, threads)}
            for threads in given.threads
            for _ in range(given.turns)
            for name in names
        ]
    best = [_best(rows, threads, name) for threads in given.threads for name in names]
    _show(best)
    if given.json:
        report = {"machine": machine(torch.device("cpu")), "rows": rows, "best": best}
        given.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _objects() -> Iterator[tuple[str, bytes]]:
    for number in range(OBJECTS):
        yield f"read/{number}", _bytes(READ_BYTES)
    for number in range(LISTED):
        yield f"listed/2026/photograph-{number:05}.jpg", b"x"


def _bytes(count: int) -> bytes:
    return random.Random(count).randbytes(count)


def _measured(name: str, bucket: str, threads: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.storage", "--one", name, bucket, str(threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _best(rows: list[dict[str, object]], threads: int, name: str) -> dict[str, object]:
    ours = [row for row in rows if row["threads"] == threads and row["client"] == name]
    best = {what: min(float(str(row[what])) for row in ours) for what in MEASURED}
    return {"threads": threads, "client": name, **best, "image": best["read"] + best["write"]}


def _show(best: list[dict[str, object]]) -> None:
    print("| threads | client | read | write | one of each | of s3fs | 2,000 keys |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    base = {row["threads"]: float(str(row["image"])) for row in best if row["client"] == "s3fs"}
    for row in best:
        cells = [f"{float(str(row[what])):.2f}" for what in ("read", "write", "image")]
        ratio = float(str(row["image"])) / base[row["threads"]]
        print(
            f"| {row['threads']} | {row['client']} | {' | '.join(cells)} | {ratio:.2f} "
            f"| {float(str(row['list'])):.0f} |"
        )


if __name__ == "__main__":
    main()
