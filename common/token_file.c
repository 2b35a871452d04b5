/* See token_file.h. The bytes are read in place; only prefixes are copied. */
#include "common/token_file.h"

#include "common/hex.h"
#include "common/regular_file.h"
#include "common/token_right.h"
#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *bytes;
    size_t length;
};

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

/* ---- Words ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off the front of a line; an empty one at its end. */
static struct text take_word(struct text *line)
{
    struct text word;

    while (line->length && is_blank(*line->bytes)) {
        line->bytes++;
        line->length--;
    }
    word = (struct text){line->bytes, 0};
    while (word.length < line->length && !is_blank(word.bytes[word.length]))
        word.length++;
    line->bytes += word.length;
    line->length -= word.length;
    return word;
}

static bool is_text(struct text text, const char *other)
{
    return text.length == strlen(other) && !memcmp(text.bytes, other, text.length);
}

/* Takes `before` off the front of a text, if it is there. */
static bool take_prefix(struct text *text, const char *before)
{
    size_t length = strlen(before);

    if (text->length < length || memcmp(text->bytes, before, length) != 0)
        return false;
    text->bytes += length;
    text->length -= length;
    return true;
}

static bool is_name(struct text text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    for (size_t i = 0; i < text.length; i++) {
        if (!memchr(allowed, text.bytes[i], sizeof allowed - 1))
            return false;
    }
    /* A token is no name: it would be shown in lists and logs. */
    return text.length > 0 && text.length <= TOKEN_FILE_NAME_BYTES &&
           !take_prefix(&text, TOKEN_SECRET_PREFIX);
}

bool token_file_is_name(const char *text)
{
    return is_name((struct text){text, strlen(text)});
}

bool token_file_is_limitable(unsigned held)
{
    return held & (TOKEN_INGEST | TOKEN_ADMIN);
}

/* ---- Fields --------------------------------------------------------------------------------- */

static int parse_name(const struct parser *parser, struct text word, struct token_entry *entry)
{
    if (!is_name(word))
        return fail(parser,
                    "a name has 1 to %d letters, digits, \"-\", \"_\" or \".\", and does not begin "
                    "with " TOKEN_SECRET_PREFIX,
                    TOKEN_FILE_NAME_BYTES);
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a name has a length */
    memcpy(entry->name, word.bytes, word.length);
    return 0;
}

static int parse_rights(const struct parser *parser, struct text word, struct token_entry *entry)
{
    unsigned rights = 0;

    while (word.length) {
        const char *comma = memchr(word.bytes, ',', word.length);
        struct text one = {word.bytes, comma ? (size_t)(comma - word.bytes) : word.length};
        unsigned right = 0;

        for (size_t i = 0; i < TOKEN_RIGHTS; i++)
            right |= is_text(one, token_right_names[i].name) ? token_right_names[i].right : 0u;
        if (!right || rights & right || (comma && one.length + 1 == word.length))
            break;
        rights |= right;
        word.bytes += one.length + !!comma;
        word.length -= one.length + !!comma;
    }
    if (word.length || !rights)
        return fail(parser, "after the name come rights: ingest, read or admin, each once, with "
                            "commas and no blanks between them");
    entry->rights = rights;
    return 0;
}

static int parse_hash(const struct parser *parser, struct text value, struct token_entry *entry)
{
    for (size_t i = 0; value.length == 2 * TOKEN_HASH_BYTES && i < TOKEN_HASH_BYTES; i++) {
        const char digits[3] = {value.bytes[2 * i], value.bytes[2 * i + 1], '\0'};
        int byte = hex_byte(digits);

        if (byte < 0)
            value.length = 0;
        entry->hash[i] = (uint8_t)byte;
    }
    if (value.length != 2 * TOKEN_HASH_BYTES)
        return fail(parser, "sha256 must have %d hexadecimal digits", 2 * TOKEN_HASH_BYTES);
    return 0;
}

static int decode_prefix(struct text value, struct token_entry *entry)
{
    while (value.length) {
        bool escaped = *value.bytes == '%';
        const char digits[3] = {value.length > 1 ? value.bytes[1] : '\0',
                                value.length > 2 ? value.bytes[2] : '\0', '\0'};
        int byte = escaped ? hex_byte(digits) : (unsigned char)*value.bytes;

        if (byte < 0 || entry->prefix_length == TOKEN_FILE_PREFIX_BYTES)
            return -EINVAL;
        entry->prefix[entry->prefix_length++] = (char)byte;
        value.bytes += escaped ? 3 : 1;
        value.length -= escaped ? 3 : 1;
    }
    return utf8_is_valid((const uint8_t *)entry->prefix, entry->prefix_length) ? 0 : -EINVAL;
}

static int parse_prefix(const struct parser *parser, struct text value, struct token_entry *entry)
{
    if (!value.length || decode_prefix(value, entry))
        return fail(parser,
                    "prefix must be 1 to %d bytes of UTF-8, with %%20 for a blank and %%25 for %%",
                    TOKEN_FILE_PREFIX_BYTES);
    return 0;
}

static int parse_max_devices(const struct parser *parser, struct text value,
                             struct token_entry *entry)
{
    uint64_t number = 0;
    size_t i = 0;

    while (i < value.length && value.bytes[i] >= '0' && value.bytes[i] <= '9' &&
           number <= TOKEN_FILE_MAX_DEVICES)
        number = 10 * number + (uint64_t)(value.bytes[i++] - '0');
    if (number == 0 || i < value.length || number > TOKEN_FILE_MAX_DEVICES)
        return fail(parser, "max-devices must be a whole number from 1 to %" PRIu64,
                    TOKEN_FILE_MAX_DEVICES);
    entry->max_devices = number;
    return 0;
}

static const struct {
    const char *begins;
    int (*parse)(const struct parser *parser, struct text value, struct token_entry *entry);
} fields[] = {
    {"sha256=", parse_hash}, {"prefix=", parse_prefix}, {"max-devices=", parse_max_devices}};

static int parse_fields(const struct parser *parser, struct text line, struct token_entry *entry)
{
    bool seen[ARRAY_LENGTH(fields)] = {false};
    struct text word;

    while ((word = take_word(&line)).length) {
        size_t i = 0;
        int result;

        while (i < ARRAY_LENGTH(fields) && !take_prefix(&word, fields[i].begins))
            i++;
        if (i == ARRAY_LENGTH(fields))
            return fail(parser, "behind the rights come sha256=, prefix= and max-devices=, and "
                                "nothing else");
        if (seen[i])
            return fail(parser, "%s stands there twice", fields[i].begins);
        seen[i] = true;
        if ((result = fields[i].parse(parser, word, entry)))
            return result;
    }
    if (!seen[0])
        return fail(parser, "sha256= is missing");
    if ((seen[1] || seen[2]) && !token_file_is_limitable(entry->rights))
        return fail(parser, "prefix= and max-devices= limit what is sent, and this one may not "
                            "send: it reads every device");
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------- */

/* Appends an empty entry. Returns NULL with `result` where there is no room. */
static struct token_entry *add_entry(struct parser *parser, int *result)
{
    struct token_file *file = parser->file;
    struct token_entry *entry;

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
    entry = &file->entries[file->count];
    *entry = (struct token_entry){.max_devices = TOKEN_FILE_NO_LIMIT, .line = parser->line};
    entry->prefix = calloc(1, TOKEN_FILE_PREFIX_BYTES + 1);
    if (!entry->prefix)
        return NULL;
    file->count++;
    return entry;
}

static int parse_line(struct parser *parser, struct text line)
{
    struct token_entry *entry;
    struct text name;
    int result;

    if (line.length && line.bytes[line.length - 1] == '\r')
        line.length--;
    if (line.length > TOKEN_FILE_LINE_BYTES)
        return fail(parser, "longer than %d bytes", TOKEN_FILE_LINE_BYTES);
    name = take_word(&line);
    if (!name.length || *name.bytes == '#')
        return 0;
    for (size_t i = 0; i < name.length + line.length; i++) {
        uint8_t byte = (uint8_t)name.bytes[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return fail(parser, "a byte that is neither text nor a blank");
    }
    entry = add_entry(parser, &result);
    if (!entry)
        return result;
    if ((result = parse_name(parser, name, entry)) ||
        (result = parse_rights(parser, take_word(&line), entry)))
        return result;
    return parse_fields(parser, line, entry);
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
    struct text rest = {bytes, length};
    int result = 0;

    *file = (struct token_file){0};
    snprintf(error, ERROR_BYTES, "memory is short");
    while (!result && rest.length) {
        const char *end = memchr(rest.bytes, '\n', rest.length);
        struct text line = {rest.bytes, end ? (size_t)(end - rest.bytes) : rest.length};

        parser.line++;
        result = parse_line(&parser, line);
        rest.bytes += line.length + !!end;
        rest.length -= line.length + !!end;
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
        free(file->entries[i].prefix);
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
    snprintf(error, ERROR_BYTES, "%s", errno == EINVAL ? "it is not a file" : strerror(errno));
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
