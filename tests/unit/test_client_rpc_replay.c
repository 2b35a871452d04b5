/* The replay session's own HTTP/2, frame by frame: what it accepts, what it answers, and which
 * breaches end the connection. How calls end is tested for both kinds in test_client_session.c. */
#include "client/rpc_session.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) text, sizeof text - 1

#define SETTINGS "\0\0\0\4\0\0\0\0\0"
/* ":status: 200" alone, on stream 1, END_HEADERS */
#define HEADERS "\0\0\1\1\4\0\0\0\1\x88"

struct rig {
    struct rpc_session *session;
    struct rpc_call calls[3];
    size_t left;    /* bytes of body a call still has */
    size_t written; /* by frames() */
    unsigned ended;
    struct rpc_outcome outcome;
    uint8_t store[65536];
    struct output out;
};

/* One frame, without the bytes of a body: the tests look at lengths only. */
static size_t frames(void *context, struct rpc_call *call, int32_t stream_id, struct output *out,
                     size_t window, bool *end)
{
    struct rig *rig = context;
    size_t length = rig->left < window ? rig->left : window;

    (void)call;
    (void)stream_id;
    if (length > 16384)
        length = 16384;
    memset(output_claim(out, 9), 0, 9);
    output_keep(out, 9);
    rig->left -= length;
    rig->written += length;
    *end = rig->left == 0;
    return length;
}

static void ended(void *context, struct rpc_call *call, const struct rpc_outcome *outcome)
{
    struct rig *rig = context;

    (void)call;
    rig->ended++;
    rig->outcome = *outcome;
}

static void pull(struct rig *rig)
{
    output_init(&rig->out, rig->store, sizeof rig->store);
    assert_int_equal(rpc_session_pull(rig->session, &rig->out), 0);
}

static bool push(struct rig *rig, const char *bytes, size_t length)
{
    struct rpc_outcome outcome;

    assert_int_equal(rpc_session_push(rig->session, (const uint8_t *)bytes, length), 0);
    return !rpc_session_over(rig->session, &outcome);
}

/* A session whose preface went out, and with `calls` started. */
static void open_rig(struct rig *rig, size_t calls)
{
    static const struct rpc_handler handler = {.frames = frames, .ended = ended};

    static const struct rpc_peer peer = {.authority = "host:1", .authorization = ""};

    memset(rig, 0, sizeof *rig);
    rig->left = 1 << 30;
    rig->session = rpc_session_create(&peer, &handler, rig);
    assert_non_null(rig->session);
    for (size_t i = 0; i < calls; i++)
        assert_int_equal(rpc_call_start(rig->session, &rig->calls[i], 1), 0);
    pull(rig);
}

static void close_rig(struct rig *rig)
{
    rpc_session_destroy(rig->session);
}

/* What was pulled, from `offset` on, begins with these bytes. */
static void expect(const struct rig *rig, size_t offset, const char *bytes, size_t length)
{
    assert_in_range(length, 0, rig->out.length - offset);
    assert_memory_equal(rig->store + offset, bytes, length);
}

static void pull_first_is_preface_and_settings(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, 1);
    assert_int_equal(rig.out.length, 24 + 15);
    expect(&rig, 0, BYTES(NGHTTP2_CLIENT_MAGIC "\0\0\6\4\0\0\0\0\0\0\2\0\0\0\0"));
    assert_int_equal(rig.written, 0);
    assert_true(push(&rig, BYTES(SETTINGS)));
    pull(&rig);
    expect(&rig, 0, BYTES("\0\0\0\4\1\0\0\0\0"));
    assert_int_equal(rig.store[9 + 3], NGHTTP2_HEADERS);
    assert_int_equal(rig.written, 65535);
    close_rig(&rig);
}

static void push_frames_table(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        bool accepted;
    } table[] = {
        {BYTES("\0\0\0\4\1\0\0\0\0"), true},                     /* SETTINGS ack */
        {BYTES("\0\0\1\4\1\0\0\0\0x"), false},                   /* that is not empty */
        {BYTES("\0\0\5\4\0\0\0\0\0\0\3\0\0\0"), false},          /* no multiple of 6 */
        {BYTES("\0\0\0\4\0\0\0\0\1"), false},                    /* SETTINGS on a stream */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\4\x7f\xff\xff\xff"), true}, /* largest window */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\4\x80\0\0\0"), false},      /* and more */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\5\0\0\x3f\xff"), false},    /* frame size too small */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\5\0\xff\xff\xff"), true},   /* largest */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\5\1\0\0\0"), false},        /* and more */
        {BYTES("\0\0\6\4\0\0\0\0\0\0\2\0\0\0\1"), false},        /* a server that pushes */
        {BYTES("\0\0\6\4\0\0\0\0\0\x99\x99\0\0\0\1"), true},     /* unknown setting */
        {BYTES("\0\0\3\x99\0\0\0\0\1abc"), true},                /* unknown frame */
        {BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh"), true},            /* PING */
        {BYTES("\0\0\7\6\0\0\0\0\0abcdefg"), false},             /* too short */
        {BYTES("\0\0\x8\6\0\0\0\0\1abcdefgh"), false},           /* on a stream */
        {BYTES("\0\0\4\x8\0\0\0\0\0\0\0\0\1"), true},            /* WINDOW_UPDATE */
        {BYTES("\0\0\4\x8\0\0\0\0\1\0\0\0\1"), true},            /* of stream 1 */
        {BYTES("\0\0\4\x8\0\0\0\0\3\0\0\0\1"), false},           /* of one never opened */
        {BYTES("\0\0\4\x8\0\0\0\0\0\0\0\0\0"), false},           /* by nothing */
        {BYTES("\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff"), true},    /* largest window */
        {BYTES("\0\0\4\x8\0\0\0\0\0\x7f\xff\xff\xff\0\0\4\x8\0\0\0\0\0\0\0\0\1"),
         false},                                              /* and more */
        {BYTES("\0\0\4\x8\0\0\0\0\1\x7f\xff\xff\xff"), true}, /* largest window */
        {BYTES("\0\0\4\x8\0\0\0\0\1\x7f\xff\xff\xff\0\0\4\x8\0\0\0\0\1\0\0\0\1"),
         false},                                               /* and more */
        {BYTES("\0\0\5\x8\0\0\0\0\0\0\0\0\1\0"), false},       /* too long */
        {BYTES("\0\0\4\3\0\0\0\0\1\0\0\0\x8"), true},          /* RST_STREAM */
        {BYTES("\0\0\4\3\0\0\0\0\3\0\0\0\x8"), false},         /* of one never opened */
        {BYTES("\0\0\4\3\0\0\0\0\0\0\0\0\x8"), false},         /* of none */
        {BYTES("\0\0\5\2\0\0\0\0\1\0\0\0\0\0"), true},         /* PRIORITY */
        {BYTES("\0\0\4\5\4\0\0\0\1\0\0\0\2"), false},          /* PUSH_PROMISE */
        {BYTES("\0\0\7\7\0\0\0\0\0\0\0\0\1\0\0\0"), false},    /* GOAWAY too short */
        {BYTES("\0\0\x9\7\0\0\0\0\0\0\0\0\1\0\0\0\0x"), true}, /* with debug data */
        {BYTES(HEADERS), true},
        {BYTES("\0\0\1\1\4\0\0\0\3\x88"), false},            /* of one never opened */
        {BYTES("\0\0\1\1\4\0\0\0\2\x88"), false},            /* of the server's own */
        {BYTES("\0\0\1\1\4\0\0\0\1\xff"), false},            /* broken HPACK */
        {BYTES("\0\0\4\1\x0c\0\0\0\1\2\x88\0\0"), true},     /* padded */
        {BYTES("\0\0\2\1\x0c\0\0\0\1\2\x88"), false},        /* more padding than frame */
        {BYTES("\0\0\6\1\x24\0\0\0\1\0\0\0\0\0\x88"), true}, /* with a priority */
        {BYTES("\0\0\4\1\x24\0\0\0\1\0\0\0\0"), false},      /* that is not whole */
        {BYTES("\0\0\1\1\0\0\0\0\1\x88"
               "\0\0\0\x9\4\0\0\0\1"),
         true},                                            /* CONTINUATION */
        {BYTES("\0\0\1\1\0\0\0\0\1\x88" SETTINGS), false}, /* interrupted */
        {BYTES("\0\0\0\x9\4\0\0\0\1"), false},             /* of nothing */
        {BYTES("\0\0\2\0\0\0\0\0\1xy"), true},             /* DATA */
        {BYTES("\0\0\4\0\x8\0\0\0\1\1xy\0"), true},        /* padded */
        {BYTES("\0\0\0\0\x8\0\0\0\1"), false},             /* padded and empty */
        {BYTES("\0\0\2\0\0\0\0\0\0xy"), false},            /* of no stream */
        {BYTES("\0\0\2\0\0\0\0\0\3xy"), false},            /* of one never opened */
        {BYTES("\0\x40\1\x99\0\0\0\0\0"), false},          /* a frame over the size */
        {BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        for (size_t step = 1; step <= 64; step *= 8) {
            struct rig rig;
            bool accepted = true;

            open_rig(&rig, 1);
            assert_true(push(&rig, BYTES(SETTINGS)));
            pull(&rig); /* which uses up both windows of 65,535 bytes */
            for (size_t at = 0; at < table[i].length; at += step)
                accepted = push(&rig, table[i].bytes + at,
                                step < table[i].length - at ? step : table[i].length - at);
            if (accepted != table[i].accepted)
                print_error("row %zu\n", i);
            assert_int_equal(accepted, table[i].accepted);
            if (!accepted) {
                pull(&rig);
                assert_int_equal(rig.store[3], NGHTTP2_GOAWAY);
            }
            close_rig(&rig);
        }
    }
}

static void push_before_settings_is_a_breach(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, 0);
    assert_false(push(&rig, BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh")));
    assert_int_equal(rpc_call_start(rig.session, &rig.calls[0], 1), -ESHUTDOWN);
    close_rig(&rig);
}

static void ping_is_answered(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, 0);
    assert_true(push(&rig, BYTES(SETTINGS "\0\0\x8\6\0\0\0\0\0abcdefgh")));
    pull(&rig);
    assert_int_equal(rig.out.length, 9 + 17);
    expect(&rig, 9, BYTES("\0\0\x8\6\1\0\0\0\0abcdefgh"));
    assert_true(push(&rig, BYTES("\0\0\x8\6\1\0\0\0\0abcdefgh")));
    pull(&rig);
    assert_int_equal(rig.out.length, 0);
    close_rig(&rig);
}

/* A peer that never reads what it makes us answer. */
static void ping_flood_is_shut_out(void **state)
{
    struct rig rig;
    unsigned count = 0;

    (void)state;
    open_rig(&rig, 0);
    assert_true(push(&rig, BYTES(SETTINGS)));
    while (push(&rig, BYTES("\0\0\x8\6\0\0\0\0\0abcdefgh")))
        assert_in_range(++count, 1, 100000);
    pull(&rig);
    assert_int_equal(rig.out.length, sizeof rig.store);
    close_rig(&rig);
}

static void windows_bound_what_is_sent(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, 1);
    assert_true(push(&rig, BYTES("\0\0\6\4\0\0\0\0\0\0\4\0\0\0\x64")));
    pull(&rig);
    assert_int_equal(rig.written, 100);
    assert_true(push(&rig, BYTES("\0\0\4\x8\0\0\0\0\1\0\0\0\x32")));
    pull(&rig);
    assert_int_equal(rig.written, 150);
    /* From 100 to 10 takes 90 from a window that is empty; 80 more do not open it. */
    assert_true(push(&rig, BYTES("\0\0\6\4\0\0\0\0\0\0\4\0\0\0\x0a")));
    assert_true(push(&rig, BYTES("\0\0\4\x8\0\0\0\0\1\0\0\0\x50")));
    pull(&rig);
    assert_int_equal(rig.written, 150);
    assert_true(push(&rig, BYTES("\0\0\4\x8\0\0\0\0\1\0\0\0\x0b")));
    pull(&rig);
    assert_int_equal(rig.written, 151);
    /* A stream with all the window there is, on a connection with 65,535 - 151 of it. */
    assert_true(push(&rig, BYTES("\0\0\4\x8\0\0\0\0\1\0\x7f\xff\xff")));
    for (int i = 0; i < 10; i++)
        pull(&rig);
    assert_int_equal(rig.written, 65535);
    assert_true(push(&rig, BYTES("\0\0\4\x8\0\0\0\0\0\0\0\0\1")));
    pull(&rig);
    assert_int_equal(rig.written, 65536);
    close_rig(&rig);
}

static void streams_over_the_limit_wait(void **state)
{
    struct rig rig;

    (void)state;
    open_rig(&rig, 3);
    assert_true(push(&rig, BYTES("\0\0\x0c\4\0\0\0\0\0\0\3\0\0\0\1\0\4\0\0\0\1")));
    pull(&rig);
    assert_true(rig.calls[0].requested);
    assert_false(rig.calls[1].requested);
    assert_true(push(&rig, BYTES("\0\0\4\3\0\0\0\0\1\0\0\0\x7")));
    assert_int_equal(rig.ended, 1);
    pull(&rig);
    assert_true(rig.calls[1].requested);
    assert_int_equal(rig.calls[1].stream_id, 3);
    /* GOAWAY: the open one goes on, the one that waits does not. */
    assert_true(push(&rig, BYTES("\0\0\x8\7\0\0\0\0\0\0\0\0\3\0\0\0\0")));
    assert_int_equal(rig.ended, 2);
    assert_string_equal(rig.outcome.message, "the server is going away (NO_ERROR)");
    assert_false(push(&rig, BYTES("\0\0\4\3\0\0\0\0\3\0\0\0\x8")));
    assert_int_equal(rig.ended, 3);
    assert_string_equal(rig.outcome.message, "stream reset by the server (CANCEL)");
    close_rig(&rig);
}

/* Refused before anything was sent, all in one receive: each is reset, and none is a flood. */
static void many_early_errors_are_no_flood(void **state)
{
    enum { CALLS = 10000 };
    struct rpc_call *calls = calloc(CALLS, sizeof *calls);
    unsigned resets = 0;
    struct rig rig;

    (void)state;
    assert_non_null(calls);
    open_rig(&rig, 0);
    for (size_t i = 0; i < CALLS; i++)
        assert_int_equal(rpc_call_start(rig.session, &calls[i], 1), 0);
    assert_true(push(&rig, BYTES("\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0")));
    do
        pull(&rig);
    while (rig.out.length > 0);
    for (uint32_t id = 1; id < 2 * CALLS; id += 2) {
        const char early[] = {0, 0, 1, 1, 5, 0, 0, (char)(id >> 8), (char)id, (char)0x88};

        assert_true(push(&rig, early, sizeof early));
    }
    assert_int_equal(rig.ended, CALLS);
    for (;;) {
        pull(&rig);
        if (rig.out.length == 0)
            break;
        resets += (unsigned)rig.out.length;
    }
    assert_int_equal(resets, 13 * CALLS);
    free(calls);
    close_rig(&rig);
}

/* Credit goes back for what a server sends, on the stream and the connection. */
static void data_is_credited(void **state)
{
    static char data[9 + 16384] = "\0\x40\0\0\0\0\0\0\1";
    struct rig rig;

    (void)state;
    open_rig(&rig, 1);
    assert_true(push(&rig, BYTES(SETTINGS)));
    pull(&rig);
    assert_true(push(&rig, data, sizeof data));
    pull(&rig);
    assert_int_equal(rig.out.length, 0);
    assert_true(push(&rig, data, sizeof data));
    pull(&rig);
    assert_int_equal(rig.out.length, 26);
    expect(&rig, 0, BYTES("\0\0\4\x8\0\0\0\0\0\0\0\x80\0\0\0\4\x8\0\0\0\0\1\0\0\x80\0"));
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pull_first_is_preface_and_settings),
        cmocka_unit_test(push_frames_table),
        cmocka_unit_test(push_before_settings_is_a_breach),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(ping_flood_is_shut_out),
        cmocka_unit_test(windows_bound_what_is_sent),
        cmocka_unit_test(streams_over_the_limit_wait),
        cmocka_unit_test(many_early_errors_are_no_flood),
        cmocka_unit_test(data_is_credited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
