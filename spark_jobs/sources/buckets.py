"""The objects below an address in an S3-compatible bucket: listed on the driver, read in the tasks.

What `spark_jobs.sources.folders` is for folders. Spark's own listing drops every name that begins with `_` in silence,
and its reader needs Hadoop's S3A, 690 MB; pyarrow's client needs neither.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple
from urllib.parse import quote, unquote

import pyarrow as pa
from pyarrow import fs

from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from spark_jobs.formats.parsing import Document, Limits, Rejection, refusal
from spark_jobs.sources.files import max_bytes, read_bytes, size_refusal
from spark_jobs.sources.folders import Listing, related_to

LISTED = pa.schema([("doc_id", pa.string()), ("uri", pa.string()), ("size", pa.int64())])
SCHEME = "s3a://"


class Store(NamedTuple):
    """Where the buckets are and who asks: it goes to the tasks, as Hadoop's own configuration does."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str

    @classmethod
    def of(cls, settings: Settings) -> "Store":
        key, secret = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
        return cls(settings.s3_endpoint, settings.s3_region, key, secret)

    def connect(self) -> fs.S3FileSystem:
        """A client. A store that falls silent is given up after seconds, three times."""
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


def listing(client: fs.FileSystem, root: str, only: Collection[str] | None = None) -> Listing:
    """What lies below an address as `LISTED`, 200 bytes or so each on the driver; hidden objects are counted.

    `only`: no other objects than those of these ids, those that hold them (archives), and those below them. Raises
    `InvalidInput` where nothing lies there, `Unavailable`.
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
    return Listing(pa.Table.from_pylist(rows, LISTED), Counter(hidden=hidden) if hidden and only is None else Counter())


def _files_below(client: fs.FileSystem, base: str, root: str) -> list[fs.FileInfo]:
    try:
        (at_root,) = client.get_file_info([base])
        if at_root.is_file:
            return [at_root]
        found = client.get_file_info(fs.FileSelector(base, recursive=True))
    except OSError as error:
        if isinstance(error, FileNotFoundError) or "NO_SUCH_BUCKET" in str(error):
            raise InvalidInput(
                f"path {root!r}: nothing is there. Name a bucket, a folder in it or an object."
            ) from None
        raise _unavailable(root, error) from None
    return sorted((one for one in found if one.is_file), key=lambda one: one.path)


def read_object(
    client: fs.FileSystem, doc_id: str, uri: str, size: int, limits: Limits
) -> Iterator[Document | Rejection]:
    """Everything in an object; refused without being fetched where it is too large. Raises `Unavailable`."""
    if size > max_bytes(doc_id, limits):
        yield size_refusal(doc_id, size, limits)
        return
    try:
        with client.open_input_stream(unquote(uri.removeprefix(SCHEME))) as opened:
            content = opened.read()
    except FileNotFoundError:
        yield refusal("is gone since the bucket was listed. Run this again.", doc_id)
        return
    except OSError as error:
        if "ACCESS_DENIED" not in str(error):
            raise _unavailable(uri, error) from None
        yield refusal("the store denies access to it. Let the key that Spark uses read it.", doc_id)
        return
    yield from read_bytes(doc_id, uri, content, limits)


def _unavailable(address: str, error: OSError) -> Unavailable:
    said = " ".join(str(error).split())[:300]
    return Unavailable(
        "object store",
        f"the object store refused, or did not answer: {address}: {said}. Check it, LAKEHOP_S3_ENDPOINT and the keys, "
        "and run this again: nothing of the step was committed.",
    )
