"""What a row found: figures of several runs each, and their form in results.json."""
import dataclasses
import statistics


@dataclasses.dataclass
class Figure:
    """One quantity, measured several times."""

    unit: str
    values: list = dataclasses.field(default_factory=list)

    @property
    def median(self):
        return statistics.median(self.values)

    def to_json(self):
        return {
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": self.values,
        }


class Result:
    """The figures of one row, by name, or why there are none."""

    def __init__(self, row, title):
        self.row, self.title = row, title
        self.figures = {}
        self.skipped = None  # what the machine lacks for the row
        self.failed = None  # what went wrong in it
        self.note = None

    def add(self, name, unit, value):
        self.figures.setdefault(name, Figure(unit)).values.append(value)

    def to_json(self):
        return {
            "row": self.row,
            "title": self.title,
            "skipped": self.skipped,
            "failed": self.failed,
            "note": self.note,
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
        }

    @staticmethod
    def from_json(json):
        result = Result(json["row"], json["title"])
        result.skipped, result.failed = json["skipped"], json["failed"]
        result.note = json["note"]
        for name, figure in json["figures"].items():
            result.figures[name] = Figure(figure["unit"], figure["values"])
        return result
