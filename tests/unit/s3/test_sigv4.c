/* Amazon's published examples: "Authenticating Requests" of the S3 API Reference, and the Signature
 * Version 4 test suite. */
#include "tests/unit/test.h"

#include <stdbool.h>

#include "apis/s3/sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key s3_key = {.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                        .secret_access_key =
                                            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                        .region = "us-east-1",
                                        .service = "s3"};
static const struct sigv4_key suite_key = {.access_key_id = "AKIDEXAMPLE",
                                           .secret_access_key =
                                               "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                           .region = "us-east-1",
                                           .service = "service"};

struct example {
    const char *name;
    const char *method;
    const char *path;
    const char *query[2][2];
    const char *headers[3][2]; /* beside host and x-amz-date */
    const char *body;
    const char *signed_headers;
    const char *signature;
};

static void check(const struct sigv4_key *key, const char *host, const char *date, bool s3,
                  const struct example *e)
{
    CLEANUP_STRMAP struct strmap query = {0};
    CLEANUP_STRMAP struct strmap headers = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;
    char hash[SHA256_HEX_SIZE];
    struct sigv4_request request = {.method = e->method,
                                    .path = e->path,
                                    .query = &query,
                                    .headers = &headers,
                                    .payload_hash = hash};

    snprintf(request.date, sizeof(request.date), "%s", date);
    sigv4_hash(e->body ? e->body : "", e->body ? strlen(e->body) : 0, hash);
    strmap_set(&headers, "x-amz-date", date);
    strmap_set(&headers, "host", host);
    if (s3)
        strmap_set(&headers, "x-amz-content-sha256", hash);
    for (size_t i = 0; i < 2 && e->query[i][0]; i++)
        strmap_set(&query, e->query[i][0], e->query[i][1]);
    for (size_t i = 0; i < 3 && e->headers[i][0]; i++)
        strmap_set(&headers, e->headers[i][0], e->headers[i][1]);
    sigv4_authorization(key, &request, &out);
    buf_addf(&expected,
             "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request,SignedHeaders=%s,"
             "Signature=%s",
             key->access_key_id, date, key->service, e->signed_headers, e->signature);
    if (strcmp(out.data, expected.data) != 0)
        fail_msg("%s: got %s, expected %s", e->name, out.data, expected.data);
}

static void test_examples_of_s3(void **state)
{
    static const struct example examples[] = {
        {.name = "GET object",
         .method = "GET",
         .path = "/test.txt",
         .headers = {{"range", "bytes=0-9"}},
         .signed_headers = "host;range;x-amz-content-sha256;x-amz-date",
         .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {.name = "PUT object",
         .method = "PUT",
         .path = "/test%24file.text",
         .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
         .body = "Welcome to Amazon S3.",
         .signed_headers = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
         .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {.name = "GET bucket lifecycle",
         .method = "GET",
         .path = "/",
         .query = {{"lifecycle", ""}},
         .signed_headers = "host;x-amz-content-sha256;x-amz-date",
         .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {.name = "list objects",
         .method = "GET",
         .path = "/",
         .query = {{"prefix", "J"}, {"max-keys", "2"}},
         .signed_headers = "host;x-amz-content-sha256;x-amz-date",
         .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
        check(&s3_key, "examplebucket.s3.amazonaws.com", "20130524T000000Z", true, &examples[i]);
}

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static void test_suite(void **state)
{
    static const struct example examples[] = {
        {.name = "get-vanilla",
         .method = "GET",
         .path = "/",
         .signed_headers = "host;x-amz-date",
         .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {.name = "get-vanilla-query-order-key-case",
         .method = "GET",
         .path = "/",
         .query = {{"Param2", "value2"}, {"Param1", "value1"}},
         .signed_headers = "host;x-amz-date",
         .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {.name = "get-vanilla-query-unreserved",
         .method = "GET",
         .path = "/",
         .query = {{UNRESERVED, UNRESERVED}},
         .signed_headers = "host;x-amz-date",
         .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
        {.name = "get-utf8",
         .method = "GET",
         .path = "/%E1%88%B4",
         .signed_headers = "host;x-amz-date",
         .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {.name = "get-header-value-trim",
         .method = "GET",
         .path = "/",
         .headers = {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
         .signed_headers = "host;my-header1;my-header2;x-amz-date",
         .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {.name = "post-header-key-sort",
         .method = "POST",
         .path = "/",
         .headers = {{"my-header1", "value1"}},
         .signed_headers = "host;my-header1;x-amz-date",
         .signature = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++)
        check(&suite_key, "example.amazonaws.com", "20150830T123600Z", false, &examples[i]);
}

static void test_presigned_url(void **state)
{
    CLEANUP_STRMAP struct strmap query = {0};
    CLEANUP_STRMAP struct strmap headers = {0};
    CLEANUP_BUF struct buf out = BUF_INIT;
    const struct sigv4_request request = {.method = "GET",
                                          .path = "/test.txt",
                                          .headers = &headers,
                                          .date = "20130524T000000Z"};

    (void)state;
    strmap_set(&headers, "host", "examplebucket.s3.amazonaws.com");
    sigv4_presign(&s3_key, &request, 86400, &query);
    sigv4_query(&out, &query);
    assert_string_equal(
        out.data,
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
        "&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        "&X-Amz-SignedHeaders=host");
}

static void test_paths(void **state)
{
    static const char *const cases[][2] = {
        {"a/b", "a/b"},
        {"a b+c", "a%20b%2Bc"},
        {"a//b/", "a//b/"},
        {"test$file.text", "test%24file.text"},
        {"100%", "100%25"},
        {"./../x", "./../x"},
        {"grün/日.tar", "gr%C3%BCn/%E6%97%A5.tar"},
        {"a=b&c?d#e:f@g!h*i'j(k)l,m;n", "a%3Db%26c%3Fd%23e%3Af%40g%21h%2Ai%27j%28k%29l%2Cm%3Bn"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf out = BUF_INIT;

        sigv4_encode_path(&out, cases[i][0]);
        assert_string_equal(out.data, cases[i][1]);
    }
}

static void test_dates(void **state)
{
    char text[SIGV4_DATE_SIZE];

    (void)state;
    sigv4_date(INT64_C(1369353600000), text);
    assert_string_equal(text, "20130524T000000Z");
    sigv4_date(INT64_C(1709251199999), text);
    assert_string_equal(text, "20240229T235959Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_s3), cmocka_unit_test(test_suite),
        cmocka_unit_test(test_presigned_url),  cmocka_unit_test(test_paths),
        cmocka_unit_test(test_dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
