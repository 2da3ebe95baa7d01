"""report.html of a run: one page, with nothing outside it, that says what was asked, what came out, and of what."""

import dataclasses
import html
import inspect
import io
import json
import re
from collections.abc import Mapping
from typing import Any

from experiments._shared.experiment import Experiment
from experiments._shared.result import ExperimentResult
from experiments._shared.terminal import PlainConsole

_WIDTH = 120  # characters of the report
# A run may come from somebody else: whatever its texts hold, a browser runs nothing and fetches nothing.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
)
_STYLE = """
:root { --ink: #1c1c22; --paper: #fdfdfb; --faint: #6b6b76; --line: #dcdce2; --box: #f4f4f0; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 Georgia, "Times New Roman", serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.6rem 0 0.3rem; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 0.4rem; }
.answer { font-size: 1.15rem; font-weight: 600; white-space: pre-line; }
.faint { color: var(--faint); }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; background: white; }
pre { background: var(--box); padding: 0.8rem 1rem; overflow-x: auto; font: 13px/1.35 Menlo, Consolas, monospace; }
table { border-collapse: collapse; font-size: 0.92rem; }
tr { border-bottom: 1px solid var(--line); }
td, th { padding: 0.25rem 1rem 0.25rem 0; vertical-align: top; text-align: left; }
td:first-child { font-family: Menlo, Consolas, monospace; white-space: nowrap; }
.changed td { font-weight: 600; }
"""


def page(experiment: Experiment, result: ExperimentResult, svg: str, manifest: Mapping[str, Any]) -> str:
    """The page of a run.

    Args:
        experiment: whose run it is.
        result: of the run.
        svg: its figure.
        manifest: of the run.
    """
    picture = re.sub(r"^.*?(?=<svg)", "", svg, flags=re.DOTALL)
    question = inspect.getdoc(experiment.config) or experiment.name
    asked, _, more = question.partition("\n\n")
    parts = [
        f"<h1>{_text(experiment.name)}: {_text(asked)}</h1>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in more.split("\n\n") if paragraph.strip()),
        f'<p class="answer">{_text(result.answer())}</p>',
        f"<figure>{picture}<figcaption class=faint>{_text(result.how_to_read())}</figcaption></figure>",
        f"<h2>Report</h2>\n{_printed(result)}",
        f"<h2>Configuration</h2>\n{_options(result.config)}",
        '<p class="faint">Bold: other than the default.</p>',
        f"<h2>How it was made</h2>\n{_made(manifest)}",
    ]
    title = f"<title>{_text(experiment.name)}: {_text(result.answer())}</title>"
    view = '<meta name="viewport" content="width=device-width">'
    head = f'<meta charset="utf-8">{POLICY}{view}{title}<style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _text(text: str) -> str:
    return html.escape(text)


def _printed(result: ExperimentResult) -> str:
    """What the terminal shows."""
    recording = PlainConsole(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=False)
    result.report(recording)
    return recording.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _options(config: Any) -> str:
    rows = []
    for field in dataclasses.fields(config):
        value, told = getattr(config, field.name), field.metadata.get("help", "")
        changed = ' class="changed"' if value != field.default else ""
        name = f"--{field.name.replace('_', '-')}"
        rows.append(f"<tr{changed}><td>{_text(name)}</td><td>{_text(str(value))}</td><td>{_text(told)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _made(manifest: Mapping[str, Any]) -> str:
    """The manifest, a row for each entry; its configuration stands above."""
    rows = []
    for name, value in manifest.items():
        if name not in ("config", "options", "answer"):
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            rows.append(f"<tr><td>{_text(name)}</td><td>{_text(told)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"
