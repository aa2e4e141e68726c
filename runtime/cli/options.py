"""Options that several commands share."""

import click

artifacts = click.option(
    "--artifacts",
    envvar="FACE_ENCRYPTION_ARTIFACTS",
    show_envvar=True,
    help="A folder that `face-encryption export` wrote.  [default: the package's own; where it has none, ./artifacts]",
)
threads = click.option("--threads", type=click.IntRange(min=1), help="Threads of one inference.  [default: all cores]")
json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a photo.")
inputs = click.argument("inputs", nargs=-1, required=True, metavar="IN...")


min_score = click.option(
    "--min-score", type=float, help="What scores at least this counts as a face.  [default: the artifacts', 0.5]"
)


small_faces = click.option(
    "--small-faces", is_flag=True, help="Look closer, for faces of less than a fiftieth of the photo's width; slower."
)


def _box_edges(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[float, ...], ...]:
    boxes = []
    for text in texts:
        try:
            x0, y0, x1, y1 = (float(edge) for edge in text.split(","))
        except ValueError:
            raise click.BadParameter(f"{text!r} is not four numbers such as 120,80,190,160") from None
        boxes.append((x0, y0, x1, y1))
    return tuple(boxes)


boxes = click.option(
    "--box",
    "boxes",
    multiple=True,
    callback=_box_edges,
    metavar="X0,Y0,X1,Y1",
    help="A face that the detector misses, from chin to brow, in pixels of the upright photo. May be given again.",
)
