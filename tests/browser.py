"""A page in a real browser, and what a script finds there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: install Debian's package chromium")


def measured(page: str, folder: Path, found: str) -> dict:
    """What an expression of JavaScript is on a page.

    Args:
        page: HTML.
        folder: where a copy of it is put.
        found: an expression, whose value JSON has.
    """
    script = f"<script>document.documentElement.dataset.measured = JSON.stringify({found});</script>"
    copy = folder / "measured.html"
    copy.write_text(page.replace("</body>", script + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    value = re.search(r'data-measured="([^"]*)"', done.stdout)
    assert value, done.stderr[-1000:]
    return json.loads(value[1].replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
