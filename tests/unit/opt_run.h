/*
 * Options as the tests of common/opt.h load them: a table with a row of every kind, and one call
 * of opt_load() that a test sets up step by step. A test runs it by RUN().
 */
#ifndef TALLYD_TESTS_OPT_RUN_H
#define TALLYD_TESTS_OPT_RUN_H

#include "common/compiler.h"
#include "common/opt.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    char *host;
    char *socket;
    uint64_t port;
    uint64_t limit;
    int format;
    char *password;
    char *password_file;
    char *config;
    bool check;
    bool fast;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct options, field)

/* name, environment, type, field, default, range, choices, metavar, help, traits */
static const struct opt_row rows[] = {
    {"host", "T_HOST", OPT_STRING, AT(host), "localhost", 0, 0, NULL, "HOST", "the host", 0},
    {"socket", "T_SOCKET", OPT_STRING, AT(socket), NULL, 0, 0, NULL, "PATH", "the socket", 0},
    {"port", "T_PORT", OPT_NUMBER, AT(port), "6379", 1, 65535, NULL, "N", "the port", 0},
    {"limit", NULL, OPT_NUMBER, AT(limit), "0", 0, UINT64_MAX, NULL, "N", "some limit",
     OPT_RELOADABLE},
    {"log-format", "T_FORMAT", OPT_CHOICE, AT(format), "text", 0, 0, formats, "F", "the format", 0},
    {"password", "T_PASSWORD", OPT_STRING, AT(password), NULL, 0, 0, NULL, "P", "a secret",
     OPT_SECRET},
    {"password-file", "T_PASSWORD_FILE", OPT_STRING, AT(password_file), NULL, 0, 0, NULL, "PATH",
     "a secret's file", 0},
    {"config", NULL, OPT_STRING, AT(config), NULL, 0, 0, NULL, "FILE", "the configuration file",
     OPT_COMMAND | OPT_FILE},
    {"check-config", NULL, OPT_FLAG, AT(check), NULL, 0, 0, NULL, NULL, "check, and stop",
     OPT_COMMAND},
    {"fast", "T_FAST", OPT_FLAG, AT(fast), NULL, 0, 0, NULL, NULL, "go fast", 0},
};

static const struct opt_table table = {
    .synopsis = "usage: t", .rows = rows, .count = ARRAY_LENGTH(rows)};

/* One call of opt_load(): arguments it may write to, and what came of it. */
struct run {
    struct options options;
    char arguments[8][96];
    char *argv[9];
    int argc;
    char error[ERROR_BYTES];
    char path[32]; /* of the configuration file; "" if there is none */
};

static inline int start(void **state)
{
    struct run *run = calloc(1, sizeof *run);

    if (!run)
        return -1;
    run->argv[run->argc++] = strcpy(run->arguments[0], "t");
    *state = run;
    return 0;
}

static inline int finish(void **state)
{
    static const char *const names[] = {"T_HOST",   "T_SOCKET",   "T_PORT",
                                        "T_FORMAT", "T_PASSWORD", "T_FAST"};
    struct run *run = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        unsetenv(names[i]);
    if (*run->path)
        unlink(run->path);
    opt_free(&table, &run->options);
    free(run);
    return 0;
}

/* Adds an argument to the next load. */
static inline void argument(struct run *run, const char *text)
{
    assert_in_range(run->argc, 1, ARRAY_LENGTH(run->arguments) - 1);
    assert_in_range(strlen(text), 0, sizeof run->arguments[0] - 1);
    run->argv[run->argc] = strcpy(run->arguments[run->argc], text);
    run->argc++;
}

/* Writes a configuration file and names it by --config. */
static inline void config_file(struct run *run, const char *text)
{
    strcpy(run->path, "/tmp/test_opt.XXXXXX");
    write_new_file(run->path, text, strlen(text));
    argument(run, "--config");
    argument(run, run->path);
}

static inline int load_again(struct run *run)
{
    opt_free(&table, &run->options);
    return opt_load(&table, &run->options, run->argc, run->argv, run->error);
}

static inline void load(struct run *run)
{
    if (load_again(run))
        fail_msg("refused: %s", run->error);
}

/* Loads, expects a refusal, and checks that the message is one line with `part` in it. */
static inline void load_fails(struct run *run, const char *part)
{
    assert_int_equal(load_again(run), -EINVAL);
    assert_null(strchr(run->error, '\n'));
    if (!strstr(run->error, part))
        fail_msg("\"%s\" does not say \"%s\"", run->error, part);
}

#define RUN(test) cmocka_unit_test_setup_teardown(test, start, finish)

#endif
