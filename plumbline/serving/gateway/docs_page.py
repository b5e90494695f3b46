"""A page that says how to send rows to this server. It loads nothing from elsewhere."""

from __future__ import annotations

import json
from html import escape
from string import Template

from plumbline.serving.client.core import ServedModel
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE
from plumbline.serving.gateway.openapi import example_row
from plumbline.serving.gateway.settings import Limits

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Plumbline: $model</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow-x: auto; padding: 1rem; border: 1px solid; border-radius: .4rem }
td, th { text-align: left; padding: .1rem 1.5rem .1rem 0 }
</style></head><body>
<h1>$model, version $version</h1>
<p>Send rows by column name, and get a click probability for each, in order. Every row has every
column; a missing value is null. At most $rows rows and $bytes bytes in a request.</p>
<pre>curl HOST:PORT/v1/score -H 'Content-Type: application/json' -d '$example'</pre>
<p>If the server has a secret, add <code>-H "Authorization: Bearer SECRET"</code>. An Arrow stream
of the same columns, uncompressed, is accepted as <code>$arrow</code>. The whole interface is
<a href="openapi.json">openapi.json</a>.</p>
<h2>Columns</h2>
<table><thead><tr><th>column</th><th>kind</th></tr></thead><tbody>
$columns
</tbody></table></body></html>
""")


def docs_page(served: ServedModel, limits: Limits) -> str:
    columns = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{escape(kind)}</td></tr>"
        for name, kind in served.kinds.items()
    )
    example = json.dumps({"rows": [example_row(served)]}, ensure_ascii=False)
    return _PAGE.substitute(
        model=escape(served.name),
        version=escape(served.version),
        rows=f"{limits.rows:,}",
        bytes=f"{limits.body_bytes:,}",
        example=escape(example.replace("'", "'\\''")),
        arrow=MEDIA_TYPE,
        columns=columns,
    )
