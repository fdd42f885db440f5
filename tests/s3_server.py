"""An S3-compatible server on loopback, moto's, as a fixture to import."""

import os
from uuid import uuid4

import pytest


@pytest.fixture(scope="module")
def s3():
    """A bucket's URL on an S3-compatible server on loopback, moto's."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'srgan_tf[bulk]'")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = pytest.importorskip("moto.server", reason="moto's server is not installed")
    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    served.start()
    host, port = served.get_host_and_port()
    told = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    told["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    bucket = f"bucket-{uuid4().hex[:8]}"  # the server keeps what it had, though another module starts it
    fsspec.filesystem("s3").mkdir(bucket)
    yield f"s3://{bucket}"
    served.stop()
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # the next server has another port
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
