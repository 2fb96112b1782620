"""A driver program for tests: Spark begins to write a version of a Delta log, another writer is faster, and wins.

`S3SingleDriverLogStore` looks first whether the version is there, so the race is in between: this stands right there.
"""

from typing import Any

from py4j.protocol import Py4JJavaError

from lakehouse.delta import append, open_table
from lakehouse.settings import load_settings
from lakehouse.spark import spark_session
from lakehouse.tables import ACL_KEYS

settings = load_settings()
spark = spark_session(settings, "racing")
version = open_table(settings, ACL_KEYS).version() + 1
jvm: Any = spark.sparkContext._jvm
path = jvm.org.apache.hadoop.fs.Path(f"{ACL_KEYS.path(settings.warehouse_root)}/_delta_log/{version:020d}.json")
files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())

commit = files.create(path, False)
commit.write(bytearray(b'{"commitInfo":{}}\n'))
append(settings, ACL_KEYS, [{"tenant_id": "race", "acl_key": "first", "acl_groups": ["first"]}])
try:
    commit.close()
except Py4JJavaError as refused:
    print("refused:", refused.java_exception.getClass().getName())
else:
    raise SystemExit("Spark wrote over the commit of another writer")
assert open_table(settings, ACL_KEYS).version() == version
