"""The results as tables: lists of rows of text, printed plain or as Markdown."""
from targets import finder, judged, to_limit

RATE_HEAD = (
    "row",
    "packets/s",
    "CPU ns/packet (min-max)",
    "workers",
    "peak MB",
    "to limit",
    "busy",
)
OTHER_HEAD = ("row", "figure", "median", "min-max")
TARGET_HEAD = ("target", "wanted", "reached", "")

# What other rows found, by the name of the figure: a label, a unit, and what to divide by.
LABELS = {
    "p50": ("p50", "ms", 1),
    "p99": ("p99", "ms", 1),
    "p99.9": ("p99.9", "ms", 1),
    "age": ("age", "ms", 1),
    "to_ack": ("cut to Ack, a second", "k", 1e3),
    "commit": ("HINCRBYs a second", "k", 1e3),
    "limit": ("bare pipelined MULTI/EXEC", "k", 1e3),
    "share": ("HINCRBYs, share of bare", "", 1),
    "redis_benchmark": ("redis-benchmark -P, no MULTI", "k", 1e3),
    "pause_us": ("longest pause", "us", 1),
    "pause_cpu_us": ("CPU time, its reading included", "us", 1),
    "undisturbed_us": ("longest elsewhere, no cut", "us", 1),
    "device": ("a device and worker, beside its id", "B", 1),
    "resident": ("resident", "MB", 1e6),
    "connection": ("a connection", "kB", 1e3),
    "reading": ("reading it from Redis", "ms", 1),
    "snapshot_device": ("a device in the snapshot, beside its id", "B", 1),
    "first_byte": ("first byte, warm", "ms", 1),
    "body": ("body a second", "MB", 1e6),
    "extra": ("memory beside the snapshot", "MB", 1e6),
    "answers": ("answers a second", "k", 1e3),
    "answers_p99": ("p99", "ms", 1),
    "errors": ("errors", "", 1),
    "readings": ("readings of Redis, share of those allowed", "", 1),
    "counting_alone": ("CPU a packet, no clients", "ns", 1),
    "counting_beside": ("CPU a packet, beside them", "ns", 1),
    "counting_ratio": ("that, ratio", "", 1),
}


def number(value):
    """Three digits that count, and no exponent."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def rate(value):
    return f"{number(value / 1e6)} M" if value >= 1e6 else f"{number(value / 1e3)} k"


def span(figure, scale=1):
    return f"{number(min(figure.values) / scale)}-{number(max(figure.values) / scale)}"


def _share(find, row):
    try:
        value = to_limit(find, row)
    except KeyError:
        return "-"  # the limit was not run
    return f"{value:.3f}" if value >= 0.01 else f"{value:.5f}"


def rates(results):
    """One line for each row that tells what a packet costs."""
    find = finder(results)
    lines = []
    for result in results:
        figures = result.figures
        if "cpu_ns" in figures:
            workers = number(figures["worker_ns"].median) if "worker_ns" in figures else "-"
            lines.append(
                (
                    result.title,
                    rate(figures["rate"].median),
                    f"{number(figures['cpu_ns'].median)} ({span(figures['cpu_ns'])})",
                    workers,
                    number(figures["peak"].median / 1e6),
                    _share(find, result.row),
                    f"{figures['busy'].median:.0f} %",
                )
            )
    return lines


def others(results):
    """One line for each figure of the other rows."""
    lines = []
    for result in results:
        title = result.title
        for name, (label, unit, scale) in LABELS.items():
            if name in result.figures:
                figure = result.figures[name]
                median = f"{number(figure.median / scale)} {unit}".strip()
                lines.append((title, label, median, span(figure, scale)))
                title = ""
    return lines


def targets(results):
    return [
        (
            target.what,
            f"{'at least' if target.at_least else 'at most'} {_with_unit(target.limit, target)}",
            "-" if value is None else _with_unit(value, target),
            {True: "met", False: "NOT MET", None: "not run"}[met],
        )
        for target, value, met in judged(results)
    ]


def _with_unit(value, target):
    return f"{number(value)} {target.unit}".strip()


def remarks(results):
    """What was skipped, what failed, and what needs a word."""
    return [
        f"{kind}{result.title}: {text}"
        for kind, name in (("FAILED ", "failed"), ("SKIPPED ", "skipped"), ("", "note"))
        for result in results
        if (text := getattr(result, name))
    ]


def plain(head, lines):
    """Text in columns; all but the first are flush right."""
    if not lines:
        return ""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    out = []
    for line in [head, *lines]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        out.append("  ".join(cells).rstrip())
    return "\n".join(out) + "\n"


def markdown(head, lines):
    if not lines:
        return ""
    out = ["| " + " | ".join(line) + " |" for line in [head, *lines]]
    out.insert(1, "|---" + "|--:" * (len(head) - 1) + "|")
    return "\n".join(out) + "\n"


def whole(results, form=plain):
    """All tables, in the order of the report."""
    parts = [
        form(RATE_HEAD, rates(results)),
        form(OTHER_HEAD, others(results)),
        form(TARGET_HEAD, targets(results)),
    ]
    return "\n".join(part for part in parts if part)
