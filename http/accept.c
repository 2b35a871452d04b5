/*
 * See accept.h. A header that is no valid list is read as far as it makes sense: negotiation is a
 * courtesy, and whoever sends rubbish gets the first form.
 */
#include "http/accept.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A piece of a header. */
struct span {
    const char *start;
    size_t length;
};

static struct span trim(struct span span)
{
    while (span.length && isspace((unsigned char)*span.start)) {
        span.start++;
        span.length--;
    }
    while (span.length && isspace((unsigned char)span.start[span.length - 1]))
        span.length--;
    return span;
}

/* Takes what stands before the next `separator` off *rest. False at the end. */
static bool next(struct span *rest, char separator, struct span *part)
{
    const char *end;

    if (!rest->start)
        return false;
    end = memchr(rest->start, separator, rest->length);
    *part = trim((struct span){rest->start, end ? (size_t)(end - rest->start) : rest->length});
    if (end)
        *rest = (struct span){end + 1, rest->length - (size_t)(end + 1 - rest->start)};
    else
        rest->start = NULL;
    return true;
}

static bool is(struct span span, const char *text)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what has a length has a start */
    return span.length == strlen(text) && !strncasecmp(span.start, text, span.length);
}

/* The value of a parameter `name=...`, without quotes; false when this is another parameter. */
static bool parameter(struct span part, const char *name, struct span *value)
{
    size_t length = strlen(name);

    if (part.length <= length || strncasecmp(part.start, name, length) != 0 ||
        part.start[length] != '=')
        return false;
    *value = trim((struct span){part.start + length + 1, part.length - length - 1});
    if (value->length >= 2 && *value->start == '"')
        *value = (struct span){value->start + 1, value->length - 2};
    return true;
}

/* A weight of RFC 9110, section 12.4.2, in thousandths. */
static int thousandths(struct span value)
{
    char text[8] = "";
    double weight;

    memcpy(text, value.start, value.length < sizeof text ? value.length : sizeof text - 1);
    weight = strtod(text, NULL);
    return weight >= 1 ? 1000 : weight > 0 ? (int)(weight * 1000 + 0.5) : 0;
}

/* One element of a header's list. */
struct range {
    struct span name, version;
    int weight;
};

static bool next_range(struct span *rest, struct range *range)
{
    struct span element, part, value;

    if (!next(rest, ',', &element))
        return false;
    *range = (struct range){.weight = 1000};
    next(&element, ';', &range->name);
    while (next(&element, ';', &part)) {
        if (parameter(part, "q", &value))
            range->weight = thousandths(value);
        else
            parameter(part, "version", &range->version);
    }
    return true;
}

/* How closely a range means a form: 0 not at all, and the larger the closer. */
static int closeness(const struct range *range, const struct accept_form *form)
{
    const char *slash = strchr(form->type, '/');
    size_t major = (size_t)(slash - form->type) + 1;

    if (is(range->name, form->type)) {
        if (!range->version.start)
            return 3;
        return !form->version || is(range->version, form->version) ? 4 : 0;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what has a length has a start */
    if (range->name.length == major + 1 && range->name.start[major] == '*' &&
        !strncasecmp(range->name.start, form->type, major))
        return 2;
    return is(range->name, "*/*") ? 1 : 0;
}

/* The weight that the header gives to a form, by the range that means it most closely. */
static int form_weight(const char *accept, const struct accept_form *form)
{
    struct span rest = {accept, strlen(accept)};
    struct range range;
    int closest = 0, weight = 0;

    while (next_range(&rest, &range)) {
        int close = closeness(&range, form);

        if (close > closest) {
            closest = close;
            weight = range.weight;
        }
    }
    return weight;
}

size_t accept_choose(const char *accept, const struct accept_form *forms, size_t count)
{
    size_t best = 0;
    int best_weight = 0;

    for (size_t i = 0; accept && i < count; i++) {
        int weight = form_weight(accept, &forms[i]);

        if (weight > best_weight) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

bool accept_gzip(const char *accept_encoding)
{
    struct span rest = {accept_encoding, accept_encoding ? strlen(accept_encoding) : 0};
    struct range range;
    int named = -1, any = 0;

    while (next_range(&rest, &range)) {
        if (is(range.name, "gzip") || is(range.name, "x-gzip"))
            named = range.weight;
        else if (is(range.name, "*"))
            any = range.weight;
    }
    return named >= 0 ? named > 0 : any > 0;
}
