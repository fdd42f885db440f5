"""Published models by name, against a server on loopback: nothing here leaves the machine."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import srgan_tf
from srgan_tf.cli.main import program
from srgan_tf.errors import WeightsError
from srgan_tf.models import download, published, weights

CONTENT = (Path(__file__).parent / "foreign" / "data" / "compact-x4.pth").read_bytes()
NAME = "tiny-x4"


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `cuts` lists after how many bytes a connection breaks, None for never."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.cuts, self.status, self.content, self.resumes = [], [], 200, CONTENT, True
        threading.Thread(target=self.serve_forever, args=[0.02], daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.status != 200:
            return self.send_error(self.server.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.resumes else 0
        body = self.server.content[start:]
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    digest = hashlib.sha256(CONTENT).hexdigest()
    address = f"http://127.0.0.1:{server.server_port}/v1/tiny.pth"
    model = published.Published(address, 4, len(CONTENT), digest, "BSD-3-Clause")
    monkeypatch.setattr(published, "MODELS", {NAME: model})
    yield server
    server.shutdown()
    server.server_close()


def test_first_use_downloads_and_the_next_reads_the_cache(server, capfd):
    first = srgan_tf.load(NAME)
    assert server.ranges == [None]
    said = capfd.readouterr().err
    assert "tiny.pth" in said and "BSD-3-Clause" in said
    assert srgan_tf.load(NAME).architecture() == first.architecture()
    assert server.ranges == [None]
    assert [path.name for path in published.cached(NAME).parent.iterdir()] == ["tiny.pth"]
    assert (first.licence, first.origin) == ("BSD-3-Clause", published.MODELS[NAME].url)


def test_nothing_is_downloaded_unless_asked_for(server, capsys):
    weights.check_there(NAME)
    assert "tiny-x4" in weights.identity(NAME)
    command = program("models")
    command.main(*command.parse([]))
    assert published.MODELS[NAME].url in capsys.readouterr().out
    assert server.ranges == [] and not published.cached(NAME).parent.exists()
    published.file(NAME)
    command.main(*command.parse([]))
    listed = capsys.readouterr().out.splitlines()
    (row,) = (line for line in listed if line.startswith(NAME))
    assert row.split()[1:4] == ["x4", f"{len(CONTENT) / 1e6:.1f}", "MB"] and row.endswith("in the cache")
    assert any(line.startswith("srgan ") and line.endswith("in the package") for line in listed)


def test_a_broken_connection_is_resumed(server):
    server.cuts = [1000, 500]
    assert published.file(NAME).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_the_next_run_resumes_what_this_one_could_not(server):
    server.cuts = [1000, 0, 0]
    with pytest.raises(WeightsError, match=r"after 0.0 of .* run it again to resume; or fetch http://127") as raised:
        published.file(NAME)
    assert str(published.cached(NAME)) in str(raised.value) and not published.cached(NAME).exists()
    assert published.file(NAME).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=1000-"


def test_a_server_without_ranges_sends_it_whole(server):
    server.cuts, server.resumes = [1000], False
    assert published.file(NAME).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-"]


@pytest.mark.parametrize("content", [CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), CONTENT[::-1] + b"more"])
def test_another_file_is_removed(server, content):
    server.content = content
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        srgan_tf.load(NAME)
    assert list(published.cached(NAME).parent.iterdir()) == []


def test_a_file_in_the_cache_that_changed_is_not_run(server, capsys):
    published.file(NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=r"tiny\.pth: not the published file .* delete it"):
        srgan_tf.load(NAME)
    command = program("models")
    command.main(*command.parse([]))
    assert f"damaged: delete {published.cached(NAME)}" in capsys.readouterr().out


def test_a_file_fetched_by_hand_is_taken(server):
    published.cached(NAME).parent.mkdir(parents=True)
    published.cached(NAME).write_bytes(CONTENT)
    assert srgan_tf.load(NAME).scale == 4
    assert server.ranges == []


def test_not_there_any_more(server):
    server.status = 404
    with pytest.raises(WeightsError, match=r"tiny-x4: download failed \(HTTP 404 .*fetch http://127.* put it at /"):
        published.file(NAME)
    assert server.ranges == [None]  # no use in asking again


def test_no_network(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(WeightsError) as raised:
        published.file(NAME)
    message = str(raised.value)
    assert published.MODELS[NAME].url in message and str(published.cached(NAME)) in message and "\n" not in message
    assert list(published.cached(NAME).parent.iterdir()) == []


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(WeightsError, match="cannot write it"):
        published.file(NAME)


def test_a_part_that_cannot_be_written_says_why(server):
    part = published.cached(NAME).with_name("tiny.pth.part")
    part.mkdir(parents=True)
    with pytest.raises(WeightsError, match=r"cannot write it \(Is a directory\)"):
        published.file(NAME)
    part.rmdir()
    part.symlink_to("/nonexistent/folder/part")
    with pytest.raises(WeightsError, match=r"cannot write it \(No such file or directory\)"):
        published.file(NAME)


def test_two_at_once_download_it_once(server):
    threads = [threading.Thread(target=published.file, args=(NAME,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published.cached(NAME).read_bytes() == CONTENT
    if download.fcntl is not None:
        assert server.ranges == [None]


def test_a_file_of_that_name_takes_precedence(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir()
    with pytest.raises(WeightsError, match="no checkpoint in this folder"):
        srgan_tf.load(NAME)
    assert server.ranges == []


def test_the_table_is_well_formed():
    for name, model in published.MODELS.items():
        assert re.fullmatch(r"[a-z0-9-]+", name) and f"x{model.scale}" in name
        assert re.fullmatch(r"https://github\.com/[\w-]+/[\w-]+/releases/download/v[\d.]+/[\w-]+\.pth", model.url)
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256) and model.size > 1e6 and model.licence
