/*
 * The build tool that turns a file of the web pages into C text, compressed:
 *
 *     embed NAME INPUT OUTPUT [PACKAGES]
 *
 * OUTPUT defines NAME_TAG, NAME_BYTES, NAME_SCRIPTS, NAME_STYLES and the array NAME_gzip, for
 * assets.c. The same input gives the same output anywhere.
 *
 * In an .html file, a line of the form `<!-- inline: FILE -->` becomes that file's text, in a
 * script or style element by its name's end. FILE stands beside INPUT or, when it is of an npm
 * package, in the directory PACKAGES; without PACKAGES such a line is left out. NAME_SCRIPTS and
 * NAME_STYLES name what was inlined as a content-security policy wants it: " 'sha256-...'
 * 'sha256-...'", or " 'none'".
 */
#include "http/www/sha256.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LINE_BYTES 24 /* of the compressed file, in a line of C text */

/* A growing text; what it holds ends with the program. */
struct text {
    char *bytes;
    size_t length, size;
};

struct page {
    struct text whole, scripts, styles;
};

static _Noreturn void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("embed: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static void append(struct text *text, const void *bytes, size_t length)
{
    if (text->length + length + 1 > text->size) {
        text->size = 2 * (text->length + length + 1);
        text->bytes = realloc(text->bytes, text->size);
        if (!text->bytes)
            die("memory is short");
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): the NUL alone needs a block */
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
}

static void append_string(struct text *text, const char *string)
{
    append(text, string, strlen(string));
}

static struct text read_file(const char *path)
{
    struct text text = {0};
    char piece[65536];
    size_t length;
    FILE *file = fopen(path, "rb");

    if (!file)
        die("%s: %s", path, strerror(errno));
    append(&text, "", 0);
    while ((length = fread(piece, 1, sizeof piece, file)) > 0)
        append(&text, piece, length);
    if (ferror(file))
        die("%s: %s", path, strerror(errno));
    fclose(file);
    return text;
}

/* Appends " 'sha256-...'", the digest in base64 (RFC 4648). */
static void append_hash(struct text *text, const struct text *content)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t digest[SHA256_BYTES + 1] = {0}; /* one more: the last group lacks a byte */

    sha256_digest(content->bytes, content->length, digest);
    append_string(text, " 'sha256-");
    for (int i = 0; i < SHA256_BYTES; i += 3) {
        uint32_t group = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6)
            append(text, &digits[group >> shift & 63], 1);
    }
    text->bytes[text->length - 1] = '='; /* the digit that stands for no byte */
    append_string(text, "'");
}

static bool ends_with(const char *string, const char *end)
{
    size_t length = strlen(string), end_length = strlen(end);

    return length >= end_length && !strcmp(string + length - end_length, end);
}

/* Appends `file` in an element, and its hash. A browser hashes what it has parsed: without carriage
 * returns, and up to the first end tag. */
static void inline_element(struct page *page, const char *path)
{
    bool script = ends_with(path, ".js");
    const char *tag = script ? "script" : "style";
    const char *end = script ? "</script" : "</style";
    struct text content = read_file(path);

    if (!script && !ends_with(path, ".css"))
        die("%s: only .js and .css can be inlined", path);
    if (memchr(content.bytes, '\r', content.length) ||
        memchr(content.bytes, '\0', content.length) || strcasestr(content.bytes, end) ||
        (script && strstr(content.bytes, "<!--")))
        die("%s: holds a carriage return, a NUL, <!-- or %s>, so it cannot be inlined", path, end);
    append_hash(script ? &page->scripts : &page->styles, &content);
    append_string(&page->whole, "<");
    append_string(&page->whole, tag);
    append_string(&page->whole, ">");
    append(&page->whole, content.bytes, content.length);
    append_string(&page->whole, "</");
    append_string(&page->whole, tag);
    append_string(&page->whole, ">\n");
    free(content.bytes);
}

/* Does what a line asks for. False when it is a line like any other. */
static bool inline_line(struct page *page, const char *line, const char *input,
                        const char *packages)
{
    const char *slash = strrchr(input, '/');
    char file[256], end[4];
    struct text path = {0};

    if (sscanf(line, " <!-- inline: %255s %3s", file, end) != 2 || strcmp(end, "-->") != 0)
        return false;
    if (!strchr(file, '/')) {
        append(&path, input, slash ? (size_t)(slash + 1 - input) : 0);
    } else if (packages) {
        append_string(&path, packages);
        append_string(&path, "/");
    } else {
        return true;
    }
    append_string(&path, file);
    inline_element(page, path.bytes);
    free(path.bytes);
    return true;
}

static void read_page(struct page *page, const char *input, const char *packages)
{
    struct text source = read_file(input);
    char *line = source.bytes;

    if (memchr(source.bytes, '\0', source.length))
        die("%s: holds a NUL", input);
    append(&page->whole, "", 0);
    while (line && *line) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = '\0';
        if (!inline_line(page, line, input, packages)) {
            append_string(&page->whole, line);
            append_string(&page->whole, "\n");
        }
        line = next;
    }
    free(source.bytes);
}

/* gzip's format without a name or a time, so that it depends on the content only. */
static struct text compress_text(const struct text *text)
{
    z_stream stream = {0};
    struct text gzip = {0};

    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + 16, MAX_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        die("memory is short");
    gzip.size = deflateBound(&stream, text->length);
    gzip.bytes = malloc(gzip.size);
    if (!gzip.bytes)
        die("memory is short");
    stream.next_in = (Bytef *)text->bytes;
    stream.avail_in = (uInt)text->length;
    stream.next_out = (Bytef *)gzip.bytes;
    stream.avail_out = (uInt)gzip.size;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        die("zlib does not compress");
    gzip.length = stream.total_out;
    deflateEnd(&stream);
    return gzip;
}

/* A string compiles many times faster than a list of numbers. Every byte is escaped. */
static void print_bytes(FILE *output, const struct text *bytes)
{
    for (size_t i = 0; i < bytes->length; i++) {
        if (i % LINE_BYTES == 0)
            fputs(i ? "\"\n    \"" : "    \"", output);
        fprintf(output, "\\%03o", (unsigned char)bytes->bytes[i]);
    }
    fputs("\";\n", output);
}

static void print_asset(FILE *output, const char *name, const struct page *page)
{
    struct text gzip = compress_text(&page->whole);
    uint8_t digest[SHA256_BYTES];
    char upper[64] = "";

    for (size_t i = 0; name[i] && i + 1 < sizeof upper; i++)
        upper[i] = (char)toupper((unsigned char)name[i]);
    sha256_digest(page->whole.bytes, page->whole.length, digest);
    fprintf(output, "/* Made by http/www/embed.c. */\n#define %s_TAG \"", upper);
    for (int i = 0; i < 8; i++)
        fprintf(output, "%02x", digest[i]);
    fprintf(output, "\"\n#define %s_BYTES %zu\n", upper, page->whole.length);
    fprintf(output, "#define %s_SCRIPTS \"%s\"\n", upper,
            page->scripts.bytes ? page->scripts.bytes : " 'none'");
    fprintf(output, "#define %s_STYLES \"%s\"\n", upper,
            page->styles.bytes ? page->styles.bytes : " 'none'");
    fprintf(output, "static const uint8_t %s_gzip[] =\n", name);
    print_bytes(output, &gzip);
    free(gzip.bytes);
}

int main(int argc, char **argv)
{
    struct page page = {0};
    FILE *output;

    if (argc != 4 && argc != 5)
        die("usage: embed NAME INPUT OUTPUT [PACKAGES]");
    if (ends_with(argv[2], ".html"))
        read_page(&page, argv[2], argc == 5 ? argv[4] : NULL);
    else
        page.whole = read_file(argv[2]);
    output = fopen(argv[3], "w");
    if (!output)
        die("%s: %s", argv[3], strerror(errno));
    print_asset(output, argv[1], &page);
    if (ferror(output) | fclose(output)) {
        remove(argv[3]);
        die("%s: cannot be written", argv[3]);
    }
    free(page.whole.bytes);
    free(page.scripts.bytes);
    free(page.styles.bytes);
    return 0;
}
