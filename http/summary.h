/* GET /summary: how many devices, packets in all, and packets a second now. */
#ifndef TALLYD_HTTP_SUMMARY_H
#define TALLYD_HTTP_SUMMARY_H

struct http_shared;
struct reader_answer;
struct request;
struct text_writer;

/* Writes the members of the summary, without braces. Those that a snapshot tells are null when
 * `answer` holds none. Called by: http. */
void summary_write(struct text_writer *writer, const struct http_shared *shared,
                   const struct reader_answer *answer);

/* Answers 200 with the summary, or an error when there is no snapshot. Returns the status. Called
 * by: http. */
int summary_serve(struct request *request);

#endif
