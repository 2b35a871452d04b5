/*
 * hiredis's reader asks a table of functions for its objects; the table is copied, with some
 * entries exchanged, so that whatever else a version of hiredis has in it stays.
 *
 * Why a NULL element is safe: hiredis's arrays are allocated zeroed, their elements stored by the
 * functions of the table, and freeReplyObject() does nothing with NULL; the reader itself only asks
 * that what it gets is not NULL.
 */
#include "aggregator/replies.h"

#include <string.h>

#define QUEUED_BYTES 6

/* Never written; hiredis's types have no const. */
static char queued_text[] = "QUEUED";
static redisReply queued = {.type = REDIS_REPLY_STATUS, .str = queued_text, .len = QUEUED_BYTES};

static const redisReplyObjectFunctions *usual(const redisReadTask *task)
{
    return &((const struct replies *)task->privdata)->usual;
}

static void *create_string(const redisReadTask *task, char *text, size_t length)
{
    if (task->type == REDIS_REPLY_STATUS && !task->parent && length == QUEUED_BYTES &&
        memcmp(text, queued_text, QUEUED_BYTES) == 0)
        return &queued;
    return usual(task)->createString(task, text, length);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    if (task->parent)
        return &queued; /* anything but NULL, and not stored in the parent */
    return usual(task)->createInteger(task, value);
}

/* From 1.0 on hiredis counts in size_t. */
#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t elements)
#else
static void *create_array(const redisReadTask *task, int elements)
#endif
{
    return elements > REPLIES_MAX_ELEMENTS ? NULL : usual(task)->createArray(task, elements);
}

static void free_object(void *object)
{
    replies_free(object);
}

void replies_spare(struct replies *replies, redisReader *reader)
{
    replies->usual = replies->sparing = *reader->fn;
    replies->sparing.createString = create_string;
    replies->sparing.createInteger = create_integer;
    replies->sparing.createArray = create_array;
    replies->sparing.freeObject = free_object;
    reader->fn = &replies->sparing;
    reader->privdata = replies;
}

void replies_free(redisReply *reply)
{
    if (reply != &queued)
        freeReplyObject(reply);
}
