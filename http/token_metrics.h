/* The metrics of tokens: how much of its allowance each has used. Called by: http. */
#ifndef TALLYD_HTTP_TOKEN_METRICS_H
#define TALLYD_HTTP_TOKEN_METRICS_H

struct exposition;
struct tokens;

/* Writes a series for each token with a limit of devices; nothing when `tokens` is NULL. */
void token_metrics_write(struct exposition *exposition, struct tokens *tokens);

#endif
