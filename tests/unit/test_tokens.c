/* The store of tokens: who is found, what a reload keeps and ends, and many threads at once. */
#include "common/allowance.h"
#include "common/token_file.h"
#include "common/tokens.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINDERS 4
#define RELOADS 200

static char path[] = "/tmp/test_tokens_XXXXXX";
static char a[TOKEN_SECRET_CHARS + 1], b[TOKEN_SECRET_CHARS + 1], c[TOKEN_SECRET_CHARS + 1];

static void write_text(const char *text)
{
    write_file(path, text, strlen(text));
}

/* A line for a token, in a buffer of its own. */
static const char *line(char out[256], const char *name_and_rights, const char *secret,
                        const char *fields)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    int used;

    assert_int_equal(token_secret_hash(secret, strlen(secret), hash), 0);
    used = sprintf(out, "%s sha256=", name_and_rights);
    for (size_t i = 0; i < sizeof hash; i++)
        used += sprintf(out + used, "%02x", hash[i]);
    sprintf(out + used, " %s\n", fields);
    return out;
}

static void write_lines(const char *one, const char *two)
{
    char text[600];

    snprintf(text, sizeof text, "%s%s", one, two);
    write_text(text);
}

static struct tokens *create(void)
{
    char error[ERROR_BYTES];
    struct tokens *tokens = tokens_create(path, error);

    if (!tokens)
        fail_msg("%s", error);
    return tokens;
}

static void reload(struct tokens *tokens)
{
    char error[ERROR_BYTES];
    struct token_set *set = tokens_prepare(tokens, path, error);

    if (!set)
        fail_msg("%s", error);
    tokens_replace(tokens, set);
}

static const struct principal *find(struct tokens *tokens, const char *secret)
{
    char value[128];

    return tokens_find(tokens, value, (size_t)sprintf(value, "Bearer %s", secret));
}

static int set_up(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd) || token_secret_make(a) || token_secret_make(b) ||
           token_secret_make(c);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void find_of_a_token_gives_whose_it_is(void **state)
{
    const struct principal *principal;
    struct tokens *tokens;
    char one[256], two[256];

    (void)state;
    write_lines(line(one, "north ingest", a, "prefix=n%2F max-devices=7"),
                line(two, "graphs read", b, ""));
    tokens = create();
    principal = find(tokens, a);
    assert_non_null(principal);
    assert_string_equal(principal->name, "north");
    assert_int_equal(principal->rights, TOKEN_INGEST);
    assert_int_equal(principal->prefix_length, 2);
    assert_memory_equal(principal->prefix, "n/", 2);
    assert_int_equal(principal->allowance->limit, 7);
    tokens_release(principal);
    principal = find(tokens, b);
    assert_string_equal(principal->name, "graphs");
    assert_string_equal(principal->prefix, "");
    assert_null(principal->allowance);
    tokens_release(principal);
    assert_null(find(tokens, c));
    tokens_destroy(tokens);
}

static void find_takes_bearer_and_nothing_else(void **state)
{
    static const struct {
        const char *format;
        bool found;
    } cases[] = {
        {"Bearer %s", true},   {"bearer %s", true},   {"BEARER   %s", true},
        {"Bearer%s", false},   {"Bearer\t%s", false}, {" Bearer %s", false},
        {"Bearer %s ", false}, {"Bearer %s,", false}, {"Basic %s", false},
        {"%s", false},         {"Bearer x%s", false}, {"Bearer %.48s", false},
    };
    static const char *const texts[] = {"", "Bearer", "Bearer ", "Bearer  ", "B"};
    struct tokens *tokens;
    char one[256];

    (void)state;
    write_text(line(one, "north ingest", a, ""));
    tokens = create();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char value[128];
        int length = snprintf(value, sizeof value, cases[i].format, a);
        const struct principal *principal = tokens_find(tokens, value, (size_t)length);

        if (!principal == cases[i].found)
            fail_msg("\"%s\"", cases[i].format);
        tokens_release(principal);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_null(tokens_find(tokens, texts[i], strlen(texts[i])));
    tokens_destroy(tokens);
}

static void find_in_an_empty_file_gives_nobody(void **state)
{
    struct tokens *tokens;

    (void)state;
    write_text("# nobody\n");
    tokens = create();
    assert_null(find(tokens, a));
    tokens_destroy(tokens);
}

static void find_of_the_last_of_many_gives_it(void **state)
{
    FILE *file = fopen(path, "w");
    const struct principal *principal;
    struct tokens *tokens;
    char one[256];

    (void)state;
    assert_non_null(file);
    for (unsigned i = 0; i < TOKEN_FILE_MAX_TOKENS - 1; i++)
        fprintf(file, "n%u ingest sha256=%064x max-devices=1\n", i, i);
    fputs(line(one, "last read", a, ""), file);
    fclose(file);
    tokens = create();
    principal = find(tokens, a);
    assert_string_equal(principal->name, "last");
    tokens_release(principal);
    tokens_destroy(tokens);
}

static void create_of_a_bad_file_names_file_and_line(void **state)
{
    char error[ERROR_BYTES], want[128];

    (void)state;
    write_text("\nnorth write\n");
    assert_null(tokens_create(path, error));
    snprintf(want, sizeof want, "token file %s, line 2: after the name come rights", path);
    assert_memory_equal(error, want, strlen(want));
    assert_null(tokens_create("/nowhere/tokens", error));
    assert_string_equal(error, "cannot read token file /nowhere/tokens: No such file or directory");
}

static void reload_of_a_bad_file_keeps_the_old_set(void **state)
{
    char one[256], error[ERROR_BYTES];
    const struct principal *principal;
    struct tokens *tokens;
    uint64_t generation;

    (void)state;
    write_text(line(one, "north ingest", a, "max-devices=7"));
    tokens = create();
    generation = tokens_generation(tokens);
    write_lines(line(one, "north ingest", a, "max-devices=9"), "rubbish\n");
    assert_null(tokens_prepare(tokens, path, error));
    assert_non_null(strstr(error, "line 2"));
    assert_int_equal(tokens_generation(tokens), generation);
    principal = find(tokens, a);
    assert_non_null(principal);
    assert_int_equal(principal->allowance->limit, 7);
    tokens_release(principal);
    tokens_destroy(tokens);
}

static void reload_ends_what_changed_and_keeps_what_did_not(void **state)
{
    static const struct {
        const char *name_and_rights, *fields;
        bool held;
    } cases[] = {
        {"north ingest", "prefix=n", true},
        {"north ingest,read", "prefix=n", false},
        {"south ingest", "prefix=n", false},
        {"north ingest", "prefix=m", false},
        {"north ingest", "", false},
        {"north ingest", "prefix=n max-devices=3", false}, /* it had none to count with */
    };
    char one[256], two[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct principal *principal;
        struct tokens *tokens;
        uint64_t generation;

        write_text(line(one, "north ingest", a, "prefix=n"));
        tokens = create();
        generation = tokens_generation(tokens);
        principal = find(tokens, a);
        assert_true(tokens_hold(tokens, principal));
        write_lines(line(two, "other read", b, ""),
                    line(one, cases[i].name_and_rights, a, cases[i].fields));
        reload(tokens);
        assert_true(tokens_generation(tokens) > generation);
        if (tokens_hold(tokens, principal) != cases[i].held)
            fail_msg("%s %s", cases[i].name_and_rights, cases[i].fields);
        assert_string_equal(principal->name, "north"); /* who holds the old one keeps it */
        tokens_release(principal);
        tokens_destroy(tokens);
    }
}

static void reload_without_a_token_revokes_it(void **state)
{
    const struct principal *principal;
    struct tokens *tokens;
    char one[256];

    (void)state;
    write_text(line(one, "north ingest", a, ""));
    tokens = create();
    principal = find(tokens, a);
    write_text(line(one, "north ingest", b, ""));
    reload(tokens);
    assert_null(find(tokens, a));
    assert_false(tokens_hold(tokens, principal));
    tokens_release(principal);
    tokens_destroy(tokens);
}

static void reload_keeps_allowances_by_name_and_sets_their_limits(void **state)
{
    const struct principal *before, *after;
    struct allowance *allowance;
    struct tokens *tokens;
    char one[256];

    (void)state;
    write_text(line(one, "north ingest", a, "max-devices=2"));
    tokens = create();
    before = find(tokens, a);
    allowance = before->allowance;
    assert_true(allowance_take(allowance, 1));
    assert_true(allowance_take(allowance, 2));
    assert_false(allowance_take(allowance, 3));

    write_text(line(one, "north ingest", b, "max-devices=3")); /* a new token for the same one */
    reload(tokens);
    after = find(tokens, b);
    assert_ptr_equal(after->allowance, allowance);
    assert_true(allowance_take(allowance, 3));
    assert_false(allowance_take(allowance, 4));
    tokens_release(after);

    write_text("");
    reload(tokens);
    tokens_release(before);
    write_text(line(one, "north ingest", c, "max-devices=3")); /* gone, and back again */
    reload(tokens);
    after = find(tokens, c);
    assert_ptr_equal(after->allowance, allowance);
    assert_false(allowance_take(after->allowance, 4));
    assert_true(allowance_take(after->allowance, 1)); /* made before, and not forgotten */
    tokens_release(after);
    tokens_destroy(tokens);
}

/* ---- Torture -------------------------------------------------------------------------------- */

struct torture {
    struct tokens *tokens;
    atomic_bool stop;
    _Atomic uint64_t found, granted, wrong;
};

/* `a` is always in the file, now as one name, then as another; `b` comes and goes; `c` never is. A
 * principal that was held over reloads must stay whole. */
static void *find_all_the_time(void *argument)
{
    struct torture *torture = argument;
    const struct principal *held = NULL;

    for (unsigned i = 0; !atomic_load(&torture->stop); i++) {
        const struct principal *always = find(torture->tokens, a);
        const struct principal *sometimes = find(torture->tokens, b);

        if (!always || strncmp(always->name, "always", 6) != 0 || find(torture->tokens, c) ||
            (sometimes && strcmp(sometimes->name, "sometimes") != 0) ||
            (held && (strncmp(held->name, "always", 6) != 0 || held->prefix_length != 1)))
            atomic_fetch_add(&torture->wrong, 1);
        if (sometimes && allowance_take(sometimes->allowance, i % 4))
            atomic_fetch_add(&torture->granted, 1);
        if (held)
            tokens_hold(torture->tokens, held);
        tokens_release(sometimes);
        if (i % 16) {
            tokens_release(always);
        } else {
            tokens_release(held);
            held = always;
        }
        atomic_fetch_add(&torture->found, 1);
    }
    tokens_release(held);
    return NULL;
}

static void lookups_and_reloads_at_the_same_time_are_right(void **state)
{
    pthread_t threads[FINDERS];
    struct torture torture = {.tokens = NULL};
    char one[256], two[256];

    (void)state;
    write_text(line(one, "always0 ingest", a, "prefix=p"));
    torture.tokens = create();
    for (size_t i = 0; i < FINDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_all_the_time, &torture), 0);
    for (int i = 0; i < RELOADS; i++) {
        write_lines(line(one, i % 2 ? "always1 ingest" : "always2 ingest", a, "prefix=p"),
                    i % 3 ? line(two, "sometimes ingest", b, "max-devices=2") : "");
        reload(torture.tokens);
        if (i % 10 == 0)
            usleep(1000); /* so that lookups get their turn on a busy machine */
    }
    atomic_store(&torture.stop, true);
    for (size_t i = 0; i < FINDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(torture.wrong, 0);
    assert_true(torture.found > 0);
    assert_int_equal(tokens_generation(torture.tokens), RELOADS);
    tokens_destroy(torture.tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_of_a_token_gives_whose_it_is),
        cmocka_unit_test(find_takes_bearer_and_nothing_else),
        cmocka_unit_test(find_in_an_empty_file_gives_nobody),
        cmocka_unit_test(find_of_the_last_of_many_gives_it),
        cmocka_unit_test(create_of_a_bad_file_names_file_and_line),
        cmocka_unit_test(reload_of_a_bad_file_keeps_the_old_set),
        cmocka_unit_test(reload_ends_what_changed_and_keeps_what_did_not),
        cmocka_unit_test(reload_without_a_token_revokes_it),
        cmocka_unit_test(reload_keeps_allowances_by_name_and_sets_their_limits),
        cmocka_unit_test(lookups_and_reloads_at_the_same_time_are_right),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
