"""Charts of a run as SVG, drawn by gnuplot."""
import shutil
import subprocess

from targets import finder, to_limit

SCRIPT = """\
set terminal svg size 960,{height} font "sans-serif,13" background "white"
set output "{path}"
set label "{title}" at screen 0.02, graph 1 offset 0, 1.4 font ",15"
set tmargin 3
set lmargin 44
set rmargin 10
set grid xtics lc rgb "#dddddd"
set style fill solid 1 noborder
set yrange [{rows} - 0.5:-0.5]
set ytics nomirror scale 0 ({labels})
set xtics nomirror
set border 1
unset key
set format x "{form}"
{logarithmic}
set xrange [{left}:{right}]
$bars << END
{data}
END
plot $bars using ({left}):2:({left}):1:($2-{half}):($2+{half}) \\
         with boxxyerror lc rgb "#7fa8d0", \\
     $bars using 1:2:3:4 with xerrorbars pt 0 lw 1.5 lc rgb "#222222", \\
     $bars using 4:2:5 with labels left offset 1, 0
"""
ROW_HEIGHT, FRAME_HEIGHT = 28, 100
HALF = 0.34  # of a bar's height, in rows
ROOM = {True: 4, False: 1.1}  # for the label of the longest bar, on a log scale and a linear one


def draw(results, directory):
    """Writes the charts that the results have figures for into `directory`; returns their paths,
    none without gnuplot."""
    if not shutil.which("gnuplot"):
        return []
    charts = (
        (
            "cpu.svg",
            "CPU of the server in ns a packet: median, and from min to max",
            _spans(results, "cpu_ns"),
            True,
        ),
        (
            "rate.svg",
            "Packets a second into one processor: median, and from min to max",
            _spans(results, "rate"),
            True,
        ),
        ("limit.svg", "Bytes a CPU-second, raw TCP discard being 1", _shares(results), False),
        ("ack.svg", "Ack latency in ms: p50, and a line to p99", _acks(results), False),
    )
    return [
        _bars(directory / name, title, bars, logarithmic)
        for name, title, bars, logarithmic in charts
        if bars
    ]


def _spans(results, name):
    """(label, bar, line's begin, line's end) of each row that has this figure."""
    return [
        (result.title, figure.median, min(figure.values), max(figure.values))
        for result in results
        if (figure := result.figures.get(name))
    ]


def _shares(results):
    find = finder(results)
    try:
        shares = [
            (result.title, to_limit(find, result.row))
            for result in results
            if "cpu_ns" in result.figures
        ]
    except KeyError:  # the limit was not run
        return []
    return [(title, share, share, share) for title, share in shares]


def _acks(results):
    bars = []
    for result in results:
        if "p99" in result.figures:
            p50, p99 = (result.figures[name].median for name in ("p50", "p99"))
            bars.append((result.title, p50, p50, p99))
    return bars


def _bars(path, title, bars, logarithmic):
    """Horizontal bars, each with a line across it and its value behind it."""
    smallest, largest = min(bar[1] for bar in bars), max(bar[3] for bar in bars)
    script = SCRIPT.format(
        height=FRAME_HEIGHT + ROW_HEIGHT * len(bars),
        path=path,
        title=title,
        rows=len(bars),
        labels=", ".join(f'"{bar[0]}" {i}' for i, bar in enumerate(bars)),
        form="%.0s %c" if logarithmic else "%g",
        logarithmic="set logscale x" if logarithmic else "",
        left=smallest / 3 if logarithmic else 0,  # a bar on a log scale begins somewhere
        right=largest * ROOM[logarithmic],
        data="\n".join(
            f'{value} {i} {low} {high} "{_short(value)}"'
            for i, (_, value, low, high) in enumerate(bars)
        ),
        half=HALF,
    )
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    return path


def _short(value):
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
