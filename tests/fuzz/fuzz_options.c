/*
 * What whoever runs tallyd writes: the configuration file with the command line, and the token
 * file. What is taken is within its bounds and comes back from what it is written as; what is not
 * is told in one line, in which no secret stands.
 *
 * Input: one byte that picks the parser. For options then the file and the arguments, with 0xff
 * between them; for tokens the file.
 */
#include "common/compiler.h"
#include "common/opt.h"
#include "common/token_file.h"
#include "common/token_render.h"
#include "common/tokens.h"
#include "common/utf8.h"
#include "server/config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEPARATOR     0xff
#define MAX_ARGUMENTS 16
#define SECRET        "a-Secret-of-24-Characters"
#define SECRET_LINE   "redis-password = " SECRET "\n"

static void check_message(const char *error, size_t size)
{
    FUZZ_CHECK(memchr(error, '\0', size));
    FUZZ_CHECK(*error);
}

/* ---- Options -------------------------------------------------------------------------------- */

/* A file of its own for each input would take longer than all else. Returns its descriptor. */
static int write_file(const char *start, const uint8_t *bytes, size_t length)
{
    static int file = -1;

    if (file < 0) {
        file = memfd_create("options", MFD_CLOEXEC);
        for (size_t i = 0; i < config_table.count; i++) {
            if (config_table.rows[i].environment)
                unsetenv(config_table.rows[i].environment);
        }
    }
    FUZZ_CHECK(file >= 0 && ftruncate(file, 0) == 0);
    FUZZ_CHECK(pwrite(file, start, strlen(start), 0) == (ssize_t)strlen(start));
    FUZZ_CHECK(pwrite(file, bytes, length, (off_t)strlen(start)) == (ssize_t)length);
    return file;
}

static void check_fields(const struct config *config)
{
    for (size_t i = 0; i < config_table.count; i++) {
        const struct opt_row *row = &config_table.rows[i];
        const char *field = (const char *)config + row->offset;
        int choices = 0;

        if (row->type == OPT_NUMBER) {
            uint64_t number = *(const uint64_t *)(const void *)field;

            FUZZ_CHECK(number >= row->min && number <= row->max);
        } else if (row->type == OPT_CHOICE) {
            int choice = *(const int *)(const void *)field;

            while (row->choices[choices])
                choices++;
            FUZZ_CHECK(choice >= 0 && choice < choices);
        }
    }
}

/* Writes a row's value as an argument; false when it is only a default that is none. */
static bool render(const struct opt_row *row, const struct config *config, char **argument)
{
    const void *field = (const char *)config + row->offset;
    int length = 0;

    if (!opt_is_set(row, config))
        return false;
    switch (row->type) {
    case OPT_STRING:
        length = asprintf(argument, "--%s=%s", row->name, *(char *const *)field);
        break;
    case OPT_NUMBER:
        length = asprintf(argument, "--%s=%llu", row->name,
                          (unsigned long long)*(const uint64_t *)field);
        break;
    case OPT_CHOICE:
        length = asprintf(argument, "--%s=%s", row->name, row->choices[*(const int *)field]);
        break;
    case OPT_FLAG:
        length = asprintf(argument, "--%s=%s", row->name, *(const bool *)field ? "true" : "false");
        break;
    }
    FUZZ_CHECK(length > 0);
    return true;
}

/* The values without any option. */
static const struct config *defaults(void)
{
    static struct config config;
    char error[ERROR_BYTES], name[] = "tallyd", *arguments[] = {name, NULL};

    if (!config.workers && !config.bind)
        FUZZ_CHECK(opt_load(&config_table, &config, 1, arguments, error) == 0);
    return &config;
}

/* All values that are no defaults, given as arguments instead, are the same values. */
static void check_options_round_trip(const struct config *config)
{
    char **arguments = calloc(config_table.count + 2, sizeof *arguments);
    char error[ERROR_BYTES];
    struct config again;
    int count = 1;

    FUZZ_CHECK(arguments);
    arguments[0] = strdup("tallyd");
    for (size_t i = 0; i < config_table.count; i++) {
        const struct opt_row *row = &config_table.rows[i];

        if (!(row->traits & (OPT_SECRET | OPT_FILE)) && !opt_is_equal(row, config, defaults()))
            count += render(row, config, &arguments[count]);
    }
    FUZZ_CHECK(opt_load(&config_table, &again, count, arguments, error) == 0);
    for (size_t i = 0; i < config_table.count; i++) {
        const struct opt_row *row = &config_table.rows[i];

        if (!(row->traits & (OPT_SECRET | OPT_FILE)))
            FUZZ_CHECK(opt_is_equal(row, config, &again));
    }
    opt_free(&config_table, &again);
    for (int i = 0; i < count; i++)
        free(arguments[i]);
    free(arguments);
}

/* Cuts the input at its separators: the first piece is the file, the others are arguments behind
 * the one that names it. Returns how many arguments there are, or -1 when one names another file,
 * which might be any of this machine. */
static int cut(const uint8_t *data, size_t size, char *arguments[MAX_ARGUMENTS])
{
    const uint8_t *end = memchr(data, SEPARATOR, size);
    size_t length = end ? (size_t)(end - data) : size;
    int count = 2, file = write_file(SECRET_LINE, data, length);

    arguments[0] = strdup("tallyd");
    FUZZ_CHECK(asprintf(&arguments[1], "--config=/proc/self/fd/%d", file) > 0);
    while (end && count < MAX_ARGUMENTS) {
        size -= length + 1;
        data = end + 1;
        end = memchr(data, SEPARATOR, size);
        length = end ? (size_t)(end - data) : size;
        arguments[count] = calloc(1, length + 1);
        FUZZ_CHECK(arguments[count]);
        memcpy(arguments[count], data, length);
        if (strncmp(arguments[count++], "--config", 8) == 0)
            arguments[count - 1][0] = 'x';
    }
    return count;
}

static void fuzz_options(const uint8_t *data, size_t size)
{
    char *arguments[MAX_ARGUMENTS], error[ERROR_BYTES];
    int count = cut(data, size, arguments), result;
    struct config config;

    result = opt_load(&config_table, &config, count, arguments, error);
    if (result) {
        FUZZ_CHECK(result == -EINVAL);
        check_message(error, sizeof error);
        if (!memmem(data, size, SECRET, strlen(SECRET)))
            FUZZ_CHECK(!strstr(error, SECRET));
    } else {
        check_fields(&config);
        check_options_round_trip(&config);
    }
    opt_free(&config_table, &config);
    for (int i = 0; i < count; i++)
        free(arguments[i]);
}

/* ---- Tokens --------------------------------------------------------------------------------- */

static void check_entry(const struct token_entry *entry)
{
    FUZZ_CHECK(token_entry_is_name(entry->name));
    FUZZ_CHECK(entry->rights > 0 &&
               entry->rights <= (unsigned)(TOKEN_INGEST | TOKEN_READ | TOKEN_ADMIN));
    FUZZ_CHECK(entry->prefix_length <= TOKEN_ENTRY_PREFIX_BYTES);
    FUZZ_CHECK(entry->prefix[entry->prefix_length] == '\0');
    FUZZ_CHECK(utf8_is_valid((const uint8_t *)entry->prefix, entry->prefix_length));
    FUZZ_CHECK(entry->max_devices == TOKEN_ENTRY_NO_LIMIT ||
               (entry->max_devices > 0 && entry->max_devices <= TOKEN_ENTRY_MAX_DEVICES));
}

static void check_same_entry(const struct token_entry *a, const struct token_entry *b)
{
    FUZZ_CHECK(strcmp(a->name, b->name) == 0 && a->rights == b->rights);
    FUZZ_CHECK(memcmp(a->hash, b->hash, sizeof a->hash) == 0);
    FUZZ_CHECK(a->prefix_length == b->prefix_length);
    FUZZ_CHECK(memcmp(a->prefix, b->prefix, a->prefix_length) == 0);
    FUZZ_CHECK(a->max_devices == b->max_devices);
}

static void check_tokens_round_trip(const struct token_file *file)
{
    char *text = malloc(file->count * (TOKEN_ENTRY_LINE_BYTES + 2) + 1), *to = text;
    char error[ERROR_BYTES];
    struct token_file again;

    FUZZ_CHECK(text);
    for (size_t i = 0; i < file->count; i++)
        to += token_render_entry(&file->entries[i], to);
    FUZZ_CHECK(token_file_parse(&again, text, (size_t)(to - text), error) == 0);
    FUZZ_CHECK(again.count == file->count);
    for (size_t i = 0; i < file->count; i++)
        check_same_entry(&file->entries[i], &again.entries[i]);
    token_file_fini(&again);
    free(text);
}

static void fuzz_tokens(const uint8_t *data, size_t size)
{
    char error[ERROR_BYTES], *bytes = malloc(size ? size : 1);
    struct token_file file;

    FUZZ_CHECK(bytes);
    memcpy(bytes, data, size);
    if (token_file_parse(&file, bytes, size, error)) {
        check_message(error, sizeof error);
        FUZZ_CHECK(file.count == 0);
    } else {
        for (size_t i = 0; i < file.count; i++)
            check_entry(&file.entries[i]);
        check_tokens_round_trip(&file);
        token_file_fini(&file);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] & 1)
        fuzz_tokens(data + 1, size - 1);
    else
        fuzz_options(data + 1, size - 1);
    return 0;
}
