#!/usr/bin/env python3
"""Writes the seeds of the corpora in tests/fuzz/corpus that are no fuzzer's: inputs by name, in the
forms that the targets read. tests/fuzz/seeds.py writes those that are not there."""
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

QUERY, PATH, CURSOR, ACCEPT, CURSOR_OF = (bytes([i]) for i in range(5))

SEEDS = {
    "query": {
        "empty": QUERY,
        "one_pair": QUERY + b"prefix=a",
        "name_alone": QUERY + b"device_id",
        "separators": QUERY + b"&&n=1&&",
        "several_ids": QUERY + b"device_id=a&device_id=%00&device_id=%C3%A9",
        "equals_in_value": QUERY + b"prefix=a=b+c%2Bd",
        "escaped_name": QUERY + b"%6e=7",
        "escaped_equals": QUERY + b"n%3d=7",
        "nul_in_name": QUERY + b"n%00x=7",
        "unknown_name": QUERY + b"N=7",
        "cut_escape": QUERY + b"prefix=a%4",
        "wrong_escape": QUERY + b"prefix=%zz",
        "no_utf8": QUERY + b"prefix=%FF",
        "number_low": QUERY + b"n=0",
        "number_high": QUERY + b"n=100",
        "number_over": QUERY + b"n=101x",
        "number_largest": QUERY + b"n=18446744073709551615",
        "number_past_64_bits": QUERY + b"n=18446744073709551616",
        "number_twice": QUERY + b"n=1&n=1",
        "number_of_zeros": QUERY + b"n=" + b"0" * 30 + b"9",
        "page_by_id": QUERY + b"limit=10&cursor=AWE&prefix=a",
        "page_by_count": QUERY + b"limit=1000000&cursor=AgAAAAAAAAABYQ&sort=-count",
        "wrong_sort": QUERY + b"sort=count%00",
        "cursor_of_another_sort": QUERY + b"cursor=AWE&sort=count",
        "ids_and_limit": QUERY + b"device_id=a&limit=1",
        "pairs_at_limit": QUERY + b"&".join([b"n"] * 1024),
        "pairs_past_limit": QUERY + b"&".join([b"n"] * 1025),
        "path": PATH + b"pump-001",
        "path_empty": PATH,
        "path_escaped": PATH + b"a%00b%2Fc/d+e",
        "path_at_limit": PATH + b"%41" * 20,
        "path_past_limit": PATH + b"a" * 21,
        "path_no_utf8": PATH + b"%ed%a0%80",
        "path_cut_escape": PATH + b"a%",
        "cursor_by_id": CURSOR + b"AWE",
        "cursor_by_count": CURSOR + b"AgAAAAAAAAABYQ",
        "cursor_upwards": CURSOR + b"Aw__________YcOp",
        "cursor_bits_left": CURSOR + b"AWF",
        "cursor_no_order": CURSOR + b"BGE",
        "cursor_without_id": CURSOR + b"AgAAAAAAAAAB",
        "cursor_padded": CURSOR + b"AWE=",
        "cursor_too_long": CURSOR + b"AW" + b"Fh" * 177,
        "cursor_of_id": CURSOR_OF + b"\x03pump-001",
        "cursor_of_count": CURSOR_OF + b"\x01pump-001-\xc3\xa9",
        "cursor_of_longest": CURSOR_OF + b"\x02" + b"x" * 256,
        "accept_nothing": ACCEPT,
        "accept_json": ACCEPT + b"application/json",
        "accept_prometheus": ACCEPT
        + b"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
        "accept_other_version": ACCEPT + b'text/plain; version="9"',
        "accept_ranges": ACCEPT + b"text/* ; q=0.2, application/*;q=0.1",
        "accept_odd_weights": ACCEPT + b"text/plain;q=nan,application/json;q=-1;q=0x1p-3",
        "accept_rubbish": ACCEPT + b",;=\";q=,;;, \t,",
        "encoding": ACCEPT + b"gzip, deflate, br",
        "encoding_refused": ACCEPT + b"x-gzip;q=0, *",
        "encoding_any": ACCEPT + b"*;q=0.001",
    },
}


def main():
    for target, seeds in SEEDS.items():
        directory = CORPUS / target
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            path = directory / name
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)


if __name__ == "__main__":
    main()
