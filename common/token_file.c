/* See token_file.h. Its lines are token_entry.c's. */
#include "common/token_file.h"

#include "common/regular_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct token_file *file;
    size_t room; /* of file->entries */
    unsigned line;
    char *error;
};

static int fail(const struct parser *parser, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(const struct parser *parser, const char *format, ...)
{
    va_list args;
    int used = snprintf(parser->error, ERROR_BYTES, "line %u: ", parser->line);

    va_start(args, format);
    vsnprintf(parser->error + used, ERROR_BYTES - (size_t)used, format, args);
    va_end(args);
    return -EINVAL;
}

/* Appends an empty entry. Returns NULL with `result` where there is no room. */
static struct token_entry *add_entry(struct parser *parser, int *result)
{
    struct token_file *file = parser->file;

    *result = -ENOMEM;
    if (file->count == TOKEN_FILE_MAX_TOKENS) {
        *result = fail(parser, "more than %d tokens", TOKEN_FILE_MAX_TOKENS);
        return NULL;
    }
    if (file->count == parser->room) {
        size_t room = parser->room ? 2 * parser->room : 16;
        struct token_entry *entries = realloc(file->entries, room * sizeof *entries);

        if (!entries)
            return NULL;
        file->entries = entries;
        parser->room = room;
    }
    file->entries[file->count] = (struct token_entry){0};
    return &file->entries[file->count++];
}

static int parse_line(struct parser *parser, const char *line, size_t length)
{
    struct token_entry *entry;
    char reason[ERROR_BYTES];
    int result;

    if (length && line[length - 1] == '\r')
        length--;
    if (length > TOKEN_ENTRY_LINE_BYTES)
        return fail(parser, "longer than %d bytes", TOKEN_ENTRY_LINE_BYTES);
    if (token_entry_is_absent(line, length))
        return 0;
    entry = add_entry(parser, &result);
    if (!entry)
        return result;
    result = token_entry_parse(entry, line, length, reason);
    entry->line = parser->line;
    return result == -EINVAL ? fail(parser, "%s", reason) : result;
}

static int compare_names(const void *a, const void *b)
{
    const struct token_entry *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

static int compare_hashes(const void *a, const void *b)
{
    const struct token_entry *const *x = a, *const *y = b;

    return memcmp((*x)->hash, (*y)->hash, TOKEN_HASH_BYTES);
}

/* Refuses two entries that a comparison finds equal; sorted, they are neighbours. */
static int refuse_equal(struct parser *parser, const struct token_entry **sorted,
                        int (*compare)(const void *a, const void *b), const char *what)
{
    size_t count = parser->file->count;

    qsort(sorted, count, sizeof(struct token_entry *), compare);
    for (size_t i = 1; i < count; i++) {
        unsigned a = sorted[i - 1]->line, b = sorted[i]->line;

        if (compare(&sorted[i - 1], &sorted[i]))
            continue;
        parser->line = a > b ? a : b;
        return fail(parser, "the %s of line %u again", what, a < b ? a : b);
    }
    return 0;
}

static int refuse_duplicates(struct parser *parser)
{
    const struct token_entry *sorted[TOKEN_FILE_MAX_TOKENS];
    int result;

    for (size_t i = 0; i < parser->file->count; i++)
        sorted[i] = &parser->file->entries[i];
    result = refuse_equal(parser, sorted, compare_names, "name");
    return result ? result : refuse_equal(parser, sorted, compare_hashes, "hash");
}

int token_file_parse(struct token_file *file, const char *bytes, size_t length,
                     char error[ERROR_BYTES])
{
    struct parser parser = {.file = file, .error = error};
    int result = 0;

    *file = (struct token_file){0};
    snprintf(error, ERROR_BYTES, "memory is short");
    while (!result && length) {
        const char *end = memchr(bytes, '\n', length);
        size_t line = end ? (size_t)(end - bytes) : length;

        parser.line++;
        result = parse_line(&parser, bytes, line);
        bytes += line + !!end;
        length -= line + !!end;
    }
    if (!result)
        result = refuse_duplicates(&parser);
    if (result)
        token_file_fini(file);
    return result;
}

void token_file_fini(struct token_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        token_entry_fini(&file->entries[i]);
    free(file->entries);
    free(file->text);
    *file = (struct token_file){0};
}

char *token_file_load(const char *path, size_t *length, unsigned *mode, char error[ERROR_BYTES])
{
    char *bytes = malloc(TOKEN_FILE_MAX_BYTES + 1);
    ssize_t got = bytes ? regular_file_read(path, bytes, TOKEN_FILE_MAX_BYTES + 1, mode) : -ENOMEM;

    if (got >= 0 && got <= TOKEN_FILE_MAX_BYTES) {
        *length = (size_t)got;
        return bytes;
    }
    free(bytes);
    errno = got < 0 ? (int)-got : EFBIG;
    snprintf(error, ERROR_BYTES, "%s", regular_file_strerror(errno));
    return NULL;
}

int token_file_read(const char *path, struct token_file *file, unsigned *mode,
                    char error[ERROR_BYTES])
{
    char reason[ERROR_BYTES], *text;
    size_t length;
    int result;

    *file = (struct token_file){0};
    text = token_file_load(path, &length, mode, reason);
    if (!text) {
        result = -errno;
        snprintf(error, ERROR_BYTES, "cannot read token file %.250s: %.200s", path, reason);
        return result;
    }
    result = token_file_parse(file, text, length, reason);
    if (result) {
        snprintf(error, ERROR_BYTES, "token file %.250s, %.200s", path, reason);
        free(text);
        return result;
    }
    file->text = text;
    file->length = length;
    return 0;
}
