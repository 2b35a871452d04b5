/* tally-send's options: targets, defaults and what is refused. */
#include "client/generator.h"
#include "client/send_options.h"
#include "tests/unit/unit.h"

#include <string.h>

static int load(struct send_options *options, char error[ERROR_BYTES], const char *flag,
                const char *value)
{
    char program[] = "tally-send", name[64], text[512];
    char *argv[] = {program, name, text, NULL};

    snprintf(name, sizeof name, "%s", flag ? flag : "");
    snprintf(text, sizeof text, "%s", value ? value : "");
    return send_options_load(options, flag ? 3 : 1, argv, error);
}

static void load_nothing_gives_defaults(void **state)
{
    struct send_options options;
    char error[ERROR_BYTES];

    (void)state;
    assert_int_equal(load(&options, error, NULL, NULL), 0);
    assert_string_equal(options.server.host, "127.0.0.1");
    assert_string_equal(options.server.port, "50051");
    assert_int_equal(options.packets, 10000);
    assert_int_equal(options.devices, 100);
    assert_int_equal(options.payload, GENERATOR_MIX);
    assert_int_equal(options.connections, 1);
    assert_int_equal(options.streams, 1);
    assert_int_equal(options.rate, 0);
    assert_int_equal(options.seed, 1);
    assert_string_equal(options.id_prefix, "device-");
    assert_int_equal(options.timeout_ms, 60000);
    assert_null(options.expect);
    assert_true(options.zipf_exponent == 0);
    assert_int_equal(options.packet_bytes, 0);
    assert_false(options.replay);
    assert_int_equal(send_options_generator(&options).period, 0);
    send_options_free(&options);
}

static void load_targets_table(void **state)
{
    static const struct {
        const char *target, *host, *port; /* host NULL: refused */
    } table[] = {
        {"localhost:50051", "localhost", "50051"},
        {"10.0.0.1:1", "10.0.0.1", "1"},
        {"[::1]:65535", "::1", "65535"},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", "80"},
        {"::1:50051", NULL, NULL},
        {"localhost", NULL, NULL},
        {"localhost:", NULL, NULL},
        {":50051", NULL, NULL},
        {"[]:50051", NULL, NULL},
        {"[::1]", NULL, NULL},
        {"[::1:50051", NULL, NULL},
        {"localhost:0", NULL, NULL},
        {"localhost:65536", NULL, NULL},
        {"localhost:-1", NULL, NULL},
        {"localhost:http", NULL, NULL},
        {"localhost:123456789", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct send_options options;
        char error[ERROR_BYTES];
        int result = load(&options, error, "--target", table[i].target);

        assert_int_equal(result == 0, table[i].host != NULL);
        if (result) {
            assert_non_null(strstr(error, "--target"));
        } else {
            assert_string_equal(options.server.host, table[i].host);
            assert_string_equal(options.server.port, table[i].port);
        }
        send_options_free(&options);
    }
}

static void load_bad_values_are_refused(void **state)
{
    static const char *const table[][2] = {
        {"--n", "0"},
        {"--devices", "0"},
        {"--connections", "0"},
        {"--payload", "xml"},
        {"--rate", "-1"},
        {"--timeout-ms", "x"},
        {"--packets", "10000"},
        {"--zipf", "-1"},
        {"--zipf", "x"},
        {"--zipf", "1.2.3"},
        {"--zipf", "10.1"},
        {"--zipf", "1e0"},
        {"--zipf", "."},
        {"--packet-bytes", "10"},
        {"--packet-bytes", "148"},
        {"--packet-bytes", "16385"},
        {"--frame-packets", "1"},
        {"--replay-mib", "0"},
    };
    struct send_options options;
    char error[ERROR_BYTES], prefix[GENERATOR_PREFIX_MAX_BYTES + 2];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        assert_int_not_equal(load(&options, error, table[i][0], table[i][1]), 0);
        assert_non_null(strstr(error, table[i][0]));
        send_options_free(&options);
    }
    memset(prefix, 'x', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    assert_int_not_equal(load(&options, error, "--id-prefix", prefix), 0);
    send_options_free(&options);
}

static void load_replay_gives_a_period(void **state)
{
    struct send_options options;
    char error[ERROR_BYTES];
    char words[][20] = {"tally-send", "--replay",       "--n", "1000000000",      "--zipf",
                        "1.05",       "--packet-bytes", "45",  "--frame-packets", "1"};
    char *argv[ARRAY_LENGTH(words) + 1] = {NULL};
    struct generator_options generator;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        argv[i] = words[i];
    assert_int_equal(send_options_load(&options, ARRAY_LENGTH(words), argv, error), 0);
    generator = send_options_generator(&options);
    assert_int_equal(generator.period, (1 << 20) / 50);
    assert_true(generator.zipf == 1.05);
    assert_int_equal(generator.packet_bytes, 45);
    assert_int_equal(options.frame_packets, 1);
    send_options_free(&options);
}

static int load_flags(char error[ERROR_BYTES], const char *first, const char *second,
                      const char *third)
{
    struct send_options options;
    char *argv[] = {(char *)"tally-send", (char *)first, (char *)second, (char *)third, NULL};
    int argc = third ? 4 : second ? 3 : 2;
    int result = send_options_load(&options, argc, argv, error);

    send_options_free(&options);
    return result;
}

static void load_tls_options_need_tls_and_each_other(void **state)
{
    char error[ERROR_BYTES];

    (void)state;
    assert_int_not_equal(load_flags(error, "--tls-ca=ca.pem", NULL, NULL), 0);
    assert_non_null(strstr(error, "only with --tls"));
    assert_int_not_equal(load_flags(error, "--tls", "--tls-cert=c.pem", NULL), 0);
    assert_string_equal(error, "--tls-cert and --tls-key: one needs the other");
    assert_int_equal(load_flags(error, "--tls", "--tls-cert=c.pem", "--tls-key=k.pem"), 0);
}

static void load_token_is_no_flag(void **state)
{
    char flag[] = "--token=hunter2";
    char error[ERROR_BYTES];

    (void)state;
    assert_int_not_equal(load_flags(error, flag, NULL, NULL), 0);
    assert_non_null(strstr(error, "TALLY_TOKEN"));
    assert_null(strstr(error, "hunter2"));
    assert_null(strstr(flag, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_nothing_gives_defaults),
        cmocka_unit_test(load_targets_table),
        cmocka_unit_test(load_bad_values_are_refused),
        cmocka_unit_test(load_replay_gives_a_period),
        cmocka_unit_test(load_tls_options_need_tls_and_each_other),
        cmocka_unit_test(load_token_is_no_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
