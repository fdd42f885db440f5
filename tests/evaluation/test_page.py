import base64
import io
import json
from html.parser import HTMLParser

from PIL import Image

from srgan_tf.evaluation import page


class Reader(HTMLParser):
    """What a browser would be asked to fetch, and what it would show."""

    def __init__(self):
        super().__init__()
        self.sources, self.text = [], []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href"):
                self.sources.append(value)

    def handle_data(self, data):
        self.text.append(data.strip())


def test_report_is_one_page_that_holds_the_run(tmp_path):
    settings = {"name": "a<b", "steps": 30}
    (tmp_path / "run.json").write_text(json.dumps({"settings": settings, "versions": {"keras": "3"}, "started": "x"}))
    Image.new("RGB", (9, 7), (4, 5, 6)).save(tmp_path / "curves.png")
    rows = [{"model": "ours", "psnr_y": 26.123456, "parameters": 1550659, "lpips_alex": None}]
    (tmp_path / "evaluation" / "sheets" / "set").mkdir(parents=True)
    (tmp_path / "evaluation" / "results.json").write_text(json.dumps({"rows": rows}))
    Image.new("RGB", (8, 5), (1, 2, 3)).save(tmp_path / "evaluation" / "sheets" / "set" / "one.png")
    reader = Reader()
    reader.feed(page.write(tmp_path).read_text(encoding="utf-8"))
    pictures = []
    for source in reader.sources:  # nothing from elsewhere
        kind, data = source.split(",")
        assert kind == "data:image/png;base64"
        pictures.append(Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0)))
    assert pictures == [(4, 5, 6), (1, 2, 3)]
    assert {"a<b", "steps", "30", "26.12", "1,550,659", "–", "keras"} <= set(reader.text)
