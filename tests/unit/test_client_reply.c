/* Which responses count as acknowledged, and what the others are told as. */
#include "client/rpc_failure.h"
#include "client/rpc_reply.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#include <string.h>

struct field {
    const char *name, *value;
};

#define OK_FIELDS                                                                                  \
    {":status", "200"}, {"content-type", "application/grpc+proto"},                                \
    {                                                                                              \
        "grpc-status", "0"                                                                         \
    }

struct row {
    struct field fields[6];
    const char *body;
    size_t body_length;
    enum grpc_status status;
    const char *message;
    int received; /* told by the server; -1: not told */
};

#define BODY(text) text, sizeof text - 1

static const struct row rows[] = {
    /* Each is judged for a stream of 300 packets: 300 is ac 02 as a varint. */
    {{OK_FIELDS}, BODY("\0\0\0\0\3\x08\xac\x02"), GRPC_OK, "", -1},
    {{OK_FIELDS, {"tally-received", "300"}}, BODY("\0\0\0\0\3\x08\xac\x02"), GRPC_OK, "", -1},
    {{OK_FIELDS}, BODY("\0\0\0\0\5\x10\1\x08\xac\x02"), GRPC_OK, "", -1},
    {{OK_FIELDS}, BODY("\0\0\0\0\2\x08\2"), GRPC_DATA_LOSS, "Ack says 2 of 300", -1},
    {{OK_FIELDS}, BODY("\0\0\0\0\0"), GRPC_DATA_LOSS, "Ack says 0 of 300", -1},
    {{OK_FIELDS, {"tally-received", "7"}},
     BODY("\0\0\0\0\2\x08\2"),
     GRPC_DATA_LOSS,
     "Ack says 2 of 300",
     7},
    {{OK_FIELDS}, "", 0, GRPC_INTERNAL, "status OK, but no Ack that can be read", -1},
    {{OK_FIELDS},
     BODY("\0\0\0\0\3\x08\xac"),
     GRPC_INTERNAL,
     "status OK, but no Ack that can be read",
     -1},
    {{OK_FIELDS},
     BODY("\1\0\0\0\3\x08\xac\x02"),
     GRPC_INTERNAL,
     "status OK, but no Ack that can be read",
     -1},
    {{OK_FIELDS},
     BODY("\0\0\0\0\2\x08\xac"),
     GRPC_INTERNAL,
     "status OK, but no Ack that can be read",
     -1},
    {{OK_FIELDS},
     BODY("\0\0\0\0\3\x08\xac\x02\0\0\0\0\3\x08\xac\x02"),
     GRPC_INTERNAL,
     "status OK, but no Ack that can be read",
     -1},

    {{{":status", "200"}, {"content-type", "application/grpc"}},
     BODY("\0\0\0\0\3\x08\xac\x02"),
     GRPC_UNKNOWN,
     "the response has no grpc-status",
     -1},
    {{{":status", "200"}, {"content-type", "text/html"}, {"grpc-status", "0"}},
     BODY("\0\0\0\0\3\x08\xac\x02"),
     GRPC_UNKNOWN,
     "the response is not of type application/grpc",
     -1},
    {{{":status", "200"}, {"content-type", "application/grpc-web"}, {"grpc-status", "0"}},
     BODY("\0\0\0\0\3\x08\xac\x02"),
     GRPC_UNKNOWN,
     "the response is not of type application/grpc",
     -1},
    {{{":status", "200"}, {"grpc-status", "14"}, {"grpc-message", "redis%20down"}},
     "",
     0,
     GRPC_UNAVAILABLE,
     "redis down",
     -1},
    {{{":status", "200"},
      {"grpc-status", "13"},
      {"grpc-message", "packet 3"},
      {"tally-received", "3"}},
     "",
     0,
     GRPC_INTERNAL,
     "packet 3",
     3},
    {{{":status", "200"}, {"grpc-status", "13"}, {"tally-received", "-3"}},
     "",
     0,
     GRPC_INTERNAL,
     "",
     -1},
    {{{":status", "200"}, {"grpc-status", "99"}}, "", 0, GRPC_UNKNOWN, "", -1},
    {{{":status", "415"}}, "", 0, GRPC_UNKNOWN, "HTTP status 415", -1},
    {{{":status", "503"}, {"content-type", "text/plain"}},
     BODY("busy"),
     GRPC_UNAVAILABLE,
     "HTTP status 503",
     -1},
    {{{":status", "404"}, {"grpc-status", "0"}}, "", 0, GRPC_UNIMPLEMENTED, "HTTP status 404", -1},
    {{{":status", "400"}, {"grpc-status", "3"}, {"grpc-message", "x"}},
     "",
     0,
     GRPC_INVALID_ARGUMENT,
     "x",
     -1},
};

static void feed(struct rpc_reply *reply, const struct row *row, size_t step)
{
    rpc_reply_init(reply);
    for (const struct field *f = row->fields; f->name; f++)
        rpc_reply_header(reply, (const uint8_t *)f->name, strlen(f->name),
                         (const uint8_t *)f->value, strlen(f->value));
    for (size_t i = 0; i < row->body_length; i += step) {
        size_t left = row->body_length - i;

        rpc_reply_data(reply, (const uint8_t *)row->body + i, left < step ? left : step);
    }
}

static void judge_any_response_as_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (size_t step = 1; step < 20; step++) {
            struct rpc_reply reply;
            struct rpc_outcome outcome;

            feed(&reply, &rows[i], step);
            rpc_reply_judge(&reply, 300, &outcome);
            assert_string_equal(outcome.message, rows[i].message);
            assert_int_equal(outcome.status, rows[i].status);
            assert_int_equal(outcome.told, rows[i].received >= 0);
            assert_int_equal(outcome.received, rows[i].received > 0 ? rows[i].received : 0);
        }
    }
}

static void judge_endless_body_is_bounded(void **state)
{
    struct rpc_reply reply;
    struct rpc_outcome outcome;
    uint8_t bytes[100] = {0};

    (void)state;
    feed(&reply, &rows[0], 8);
    for (int i = 0; i < 1000; i++)
        rpc_reply_data(&reply, bytes, sizeof bytes);
    rpc_reply_judge(&reply, 300, &outcome);
    assert_int_equal(outcome.status, GRPC_INTERNAL);
}

static void hint_common_failures_has_one(void **state)
{
    static const struct {
        enum grpc_status status;
        const char *message, *part; /* of the hint; NULL: there is none */
    } table[] = {
        {GRPC_UNAVAILABLE, "cannot connect to 127.0.0.1:50051: Connection refused",
         "scripts/run.sh"},
        {GRPC_UNAVAILABLE, "redis down", "Redis"},
        {GRPC_UNAVAILABLE, "connection lost", "its log"},
        {GRPC_UNAVAILABLE, "connection lost", "--tls"},
        {GRPC_UNAVAILABLE,
         "no TLS with h:1: the peer's certificate is refused: unable to get local issuer "
         "certificate",
         "--tls-ca"},
        {GRPC_UNAVAILABLE, "TLS ended with h:1: tlsv13 alert certificate required", "--tls-cert"},
        {GRPC_UNAVAILABLE, "no TLS with h:1: it closed the connection; does it speak TLS?",
         "leave out --tls"},
        {GRPC_UNAUTHENTICATED, "send a token: authorization: Bearer TOKEN", "--token-file"},
        {GRPC_PERMISSION_DENIED, "packet 1: the token does not cover its device_id", "--id-prefix"},
        {GRPC_UNAVAILABLE, "shutting down", "send again once it is back"},
        {GRPC_UNAVAILABLE, "the server is going away (NO_ERROR)", "send again"},
        {GRPC_UNAVAILABLE, "the server is going away (ENHANCE_YOUR_CALM)", "attack"},
        {GRPC_UNAVAILABLE, "the server is going away (PROTOCOL_ERROR)", "its log"},
        {GRPC_UNAVAILABLE, "the server stopped before these packets were committed",
         "none of that stream is confirmed"},
        {GRPC_UNAVAILABLE, "too many streams; end some first", "--streams"},
        {GRPC_INTERNAL, "packet 3: its device_id is empty", NULL},
        {GRPC_INTERNAL, "redis down", NULL},
        {GRPC_UNAVAILABLE, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *hint = rpc_failure_hint(table[i].status, table[i].message);

        assert_int_equal(hint != NULL, table[i].part != NULL);
        if (hint && !strstr(hint, table[i].part))
            fail_msg("\"%s\" does not say \"%s\"", hint, table[i].part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_any_response_as_expected),
        cmocka_unit_test(judge_endless_body_is_bounded),
        cmocka_unit_test(hint_common_failures_has_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
