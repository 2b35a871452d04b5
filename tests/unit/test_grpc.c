/* gRPC's own encodings. */
#include "common/compiler.h"
#include "proto/grpc.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void encode_message_escapes_what_headers_cannot_hold(void **state)
{
    static const char *const table[][2] = {
        {"", ""},          {"redis down", "redis down"}, {"100%", "100%25"},
        {"a\nb", "a%0Ab"}, {"\xc3\xa9", "%C3%A9"},       {"~ ", "~ "},
        {"\x7f", "%7F"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        size_t length = grpc_encode_message(table[i][0], out, sizeof out);

        assert_string_equal(out, table[i][1]);
        assert_int_equal(length, strlen(out));
    }
}

static void encode_message_too_long_cuts_between_escapes(void **state)
{
    char out[8];

    (void)state;
    assert_int_equal(grpc_encode_message("ab\n\n\n", out, sizeof out), 5);
    assert_string_equal(out, "ab%0A");
}

/* The last two are cut: `out` has room for 15 bytes. */
static void decode_message_table(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"a%20b%41", "a bA"},
        {"%c3%a9%C3%A9", "\xc3\xa9\xc3\xa9"},
        {"100%", "100%"},
        {"%4", "%4"},
        {"%zz%4g", "%zz%4g"},
        {"%25%32%30", "%20"},
        {"%1b[31m%0a\x7f", "?[31m??"},
        {"a%00b", "a?b"},
        {"%c3%a9 %E2%82%ac", "\xc3\xa9 \xe2\x82\xac"},
        {"%c3%a9 %ff", "?? ?"},
        {"0123456789abcdefghij", "0123456789abcde"},
        {"0123456789abcd%41%42", "0123456789abcdA"},
    };
    char out[16];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const char *text = table[i][0];
        size_t length = grpc_decode_message((const uint8_t *)text, strlen(text), out, sizeof out);

        assert_string_equal(out, table[i][1]);
        assert_int_equal(length, strlen(out));
    }
}

static void decode_message_undoes_encode_message(void **state)
{
    char encoded[256], decoded[256];

    (void)state;
    for (int byte = 0x20; byte < 0x100; byte++) {
        char text[] = {'<', (char)byte, '%', '4', '1', '>', '\0'};
        size_t length = grpc_encode_message(text, encoded, sizeof encoded);

        grpc_decode_message((const uint8_t *)encoded, length, decoded, sizeof decoded);
        if (byte >= 0x7f) /* alone, a byte past ASCII is not UTF-8 */
            text[1] = '?';
        assert_string_equal(decoded, text);
    }
}

static void parse_status_table(void **state)
{
    static const struct {
        const char *text;
        enum grpc_status status;
    } table[] = {
        {"0", GRPC_OK},        {"14", GRPC_UNAVAILABLE}, {"16", GRPC_UNAUTHENTICATED},
        {"17", GRPC_UNKNOWN},  {"", GRPC_UNKNOWN},       {"-1", GRPC_UNKNOWN},
        {"1x", GRPC_UNKNOWN},  {"256", GRPC_UNKNOWN},    {"00", GRPC_OK},
        {"014", GRPC_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(grpc_status_parse((const uint8_t *)table[i].text, strlen(table[i].text)),
                         table[i].status);
}

static void status_name_of_no_status_is_unknown(void **state)
{
    (void)state;
    assert_string_equal(grpc_status_name(GRPC_OK), "OK");
    assert_string_equal(grpc_status_name(GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(grpc_status_name((enum grpc_status)77), "UNKNOWN");
}

static void content_type_accepts_grpc_only(void **state)
{
    static const struct {
        const char *type;
        bool accepted;
    } table[] = {
        {"application/grpc", true},
        {"application/grpc+proto", true},
        {"application/grpc;v=1", true},
        {"Application/gRPC", true},
        {"application/grpc-web", false},
        {"application/json", false},
        {"", false},
        {"application/grp", false},
        {"application/grpcweb", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(
            grpc_is_content_type((const uint8_t *)table[i].type, strlen(table[i].type)),
            table[i].accepted);
}

static void proto_type_is_no_other_coding(void **state)
{
    static const struct {
        const char *type;
        bool accepted;
    } table[] = {
        {"application/grpc", true},       {"application/grpc+proto", true},
        {"application/grpc;v=1", true},   {"application/grpc+proto;v=1", true},
        {"Application/gRPC+Proto", true}, {"application/grpc+json", false},
        {"application/grpc+", false},     {"application/grpc+protobuf", false},
        {"application/grpc-web", false},  {"application/grpc+prot", false},
        {"application/json", false},      {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(grpc_is_proto_type((const uint8_t *)table[i].type, strlen(table[i].type)),
                         table[i].accepted);
}

static void parse_timeout_accepts_table(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } table[] = {
        {"0n", 0},
        {"0H", 0},
        {"1n", 1},
        {"999999n", 1},
        {"1000000n", 1},
        {"1000001n", 2},
        {"99999999n", 100},
        {"1u", 1},
        {"1001u", 2},
        {"99999999u", 100000},
        {"1m", 1},
        {"99999999m", 99999999},
        {"1S", 1000},
        {"007S", 7000},
        {"00000001S", 1000},
        {"1M", 60000},
        {"1H", 3600000},
        {"99999999S", UINT64_C(99999999000)},
        {"99999999M", UINT64_C(5999999940000)},
        {"99999999H", UINT64_C(359999996400000)},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        uint64_t ms = 77;
        const char *text = table[i].text;

        assert_int_equal(grpc_parse_timeout((const uint8_t *)text, strlen(text), &ms), 0);
        assert_int_equal(ms, table[i].ms);
    }
}

static void parse_timeout_rejects_table(void **state)
{
    static const char *const table[] = {
        "",     "1",    "S",    "1s",  "1h",  "1 S",  " 1S",       "1S ",           "+1S",
        "-1S",  "1.5S", "1e3S", "1SS", "1ms", "0x1S", "123456789", "000000001S",    "123456789S",
        "1\tS", "SS",   "m",    "1U",  "١S",  "1N",   "99999999",  "184467440737S", "1H1M",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        uint64_t ms;

        assert_int_equal(grpc_parse_timeout((const uint8_t *)table[i], strlen(table[i]), &ms),
                         -EINVAL);
    }
    for (int unit = 0; unit < 256; unit++) {
        const uint8_t text[] = {'1', (uint8_t)unit};
        uint64_t ms;

        if (!strchr("HMSmun", unit) || unit == 0)
            assert_int_equal(grpc_parse_timeout(text, sizeof text, &ms), -EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_message_escapes_what_headers_cannot_hold),
        cmocka_unit_test(encode_message_too_long_cuts_between_escapes),
        cmocka_unit_test(decode_message_table),
        cmocka_unit_test(decode_message_undoes_encode_message),
        cmocka_unit_test(parse_status_table),
        cmocka_unit_test(status_name_of_no_status_is_unknown),
        cmocka_unit_test(content_type_accepts_grpc_only),
        cmocka_unit_test(proto_type_is_no_other_coding),
        cmocka_unit_test(parse_timeout_accepts_table),
        cmocka_unit_test(parse_timeout_rejects_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
