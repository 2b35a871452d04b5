/*
 * How new an answer is: what every answer that was made from a snapshot tells of its age.
 * Any thread; no state.
 */
#ifndef TALLYD_HTTP_FRESHNESS_H
#define TALLYD_HTTP_FRESHNESS_H

#include <stdbool.h>

struct reader_answer;
struct reading;
struct request;
struct text_writer;

/* Adds Age, X-Tally-Committed-At and, when `stale`, X-Tally-Stale to the answer to come. With
 * `reading` NULL the answer is what Redis said just now. */
void freshness_headers(struct request *request, const struct reading *reading, bool stale);

/* Writes the same as members of a JSON object: "committed_at":"...","age_ms":12,"stale":false.
 * Without a reading the first two are null and stale is true. */
void freshness_members(struct text_writer *writer, const struct reader_answer *answer);

/* Answers a request for which there is no reading: 500 when Redis holds what is no count, else 503,
 * with the reader's words. Returns the status. */
int freshness_refuse(struct request *request, const struct reader_answer *answer);

#endif
