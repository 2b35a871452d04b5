/*
 * Files that were built into the program: the page, the API's description, the API's page. Each is
 * compressed by gzip. They are made by http/www/CMakeLists.txt.
 */
#ifndef TALLYD_HTTP_ASSETS_H
#define TALLYD_HTTP_ASSETS_H

#include <stddef.h>
#include <stdint.h>

struct asset {
    const char *path; /* that it is served on */
    const char *content_type;
    const char *headers;      /* more lines for the answer's head, each with CRLF, or "" */
    const char *tag;          /* names its content, for an ETag: without quotes */
    const uint8_t *gzip;      /* the file, compressed */
    size_t gzip_bytes, bytes; /* and not compressed */
};

/* The file that is served on `path`, or NULL. Any thread; no state. */
const struct asset *assets_find(const char *path);

#endif
