/* gRPC's own encodings. */
#include "proto/grpc.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void encode_message_escapes_what_headers_cannot_hold(void **state)
{
    static const struct {
        const char *text, *encoded;
    } cases[] = {
        {"", ""},          {"redis down", "redis down"}, {"100%", "100%25"},
        {"a\nb", "a%0Ab"}, {"\xc3\xa9", "%C3%A9"},       {"~ ", "~ "},
        {"\x7f", "%7F"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = grpc_encode_message(cases[i].text, out, sizeof out);

        assert_string_equal(out, cases[i].encoded);
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

static void content_type_accepts_grpc_only(void **state)
{
    static const struct {
        const char *type;
        bool accepted;
    } cases[] = {
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
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(
            grpc_is_content_type((const uint8_t *)cases[i].type, strlen(cases[i].type)),
            cases[i].accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_message_escapes_what_headers_cannot_hold),
        cmocka_unit_test(encode_message_too_long_cuts_between_escapes),
        cmocka_unit_test(content_type_accepts_grpc_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
