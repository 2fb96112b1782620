"""The objects below an address in an S3-compatible bucket: listed on the driver, read in the tasks.

Spark's own listing silently drops every name that begins with `_`, and its reader needs Hadoop's S3A, 690 MB. So both
use the client of pyarrow, which also retries (`AwsStandardS3RetryStrategy`).
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

import pyarrow as pa
from pyarrow import fs

from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.formats.registry import file_rejection, max_bytes
from spark_jobs.sources.files import read_bytes, size_rejection
from spark_jobs.sources.folders import Listing, related_to

OBJECTS = pa.schema([("doc_id", pa.string()), ("uri", pa.string()), ("size", pa.int64())])
SCHEME = "s3a://"


class ObjectStore(NamedTuple):
    """Address and keys of the store. They travel to the tasks, as those in Hadoop's own configuration do."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def of(cls, settings: Settings) -> "ObjectStore":
        key, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
        return cls(settings.s3_endpoint, settings.s3_region, key, secret)

    def connect(self) -> fs.S3FileSystem:
        """A client that tries three times, and gives up a store after 10 s without an answer."""
        scheme, _, host = self.endpoint.rpartition("://")
        return fs.S3FileSystem(
            access_key=self.access_key or None,
            secret_key=self.secret_key or None,
            region=self.region,
            endpoint_override=host or None,
            scheme=scheme or "https",
            connect_timeout=10,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=3),
        )


def list_bucket(client: fs.FileSystem, root: str, only: Collection[str] | None = None) -> Listing:
    """The objects below an address as `OBJECTS`, some 200 bytes each on the driver; hidden objects are counted.

    `only`: list only the objects of these ids, the archives that hold them, and objects below them. Raises
    `InvalidInput` where there is no object, `Unavailable` where the store does not answer.
    """
    base = root.removeprefix(SCHEME).rstrip("/")
    files = _files_below(client, base, root)
    is_wanted = related_to(only) if only is not None else None
    rows = []
    hidden = 0
    for file in files:
        doc_id = file.path.removeprefix(base).lstrip("/") or file.base_name
        if any(part.startswith(".") for part in doc_id.split("/")):
            hidden += 1
        elif is_wanted is None or is_wanted(doc_id):
            rows.append({"doc_id": doc_id, "uri": SCHEME + quote(file.path), "size": file.size})
    skipped = Counter(hidden=hidden) if hidden and only is None else Counter[str]()
    return Listing(pa.Table.from_pylist(rows, OBJECTS), skipped)


def _files_below(client: fs.FileSystem, base: str, root: str) -> list[fs.FileInfo]:
    try:
        (at_root,) = client.get_file_info([base])
        if at_root.is_file:
            return [at_root]
        files = client.get_file_info(fs.FileSelector(base, recursive=True))
    except OSError as error:
        if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in str(error):
            raise InvalidInput(
                f"path {root!r}: nothing is there. Name a bucket, a folder in it or an object."
            ) from None
        raise _unavailable(root, error) from None
    return sorted((file for file in files if file.is_file), key=lambda file: file.path)


def read_object(
    client: fs.FileSystem, doc_id: str, uri: str, size: int, limits: ParseLimits
) -> Iterator[ParsedDocument | Rejection]:
    """All documents of an object. One that is too large is refused without fetching it. Raises `Unavailable`."""
    if size > max_bytes(doc_id, limits):
        yield size_rejection(doc_id, size, limits)
        return
    try:
        with client.open_input_stream(unquote(uri.removeprefix(SCHEME))) as opened:
            content = opened.read()
    except FileNotFoundError:
        yield file_rejection("is gone since the bucket was listed. Run this again.", doc_id)
        return
    except OSError as error:
        if "ACCESS_DENIED" not in str(error):
            raise _unavailable(uri, error) from None
        yield file_rejection("the store denies access to it. Let the key that Spark uses read it.", doc_id)
        return
    yield from read_bytes(doc_id, uri, content, limits)


def _unavailable(address: str, error: OSError) -> Unavailable:
    message = " ".join(str(error).split())[:300]
    return Unavailable(
        "object store",
        f"the object store refused, or did not answer: {address}: {message}. Check the store, LAKEHOP_S3_ENDPOINT and "
        "the keys, and run this again: nothing of the step was committed.",
    )
