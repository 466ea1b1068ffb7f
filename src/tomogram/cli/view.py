"""`tomogram view`: a finished scan as pages in the browser."""

from __future__ import annotations

from pathlib import Path

import typer


def view(
    folder: Path = typer.Argument(help="Folder of a finished scan.", metavar="DIR"),
    export: Path = typer.Option(None, help="Write the pages to this folder instead of serving."),
    model: str = typer.Option(
        None, help="The scanned model, for prompts and steering: Hub name, folder or GGUF file."
    ),
    dictionaries: str = typer.Option(
        None, help="The dictionaries the scan was given, if it was: a folder, or OWNER/NAME."
    ),
    encoder: str = typer.Option(
        None, help="Sentence encoder, to search by meaning: a folder, or a name in the cache."
    ),
    graphs: list[Path] = typer.Option(
        None,
        help="Graphs of `tomogram trace --out`, files or folders; those of the scan and in"
        " DIR/graphs are always read.",
    ),
    port: int = typer.Option(None, help="Port on 127.0.0.1; 4747 or the next free one without it."),
    device: str = typer.Option("cpu", help="cpu, cuda or mps."),
    dtype: str = typer.Option("float32", help="float32 or bfloat16."),
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open a browser."),
    json: bool = typer.Option(False, "--json", help="Print where the pages are as JSON."),
) -> None:
    """Look at a finished scan in the browser: served on the loopback address, or exported."""
    from json import dumps

    from tomogram.pipeline.searching import Search
    from tomogram.report.tomogram import open_tomogram
    from tomogram.viewer.content import Content
    from tomogram.viewer.graphs import find, found_in

    search = Search(open_tomogram(folder), model, dictionaries, encoder, device, dtype)
    content = Content(search)
    drawn = find([*found_in(folder), *(graphs or [])])
    if export is not None:
        from tomogram.viewer.export import export as write

        page = write(content, export, drawn)
        typer.echo(dumps({"page": str(page)}) if json else page)
        return

    import webbrowser

    from tomogram.viewer.live import Live
    from tomogram.viewer.routes import routes
    from tomogram.viewer.server import serve

    with serve(routes(content, Live(search), drawn), port) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        line = dumps({"address": address}) if json else f"{address}  (Ctrl-C ends it)"
        print(line, flush=True)  # who reads it through a pipe waits for it
        if not no_browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("", err=True)
