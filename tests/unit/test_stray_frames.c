/* Frames that nghttp2 would let pass, found at every split. */
#include "server/stray_frames.h"
#include "tests/unit/unit.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

/* A request of three fields that the static table has. */
#define REQUEST(id, flags) "\0\0\3\1" flags "\0\0\0" id "\x82\x86\x84"
#define DATA(id, flags)    "\0\0\2\0" flags "\0\0\0" id "ab"
#define RESET(id)          "\0\0\4\3\0\0\0\0" id "\0\0\0\x8"
#define PING                                                                                       \
    "\0\0\x8\6\0\0\0\0\0"                                                                          \
    "12345678"
#define CONTINUATION(length) length "\x9\0\0\0\0\1"
#define CASE(text, error, good)                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1, error, good                                                        \
    }

struct peer {
    struct stray_frames strays;
    nghttp2_session *session;
};

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct peer *peer = user;

    stream_order_begin(&peer->strays.order, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, peer);
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    (void)session;
    (void)stream_id;
    (void)error;
    stray_frames_closed(&((struct peer *)user)->strays);
    return 0;
}

static void create(struct peer *peer)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;

    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    assert_int_equal(nghttp2_session_server_new2(&peer->session, callbacks, peer, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    stray_frames_init(&peer->strays);
}

/* Feeds bytes; returns the error, and how many of them the session took. */
static uint32_t feed(struct peer *peer, const char *bytes, size_t length, size_t *taken)
{
    uint32_t error = NGHTTP2_NO_ERROR;

    while (length > 0 && !error) {
        size_t n =
            stray_frames_look(&peer->strays, peer->session, (const uint8_t *)bytes, length, &error);

        assert_true(n > 0 || error);
        assert_true(n <= length);
        assert_int_equal(nghttp2_session_mem_recv(peer->session, (const uint8_t *)bytes, n), n);
        bytes += n;
        length -= n;
        *taken += n;
    }
    return error;
}

static void check(const char *bytes, size_t length, size_t split, uint32_t error, size_t good)
{
    struct peer peer;
    size_t taken = 0;
    uint32_t got;

    create(&peer);
    got = feed(&peer, bytes, split, &taken);
    if (!got)
        got = feed(&peer, bytes + split, length - split, &taken);
    assert_int_equal(got, error);
    assert_in_range(taken, good, error ? good + STRAY_HEADER_BYTES - 1 : good);
    nghttp2_session_del(peer.session);
}

static void look_finds_strays_at_every_split(void **state)
{
#define START    PREFACE REQUEST("\1", "\4") DATA("\1", "\0") PING DATA("\1", "\0")
#define IS_RESET START RESET("\1")
#define GOOD(t)  (sizeof(t) - 1)
    static const struct {
        const char *bytes;
        size_t length;
        uint32_t error;
        size_t good; /* bytes up to the stray frame, or all */
    } table[] = {
        CASE(START, 0, GOOD(START)),
        CASE(START DATA("\1", "\1"), 0, GOOD(START DATA("\1", "\1"))),
        CASE(IS_RESET PING, 0, GOOD(IS_RESET PING)),
        CASE(IS_RESET RESET("\1") PING, 0, GOOD(IS_RESET RESET("\1") PING)),
        CASE(IS_RESET DATA("\1", "\0"), NGHTTP2_STREAM_CLOSED, GOOD(IS_RESET)),
        CASE(IS_RESET PING DATA("\1", "\0"), NGHTTP2_STREAM_CLOSED, GOOD(IS_RESET PING)),
        CASE(IS_RESET REQUEST("\1", "\5"), NGHTTP2_STREAM_CLOSED, GOOD(IS_RESET)),
        CASE(START REQUEST("\5", "\4") RESET("\1") REQUEST("\3", "\4"), NGHTTP2_PROTOCOL_ERROR,
             GOOD(START REQUEST("\5", "\4") RESET("\1"))),
        CASE(PREFACE REQUEST("\5", "\4") REQUEST("\3", "\4"), NGHTTP2_PROTOCOL_ERROR,
             GOOD(PREFACE REQUEST("\5", "\4"))),
        CASE(PREFACE REQUEST("\5", "\4") REQUEST("\5", "\5") PING, 0,
             GOOD(PREFACE REQUEST("\5", "\4") REQUEST("\5", "\5") PING)),
        CASE(START CONTINUATION("\0\x40\1"), NGHTTP2_FRAME_SIZE_ERROR, GOOD(START)),
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (size_t split = 0; split <= table[i].length; split++)
            check(table[i].bytes, table[i].length, split, table[i].error, table[i].good);
    }
}

static void look_takes_one_octet_at_a_time(void **state)
{
    static const char bytes[] = IS_RESET DATA("\1", "\0");
    struct peer peer;
    size_t taken = 0;
    uint32_t error = 0;

    (void)state;
    create(&peer);
    for (size_t i = 0; i < sizeof bytes - 1 && !error; i++)
        error = feed(&peer, bytes + i, 1, &taken);
    assert_int_equal(error, NGHTTP2_STREAM_CLOSED);
    assert_int_equal(taken, GOOD(IS_RESET) + STRAY_HEADER_BYTES - 1);
    nghttp2_session_del(peer.session);
}

static void look_lets_pass_what_was_cut_short_until_the_client_ends_it(void **state)
{
    static const char more[] = DATA("\1", "\0") DATA("\1", "\1"), stray[] = DATA("\1", "\0");
    struct peer peer;
    size_t taken = 0;

    (void)state;
    create(&peer);
    assert_int_equal(feed(&peer, IS_RESET, GOOD(IS_RESET), &taken), 0);
    stream_order_cut_short(&peer.strays.order, 1); /* as if it had been we who reset it */
    assert_int_equal(feed(&peer, more, sizeof more - 1, &taken), 0);
    assert_int_equal(feed(&peer, stray, sizeof stray - 1, &taken), NGHTTP2_STREAM_CLOSED);
    nghttp2_session_del(peer.session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_finds_strays_at_every_split),
        cmocka_unit_test(look_takes_one_octet_at_a_time),
        cmocka_unit_test(look_lets_pass_what_was_cut_short_until_the_client_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
