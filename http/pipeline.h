/* Where the packets of this instance are at this moment, from its clients to Redis. */
#ifndef TALLYD_HTTP_PIPELINE_H
#define TALLYD_HTTP_PIPELINE_H

struct http_shared;
struct text_writer;

/* Writes it as a JSON object; asks nobody. Called by: http. */
void pipeline_write(struct text_writer *writer, const struct http_shared *shared);

#endif
