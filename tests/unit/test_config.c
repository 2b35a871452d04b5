/* tallyd's options: what the table alone cannot say. The parser has its own tests (test_opt*.c). */
#include "common/compiler.h"
#include "server/config.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One call of config_load(): arguments it may write to, and what came of it. */
struct run {
    struct config config;
    char arguments[6][128];
    char *argv[7];
    int argc;
    char error[ERROR_BYTES];
    char path[40]; /* of a password file; "" if there is none */
};

/* Takes tallyd's variables out of the environment, so that the tests do not depend on it. */
static int clear_environment(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_table.count; i++) {
        if (config_table.rows[i].environment)
            unsetenv(config_table.rows[i].environment);
    }
    return 0;
}

static int start(void **state)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return -1;
    run->argv[run->argc++] = strcpy(run->arguments[0], "tallyd");
    *state = run;
    return 0;
}

static int finish(void **state)
{
    struct run *run = *state;

    if (*run->path)
        unlink(run->path);
    config_free(&run->config);
    free(run);
    return 0;
}

static void argument(struct run *run, const char *text)
{
    assert_in_range(run->argc, 1, ARRAY_LENGTH(run->arguments) - 1);
    snprintf(run->arguments[run->argc], sizeof run->arguments[0], "%s", text);
    run->argv[run->argc] = run->arguments[run->argc];
    run->argc++;
}

/* Writes a password file and names it by its option. */
static void password_file(struct run *run, const char *text, size_t length)
{
    char flag[128];

    strcpy(run->path, "/tmp/test_config.XXXXXX");
    write_new_file(run->path, text, length);
    snprintf(flag, sizeof flag, "--redis-password-file=%s", run->path);
    argument(run, flag);
}

static int load_again(struct run *run)
{
    config_free(&run->config);
    return config_load(&run->config, run->argc, run->argv, run->error);
}

static void load(struct run *run)
{
    if (load_again(run))
        fail_msg("refused: %s", run->error);
}

/* Loads, expects a refusal, and checks that the message is one line with `part` in it. */
static void load_fails(struct run *run, const char *part)
{
    assert_true(load_again(run) < 0);
    assert_null(strchr(run->error, '\n'));
    if (!strstr(run->error, part))
        fail_msg("\"%s\" does not say \"%s\"", run->error, part);
}

static void load_nothing_given_takes_the_contract_defaults(void **state)
{
    struct run *run = *state;
    struct config *config = &run->config;

    load(run);
    assert_string_equal(config->bind, "127.0.0.1");
    assert_int_equal(config->grpc_port, 50051);
    assert_int_equal(config->http_port, 8000);
    assert_string_equal(config->redis_host, "localhost");
    assert_int_equal(config->redis_port, 6379);
    assert_string_equal(config->redis_key, "device_metrics");
    assert_null(config->redis_password);
    assert_int_equal(config->flush_interval_ms, 100);
    assert_int_equal(config->redis_grace_ms, 5000);
    assert_int_equal(config->drain_timeout_ms, 30000);
    assert_int_equal(config->max_devices, 10000000);
    assert_int_equal(config->max_device_id_bytes, 256);
    assert_int_equal(config->max_message_bytes, 4194304);
}

static void load_bind_takes_addresses_only(void **state)
{
    static const char *const good[] = {"127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::7"};
    static const char *const bad[] = {
        "", "localhost", "127.1", "127.0.0.256", "127.0.0.1:8000", "[::1]", ":::", "*"};
    struct run *run = *state;
    char flag[64];

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        run->argc = 1;
        snprintf(flag, sizeof flag, "--bind=%s", good[i]);
        argument(run, flag);
        load(run);
        assert_string_equal(run->config.bind, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        run->argc = 1;
        snprintf(flag, sizeof flag, "--bind=%s", bad[i]);
        argument(run, flag);
        load_fails(run, "--bind: \"");
    }
}

static void exposed_is_what_is_not_loopback(void **state)
{
    static const char *const closed[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"};
    static const char *const exposed[] = {
        "0.0.0.0",     "::",        "10.0.0.1", "126.255.255.255",
        "2001:db8::1", "128.0.0.1", "::2",      "::ffff:10.0.0.1"};
    struct run *run = *state;
    char flag[64];

    for (size_t i = 0; i < ARRAY_LENGTH(closed) + ARRAY_LENGTH(exposed); i++) {
        bool open = i >= ARRAY_LENGTH(closed);

        run->argc = 1;
        snprintf(flag, sizeof flag, "--bind=%s",
                 open ? exposed[i - ARRAY_LENGTH(closed)] : closed[i]);
        argument(run, flag);
        load(run);
        assert_int_equal(config_is_exposed(&run->config), open);
    }
}

/* It is read when tallyd logs in, not here. */
static void load_password_file_stays_a_file(void **state)
{
    struct run *run = *state;

    password_file(run, "hunter2\n", 8);
    load(run);
    assert_string_equal(run->config.redis_password_file, run->path);
    assert_null(run->config.redis_password);
}

static void load_password_file_of_no_use_says_why(void **state)
{
    struct run *run = *state;

    argument(run, "--redis-password-file=/nonexistent/password");
    load_fails(run, "--redis-password-file: cannot read /nonexistent/password: No such file");
    run->argc = 1;
    password_file(run, "", 0);
    load_fails(run, "it is empty");
}

static void load_password_twice_is_refused(void **state)
{
    struct run *run = *state;

    password_file(run, "hunter2", 7);
    setenv("REDIS_PASSWORD", "hunter3", 1);
    load_fails(run, "REDIS_PASSWORD and --redis-password-file");
    assert_null(strstr(run->error, "hunter"));
    unsetenv("REDIS_PASSWORD");
}

static void load_tls_options_need_each_other(void **state)
{
    struct run *run = *state;
    struct tls_files files;

    argument(run, "--tls-cert=c.pem");
    assert_int_equal(load_again(run), -EINVAL);
    assert_string_equal(run->error, "--tls-cert and --tls-key: one needs the other");
    argument(run, "--tls-key=k.pem");
    argument(run, "--tls-client-ca=a.pem");
    assert_int_equal(load_again(run), 0);
    assert_true(config_tls_files(&run->config, &files));
    assert_string_equal(files.cert, "c.pem");
    assert_string_equal(files.key, "k.pem");
    assert_string_equal(files.client_ca, "a.pem");
}

static void load_client_ca_needs_a_certificate(void **state)
{
    struct run *run = *state;
    struct tls_files files;

    assert_int_equal(load_again(run), 0);
    assert_false(config_tls_files(&run->config, &files));
    argument(run, "--tls-client-ca=a.pem");
    assert_int_equal(load_again(run), -EINVAL);
    assert_string_equal(run->error, "--tls-client-ca: --tls-cert and --tls-key are needed with it");
}

static void load_username_needs_a_password(void **state)
{
    struct run *run = *state;

    argument(run, "--redis-username=tally");
    load_fails(run, "--redis-username");
    setenv("REDIS_PASSWORD", "hunter2", 1);
    load(run);
    assert_string_equal(run->config.redis_username, "tally");
    assert_string_equal(run->config.redis_password, "hunter2");
    unsetenv("REDIS_PASSWORD");
    load_fails(run, "--redis-username");
    password_file(run, "hunter2", 7);
    load(run);
}

static void load_no_instance_is_host_and_grpc_port(void **state)
{
    struct run *run = *state;
    char host[256] = "", expected[300];

    gethostname(host, sizeof host - 1);
    snprintf(expected, sizeof expected, "%s:50051", host);
    load(run);
    assert_string_equal(run->config.instance, expected);
    argument(run, "--grpc-port=50052");
    snprintf(expected, sizeof expected, "%s:50052", host);
    load(run);
    assert_string_equal(run->config.instance, expected);
    argument(run, "--instance=one");
    load(run);
    assert_string_equal(run->config.instance, "one");
}

static void load_workers_zero_is_one_a_core(void **state)
{
    struct run *run = *state;

    load(run);
    assert_in_range(run->config.workers, 1, 256);
    argument(run, "--workers=5");
    load(run);
    assert_int_equal(run->config.workers, 5);
    argument(run, "--workers=257");
    load_fails(run, "--workers: \"257\"");
}

/* Who asks for help wants it however wrong the rest is. */
static void load_help_and_version_check_nothing_else(void **state)
{
    struct run *run = *state;

    argument(run, "--bind=nowhere");
    argument(run, "--redis-password-file=/nonexistent/password");
    argument(run, "--help");
    load(run);
    assert_true(run->config.help);
    run->argc--;
    argument(run, "--version");
    load(run);
    assert_true(run->config.version);
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(load_nothing_given_takes_the_contract_defaults),
        RUN(load_bind_takes_addresses_only),
        RUN(exposed_is_what_is_not_loopback),
        RUN(load_password_file_stays_a_file),
        RUN(load_password_file_of_no_use_says_why),
        RUN(load_password_twice_is_refused),
        RUN(load_username_needs_a_password),
        RUN(load_tls_options_need_each_other),
        RUN(load_client_ca_needs_a_certificate),
        RUN(load_no_instance_is_host_and_grpc_port),
        RUN(load_workers_zero_is_one_a_core),
        RUN(load_help_and_version_check_nothing_else),
    };

    return cmocka_run_group_tests_name("config", tests, clear_environment, NULL);
}
