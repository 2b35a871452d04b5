#!/usr/bin/python3
"""Draws a flame graph of what `perf script --fields comm,ip,sym,dso` prints on standard input.

Writes the stacks folded, one line a stack, as other tools read them too, and an SVG that needs
nothing else: a box a function, as wide as its share of the samples, on top of its caller; click a
box to zoom in, the lowest one to zoom out. Prints the functions that took most.

Flame graphs are Brendan Gregg's ("The Flame Graph", Communications of the ACM 59(6), 2016).
"""
import argparse
import re
import sys
import zlib
from collections import Counter
from pathlib import Path, PurePath
from xml.etree import ElementTree

FRAME = re.compile(r"^\s+([0-9a-f]+) (.*) \((.*)\)$")
KERNEL = "_[k]"  # ends a kernel function's name, as is usual in folded stacks
TOP = 25

WIDTH, MARGIN, ROW, HEADER = 1200, 10, 17, 44
LETTER = 6.6  # pixels, of the font below at its size
MIN_WIDTH = 0.2  # pixels; less than that is not drawn

STYLE = """
text { font: 11px monospace; pointer-events: none; }
.title { font-size: 14px; }
g { cursor: pointer; }
g:hover rect { stroke: black; }
"""

# Lays the boxes out anew, so that the one that was clicked fills the width.
SCRIPT = f"""
function zoom(chosen) {{
  const left = +chosen.dataset.x, share = +chosen.dataset.w, width = {WIDTH - 2 * MARGIN};
  for (const box of document.querySelectorAll("g")) {{
    const from = Math.max(0, (+box.dataset.x - left) / share);
    const to = Math.min(1, (+box.dataset.x + +box.dataset.w - left) / share);
    const [rect, text] = [box.querySelector("rect"), box.querySelector("text")];
    const letters = Math.floor((to - from) * width / {LETTER} - 1);
    box.style.display = to - from > 1e-6 ? "" : "none";
    rect.setAttribute("x", {MARGIN} + from * width);
    rect.setAttribute("width", Math.max(0, to - from) * width);
    text.setAttribute("x", {MARGIN} + from * width + 3);
    text.textContent = letters > 2 ? box.dataset.name.slice(0, letters) : "";
  }}
}}
"""


# ---- Stacks --------------------------------------------------------------------------------------


def name_of(address, symbol, module):
    """What a frame is called: its function, or its module where that has no symbols."""
    if symbol == "[unknown]":
        symbol = module if module.startswith("[") else f"[{PurePath(module).name}]"
    symbol = symbol.replace(";", ":")  # which separates frames in a folded stack
    return symbol + KERNEL if int(address, 16) >> 63 else symbol


def read_stacks(lines):
    """The stacks of the samples, each a tuple of thread, outermost function, ..., innermost one;
    and how often each was seen."""
    stacks = Counter()
    thread, frames, last = None, [], None

    for line in [*lines, "\n"]:
        found = FRAME.match(line)
        if found:
            address, symbol, module = found.groups()
            # The unwinder repeats the frame of a system call; of unknown ones, one is enough.
            name = name_of(address, symbol, module)
            if (address, name) != last and not (name.startswith("[") and frames[-1:] == [name]):
                frames.append(name)
            last = address, name
        elif line.strip():
            thread = line.strip()
        elif thread is not None:
            stacks[(thread, *reversed(frames))] += 1
            thread, frames, last = None, [], None
    return stacks


def write_folded(stacks, path):
    lines = (";".join(stack).replace(" ", "_") + f" {count}\n" for stack, count in stacks.items())
    path.write_text("".join(sorted(lines)))


def print_top(stacks, out):
    """The threads, and the functions by the samples that were in them and not in a function that
    they called."""
    all_samples = sum(stacks.values())
    threads, own, total = Counter(), Counter(), Counter()

    for stack, count in stacks.items():
        threads[stack[0]] += count
        own[stack[-1]] += count
        for name in set(stack[1:]):
            total[name] += count
    shares = (f"{name} {100 * n / all_samples:.1f} %" for name, n in threads.most_common(8))
    print(f"{all_samples} samples: " + ", ".join(shares), file=out)
    print("   self   total  function", file=out)
    for name, count in own.most_common(TOP):
        share, whole = 100 * count / all_samples, 100 * total[name] / all_samples
        print(f"{share:6.1f}% {whole:6.1f}%  {name.replace(KERNEL, ' (kernel)')}", file=out)


# ---- The picture ---------------------------------------------------------------------------------


class Box:
    """A function as called along one path: its samples, and the functions it called there."""

    def __init__(self):
        self.samples = 0
        self.callees = {}

    def add(self, stack, count):
        self.samples += count
        if stack:
            self.callees.setdefault(stack[0], Box()).add(stack[1:], count)

    def depth(self):
        return 1 + max((box.depth() for box in self.callees.values()), default=0)


def colour(name):
    """Warm for programs and blue for the kernel, and always the same for a function."""
    shade = zlib.crc32(name.encode()) % 64
    if name.endswith(KERNEL):
        return f"rgb({110 + shade}, {160 + shade // 2}, 230)"
    return f"rgb({225 + shade // 4}, {110 + shade * 2}, {50 + shade // 2})"


def draw_box(svg, name, box, first, all_samples, bottom):
    """Draws it with its lower edge at `bottom`, and on top of it what it called. `first` samples
    are to its left."""
    left, share = first / all_samples, box.samples / all_samples
    inner = WIDTH - 2 * MARGIN
    x, width = MARGIN + left * inner, share * inner

    if width < MIN_WIDTH:
        return
    shown = name.removesuffix(KERNEL)
    where = " in the kernel" if shown != name else ""
    group = ElementTree.SubElement(svg, "g", {"onclick": "zoom(this)", "data-name": shown})
    group.set("data-x", f"{left:.7f}")
    group.set("data-w", f"{share:.7f}")
    title = ElementTree.SubElement(group, "title")
    title.text = f"{shown}{where}: {box.samples} samples, {100 * share:.2f} %"
    size = {"x": f"{x:.2f}", "y": str(bottom - ROW), "width": f"{width:.2f}"}
    size |= {"height": str(ROW - 1), "fill": colour(name)}
    ElementTree.SubElement(group, "rect", size)
    text = ElementTree.SubElement(group, "text", {"x": f"{x + 3:.2f}", "y": str(bottom - 5)})
    letters = int(width / LETTER - 1)
    text.text = shown[:letters] if letters > 2 else ""
    for callee in sorted(box.callees):
        draw_box(svg, callee, box.callees[callee], first, all_samples, bottom - ROW)
        first += box.callees[callee].samples


def draw(stacks, title, subtitle):
    """The SVG, as an element tree."""
    root = Box()
    for stack, count in stacks.items():
        root.add(stack, count)
    height = HEADER + root.depth() * ROW + MARGIN
    svg = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg"})
    for name, value in (("width", WIDTH), ("height", height), ("viewBox", f"0 0 {WIDTH} {height}")):
        svg.set(name, str(value))
    ElementTree.SubElement(svg, "style").text = STYLE
    ElementTree.SubElement(svg, "script").text = SCRIPT
    ElementTree.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#fffdf5"})
    heading = {"class": "title", "x": str(MARGIN), "y": "18"}
    ElementTree.SubElement(svg, "text", heading).text = title
    heading = {"x": str(MARGIN), "y": "34"}
    ElementTree.SubElement(svg, "text", heading).text = subtitle[: int(WIDTH / LETTER) - 3]
    draw_box(svg, "all", root, 0, root.samples, height - MARGIN)
    return ElementTree.ElementTree(svg)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--stacks", type=Path, required=True, help="where the folded stacks go")
    parser.add_argument("--svg", type=Path, required=True, help="where the flame graph goes")
    parser.add_argument("--title", default="")
    parser.add_argument("--subtitle", default="")
    arguments = parser.parse_args()
    stacks = read_stacks(sys.stdin)
    if not stacks:
        sys.exit("flame_graph.py: there are no samples")
    write_folded(stacks, arguments.stacks)
    picture = draw(stacks, arguments.title, arguments.subtitle)
    picture.write(arguments.svg, encoding="utf-8", xml_declaration=True)
    print_top(stacks, sys.stdout)


if __name__ == "__main__":
    main()
