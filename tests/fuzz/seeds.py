#!/usr/bin/env python3
"""Writes the seeds of the corpora in tests/fuzz/corpus that are no fuzzer's: inputs by name, in the
forms that the targets read. tests/fuzz/seeds.py writes those that are not there."""
import gzip
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

QUERY, PATH, CURSOR, ACCEPT, CURSOR_OF = (bytes([i]) for i in range(5))

OPTIONS, TOKENS = bytes([0]), bytes([1])
TOKEN = b"fleet-north ingest,read sha256=" + b"0123456789abcdef" * 4

# For redis_reply: it lies or not, how answers are cut, and what is decided on the way to the first
# answer, that to WATCH: two batches, whether one is sent ahead, and that all arrives.
LIES, TRUE = bytes([1, 0]), bytes([0, 0x21])
FIRST = bytes(4)
FIRST_BATCH = bytes(23)  # all until it is in; what others do to the ledger then comes next
LIE = bytes([10])  # one of the answers in fake_redis_lies.c, whose index is behind it

# For session: a step is a byte that picks it, one for its details, and what some take besides.
STEPS, BYTES, NO_PREFACE = bytes([0, 0]), bytes([1, 0]), bytes([3, 0])
SLICED = bytes([0, 0x17])
OPEN, OPEN_GZIP, OPEN_1S, OPEN_EMPTY = b"\0\0", b"\0\2", b"\0\3", b"\0\x80"
PACKETS, CUT_PACKETS, LAST_PACKETS = b"\1\0\7", b"\3\1\3", b"\4\2\5"
CUT, COMMIT, SEND = b"\x0b\0", b"\x0c\0", b"\x0f\0"
HTTP1 = b"GET /metrics HTTP/1.1\r\n\r\n"

# For gunzip: how much may come out, how it is cut.
ROOMY, TIGHT = bytes([255, 0x25]), bytes([1, 0x13])
GZIP = gzip.compress(b"\x0a\x08pump-001\x10\x05", mtime=0)

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
    "options": {
        "nothing": OPTIONS,
        "file": OPTIONS + b"grpc-port = 1\n# a comment\n\n  http-port=65535  \n",
        "every_kind": OPTIONS + b"bind = ::1\nworkers = 256\nlog-format = json\n",
        "file_without_end": OPTIONS + b"workers = 3",
        "twice": OPTIONS + b"workers = 3\nworkers = 4\n",
        "no_equals": OPTIONS + b"workers 3\n",
        "close_name": OPTIONS + b"worker = 3\n",
        "command_in_file": OPTIONS + b"help = true\n",
        "number_past_64_bits": OPTIONS + b"workers = 18446744073709551616\n",
        "number_with_sign": OPTIONS + b"workers = +3\n",
        "not_a_choice": OPTIONS + b"log-level = loud\n",
        "nul_in_line": OPTIONS + b"workers = 3\0 = 4\n",
        "long_name": OPTIONS + b"w" * 300 + b" = 1\n",
        "flags": OPTIONS + b"workers = 9\n\xff--workers\xff4\xff--log-level=warn\xff-h",
        "flag_of_flag": OPTIONS + b"\xff--check-config=false\xff--version",
        "no_value": OPTIONS + b"\xff--bind",
        "no_option": OPTIONS + b"\xffstart",
        "dashes": OPTIONS + b"\xff--\xff--=",
        "secret_flag": OPTIONS + b"\xff--redis-password\xffx",
        "long_flag": OPTIONS + b"\xff--" + b"x" * 200,
        "tokens_none": TOKENS + b"# nobody\n\n",
        "token": TOKENS + TOKEN,
        "token_of_all": TOKENS + TOKEN + b" prefix=a%20%25%C3%A9 max-devices=1000000000\r\n",
        "tokens_two": TOKENS + b"a admin sha256=" + b"0" * 64 + b"\n" + TOKEN,
        "tokens_of_one_name": TOKENS + TOKEN + b"\n" + TOKEN,
        "token_without_hash": TOKENS + b"fleet ingest\n",
        "token_short_hash": TOKENS + TOKEN[:-1],
        "token_wrong_right": TOKENS + TOKEN.replace(b"read", b"write"),
        "token_right_twice": TOKENS + TOKEN.replace(b"read", b"ingest"),
        "token_right_cut": TOKENS + TOKEN.replace(b"read", b""),
        "token_wrong_name": TOKENS + b"\xc3\xa9" + TOKEN,
        "token_wrong_prefix": TOKENS + TOKEN + b" prefix=%zz",
        "token_prefix_no_utf8": TOKENS + TOKEN + b" prefix=%ff",
        "token_prefix_nul": TOKENS + TOKEN + b" prefix=%00",
        "token_no_devices": TOKENS + TOKEN + b" max-devices=0",
        "token_unknown_field": TOKENS + TOKEN + b" colour=red",
        "token_line_at_limit": TOKENS + TOKEN + b" " * (1024 - len(TOKEN)),
        "token_line_past_limit": TOKENS + TOKEN + b" " * (1025 - len(TOKEN)),
    },
    "gunzip": {
        "nothing": ROOMY,
        "packet": ROOMY + GZIP,
        "two_members": ROOMY + GZIP + GZIP,
        "rubbish_behind": ROOMY + GZIP + b"x",
        "cut": ROOMY + GZIP[:-3],
        "wrong_sum": ROOMY + GZIP[:-5] + b"x" + GZIP[-4:],
        "wrong_length": ROOMY + GZIP[:-1] + b"x",
        "at_bound": TIGHT + gzip.compress(bytes(64), mtime=0),
        "past_bound": TIGHT + gzip.compress(bytes(65), mtime=0),
        "bomb": ROOMY + gzip.compress(bytes(100000), mtime=0),
        "second_past_bound": TIGHT + gzip.compress(bytes(60), mtime=0) * 2,
        "no_gzip": ROOMY + zlib.compress(b"hello"),
        "stored": ROOMY + gzip.compress(b"hello", compresslevel=0, mtime=0),
        "with_name": ROOMY + b"\x1f\x8b\x08\x1f" + bytes(6) + b"\1\0xname\0comment\0",
    },
    "session": {
        "greeting": STEPS,
        "one_stream": STEPS + OPEN + PACKETS + LAST_PACKETS + CUT + COMMIT,
        "empty_stream": STEPS + OPEN_EMPTY + CUT + COMMIT,
        "sliced": SLICED + OPEN + CUT_PACKETS + CUT_PACKETS + LAST_PACKETS,
        "gzip": STEPS + OPEN_GZIP + PACKETS + CUT_PACKETS + LAST_PACKETS,
        "two_streams": STEPS + OPEN + OPEN + b"\1\0\3\1\1\3\4\0\1\4\1\1" + CUT + COMMIT,
        "cut_between": STEPS + OPEN + PACKETS + CUT + PACKETS + COMMIT + LAST_PACKETS,
        "ends_inside_packet": STEPS + OPEN + b"\5\1\2" + CUT + COMMIT,
        "trailers": STEPS + OPEN + PACKETS + b"\7\0",
        "reset": STEPS + OPEN + PACKETS + b"\x08\0" + SEND,
        "continuation": STEPS + b"\0\x40" + LAST_PACKETS,
        "padded": STEPS + OPEN + b"\4\x21\5",
        "past_max_streams": STEPS + OPEN * 10 + SEND + LAST_PACKETS * 3,
        "deadline": STEPS + OPEN_1S + PACKETS + b"\x0d\xff" + CUT + COMMIT,
        "stall": STEPS + OPEN + CUT_PACKETS + b"\x0d\xff",
        "interrupted": STEPS + OPEN + PACKETS + b"\x0e\x20" + CUT + COMMIT,
        "drained": STEPS + OPEN + PACKETS + b"\x0e\x18" + LAST_PACKETS,
        "control_frames": STEPS + OPEN + b"".join(bytes([9, i]) for i in range(8)) + LAST_PACKETS,
        "get": STEPS + b"\0\1" + LAST_PACKETS,
        "no_method": STEPS + b"\0\x0c" + LAST_PACKETS,
        "health_check": STEPS + b"\0\x8d",
        "health_watch": STEPS + b"\0\x0e\6\x10" + SEND,
        "reflection": STEPS + b"\0\x0f" + LAST_PACKETS,
        "any_frame": STEPS + OPEN + b"\x0a\x48\0\1\1" + bytes(8),
        "any_bytes": STEPS + b"\x0a\x09\0\0\0" + b"\0\0\0\3\0\0\0\0\1",
        "http1": NO_PREFACE + HTTP1,
        "frames_only": BYTES + b"\0\0\4\x08\0\0\0\0\0\0\0\0\0",
        **{f"bad_packet_{i}": STEPS + OPEN + PACKETS + bytes([6, 16 * i]) for i in range(7)},
    },
    "redis_reply": {
        "all_goes_well": TRUE,
        "all_goes_well_at_once": bytes([14, 0]),
        "no_answer": TRUE + FIRST + bytes([15]),
        "cut_answer": TRUE + FIRST + bytes([0x8E]),
        "broken_while_sending": TRUE + bytes(3) + bytes([0x7F]),
        "error_without_text": LIES + FIRST + bytes([0]) + LIE + bytes([12]),
        "array_of_2147483647": LIES + FIRST + LIE + bytes([11]),
        "nested_arrays": LIES + FIRST + bytes([0]) + LIE + bytes([13]),
        "another_started": TRUE + FIRST_BATCH + bytes([7, 3]),
        "went_back_to_an_earlier_one": TRUE + FIRST_BATCH + bytes([8, 3]),
        "lost_and_another_started": TRUE + FIRST_BATCH + bytes([9, 3]),
        "nil_instead_of_a_ledger": LIES + FIRST + bytes([0]) + LIE + bytes([0]),
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
