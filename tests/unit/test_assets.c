/* The files that were built in: each is whole, and its policy fits what stands in it. */
#include "http/assets.h"
#include "http/gzip.h"
#include "http/request.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The page must come up quickly on a slow line. */
#define PAGE_MAX_BYTES 100000

/* The whole file with a NUL behind it; the caller frees it. */
static char *expand(const struct asset *asset)
{
    char *whole = gzip_expand(asset->gzip, asset->gzip_bytes, asset->bytes);
    char *text = calloc(1, asset->bytes + 1);

    assert_non_null(whole);
    assert_non_null(text);
    memcpy(text, whole, asset->bytes);
    free(whole);
    return text;
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static const struct asset *find(const char *path)
{
    const struct asset *asset = assets_find(path);

    assert_non_null(asset);
    assert_string_equal(asset->path, path);
    return asset;
}

static void find_of_other_paths_is_null(void **state)
{
    static const char *const others[] = {"", "/index.html", "/docs/", "/docs/x", "//", "/metrics"};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(assets_find(others[i]));
}

static void find_of_each_file_gives_one_that_is_whole(void **state)
{
    static const char *const paths[] = {"/", "/docs", "/openapi.json"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct asset *asset = find(paths[i]);
        char *text = expand(asset);

        assert_int_equal(strlen(text), asset->bytes);
        assert_true(asset->gzip_bytes < asset->bytes);
        assert_int_equal(strlen(asset->tag), 16);
        for (const char *digit = asset->tag; *digit; digit++)
            assert_true(isxdigit((unsigned char)*digit));
        free(text);
    }
}

static void tags_of_different_files_differ(void **state)
{
    (void)state;
    assert_string_not_equal(find("/")->tag, find("/docs")->tag);
    assert_string_not_equal(find("/")->tag, find("/openapi.json")->tag);
}

/* A script or style without an address is inlined, and the policy must hold its hash. */
static void policy_of_the_page_names_all_that_is_inlined(void **state)
{
    const struct asset *page = find("/");
    char *text = expand(page);

    (void)state;
    assert_int_equal(occurrences(text, "<!-- inline:"), 0);
    assert_int_equal(occurrences(text, "<script>") + occurrences(text, "<style>"),
                     occurrences(page->headers, "'sha256-"));
    assert_int_equal(occurrences(text, "<script "), 0);
    assert_null(strstr(page->headers, "unsafe"));
    free(text);
}

static void headers_of_pages_are_whole_lines(void **state)
{
    static const char *const pages[] = {"/", "/docs"};

    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        const char *headers = find(pages[i])->headers;

        assert_int_equal(occurrences(headers, "\n"), occurrences(headers, "\r\n"));
        assert_string_equal(headers + strlen(headers) - 2, "\r\n");
        assert_int_equal(occurrences(headers, "Content-Security-Policy: "), 1);
        assert_true(strlen(headers) < REQUEST_HEADERS_BYTES - 256); /* other lines need room too */
    }
}

static void page_compressed_is_small(void **state)
{
    (void)state;
    assert_true(find("/")->gzip_bytes < PAGE_MAX_BYTES);
}

static void description_carries_the_version(void **state)
{
    char *text = expand(find("/openapi.json"));

    (void)state;
    assert_non_null(strstr(text, "\"version\": \"" TALLYD_VERSION "\""));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_of_other_paths_is_null),
        cmocka_unit_test(find_of_each_file_gives_one_that_is_whole),
        cmocka_unit_test(tags_of_different_files_differ),
        cmocka_unit_test(policy_of_the_page_names_all_that_is_inlined),
        cmocka_unit_test(headers_of_pages_are_whole_lines),
        cmocka_unit_test(page_compressed_is_small),
        cmocka_unit_test(description_carries_the_version),
    };

    return cmocka_run_group_tests_name("assets", tests, NULL, NULL);
}
