/*
 * civetweb tells what it made of a head, not what stood there, and that can be less. A proxy
 * before us, which reads more strictly, then sees other requests on the connection than we do, and
 * a client can hide one from it. Here is found out what was left out:
 *
 *  - The lines behind one that begins with no name: a folded one, one that begins with a colon or
 *    with a byte that no name has. civetweb puts NULs over each line's end in its buffer, so behind
 *    the last line that it took the CR LF that ends a head must follow.
 *  - Blank lines before it. With two of them civetweb takes the first for the head's end, reads the
 *    request behind it all the same, beyond what has arrived if need be, and so among the bytes of
 *    those whom its thread served before. A head then begins elsewhere than at the beginning of the
 *    buffer, which is the lowest place where this thread ever found one; while there is no lower
 *    one, there is nobody's head in it either. One empty line is allowed (RFC 9112, 2.2).
 *  - Names that are none, or have a blank behind them (RFC 9112, 5.1).
 *  - Lengths of a body that contradict one another (RFC 9112, 6.3).
 */
#include "http/request_head.h"

#include <civetweb.h>
#include <string.h>
#include <strings.h>

/* What a name consists of (RFC 9110, 5.6.2). */
#define NAME_BYTES "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

#define END_BYTES 4 /* CR LF of the last line, and those behind it */

static const char *end_of(const char *text)
{
    return text + strlen(text);
}

/* Whether a line is ended by CR LF, both of which are NULs now; `end` is where its text ends. */
static bool ends_in_crlf(const char *end, const char *next_line)
{
    return next_line - end == 2;
}

bool request_head_is_certain(const struct mg_request_info *info)
{
    const struct mg_header *headers = info->http_headers;

    if (info->num_headers == 0 || !ends_in_crlf(end_of(info->http_version), headers[0].name))
        return false;
    for (int i = 1; i < info->num_headers; i++)
        if (!ends_in_crlf(end_of(headers[i - 1].value), headers[i].name))
            return false;
    return true;
}

/* Whether more than one empty line stands before the head. Takes note of where it begins. */
static bool has_leading_blanks(const char *head, struct request_head_buffer *buffer)
{
    if (!buffer->start || head < buffer->start)
        buffer->start = head;
    return head > buffer->start &&
           (head - buffer->start != 2 || memcmp(buffer->start, "\r\n", 2) != 0);
}

/* Whether the head goes on behind the last line that was taken. Of a head that is not certain that
 * cannot always be told: where its last line ends in LF alone, so may the head.
 *
 * A head that ends in LF alone may end with the buffer, and two bytes behind it are looked at. The
 * buffer's size tells, unless nothing but heads with blanks before them ever came to this thread,
 * which its buffer then seems to begin behind; so its size must be one of which malloc() keeps some
 * bytes in reserve (http.c). */
static bool lines_were_dropped(const struct mg_request_info *info,
                               const struct request_head_buffer *buffer)
{
    const char *end;

    if (info->num_headers == 0)
        return false;
    end = end_of(info->http_headers[info->num_headers - 1].value);
    if (end[1])
        return true;
    if (!request_head_is_certain(info))
        return false;
    if (end + END_BYTES > buffer->start + buffer->bytes)
        return true; /* it ends in LF alone: the buffer has no room for more */
    return end[2] != '\r' || end[3];
}

/* Whether all headers have names, with the colon right behind. civetweb puts a NUL over the colon
 * and over blanks before it, so behind a name's end there is no second one before the value. */
static bool has_names(const struct mg_request_info *info)
{
    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *header = &info->http_headers[i];
        const char *end = header->name + strspn(header->name, NAME_BYTES);

        if (*end || (end + 1 < header->value && !end[1]))
            return false;
    }
    return true;
}

/* Blanks behind it are no part of it (RFC 9110, 5.5). */
static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && !text[digits + strspn(text + digits, " \t")];
}

/* Whether it is clear how long a body is. */
static bool has_clear_length(const struct mg_request_info *info)
{
    int lengths = 0, codings = 0;

    for (int i = 0; i < info->num_headers; i++) {
        const struct mg_header *header = &info->http_headers[i];

        if (!strcasecmp(header->name, "Content-Length")) {
            lengths++;
            if (!is_number(header->value))
                return false;
        } else if (!strcasecmp(header->name, "Transfer-Encoding")) {
            codings++;
            if (strcasecmp(header->value, "chunked") != 0)
                return false;
        }
    }
    return lengths + codings <= 1;
}

const char *request_head_fault(const struct mg_request_info *info,
                               struct request_head_buffer *buffer)
{
    if (has_leading_blanks(info->request_method, buffer))
        return "there are blanks or empty lines before the request";
    if (lines_were_dropped(info, buffer))
        return "a header line is folded, begins with no name, or does not end in CR LF";
    if (!has_names(info))
        return "the name of a header is none, or is followed by a blank";
    if (!has_clear_length(info))
        return "the length of the body is not clear: there must be one Content-Length with a "
               "number, or \"Transfer-Encoding: chunked\"";
    return NULL;
}
