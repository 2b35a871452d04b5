/*
 * POST /-/reload: has tallyd read its configuration again, as SIGHUP does. For those who cannot
 * send signals; only with a token file, and a token with the right "admin".
 */
#ifndef TALLYD_HTTP_RELOAD_ASK_H
#define TALLYD_HTTP_RELOAD_ASK_H

struct request;

/* Sends 202: main reloads after that, and its log and statistics tell whether it could. Or 503
 * while the server drains, when it would not. Returns the status. Called by: http. */
int reload_ask_serve(struct request *request);

#endif
