/* credentials, xml, names */
#include "tests/unit/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "apis/s3/s3.h"
#include "apis/s3/xml.h"
#include "base/alloc.h"
#include "base/fs.h"

static char *home;
static struct err err;

static int setup(void **state)
{
    char pattern[] = "/tmp/s3-test-XXXXXX";
    CLEANUP_FREE char *aws = NULL;

    (void)state;
    home = xstrdup(mkdtemp(pattern));
    aws = xasprintf("%s/.aws", home);
    return mkdir(aws, 0700);
}

static int teardown(void **state)
{
    int result = fs_remove_tree(home, NULL);

    (void)state;
    free(home);
    return result;
}

static void put(const char *name, const char *text)
{
    CLEANUP_FREE char *path = xasprintf("%s/.aws/%s", home, name);

    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, &err), 0);
}

#define FIND(profile, ret, ...)                                                                    \
    s3_credentials_find((const char *const[]){home_variable(), ##__VA_ARGS__, NULL}, profile, ret, \
                        &err)

static const char *home_variable(void)
{
    static char text[256];

    snprintf(text, sizeof(text), "HOME=%s", home);
    return text;
}

static void test_environment(void **state)
{
    CLEANUP_S3_CREDENTIALS struct s3_credentials c = {0};

    (void)state;
    put("credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = file\n"
                       "aws_session_token = file-token\n");
    put("config", "[default]\nregion = eu-west-1\n");
    assert_int_equal(FIND(NULL, &c, "AWS_ACCESS_KEY_ID=ENV", "AWS_SECRET_ACCESS_KEY=env",
                          "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_DEFAULT_REGION=eu-north-1"),
                     0);
    assert_string_equal(c.access_key_id, "ENV");
    assert_string_equal(c.secret_access_key, "env");
    assert_null(c.session_token); /* not that of the file with the key of the environment */
    assert_string_equal(c.region, "eu-north-1");
    assert_string_equal(c.endpoint, "http://127.0.0.1:1");
    s3_credentials_release(&c);
    assert_int_equal(FIND(NULL, &c, "AWS_ACCESS_KEY_ID=ENV", "AWS_SECRET_ACCESS_KEY=env",
                          "AWS_SESSION_TOKEN=t", "AWS_REGION=a", "AWS_DEFAULT_REGION=b",
                          "AWS_ENDPOINT_URL=http://x", "AWS_ENDPOINT_URL_S3=http://y"),
                     0);
    assert_string_equal(c.session_token, "t");
    assert_string_equal(c.region, "a");
    assert_string_equal(c.endpoint, "http://y");
}

static void test_profiles(void **state)
{
    CLEANUP_S3_CREDENTIALS struct s3_credentials c = {0};

    (void)state;
    put("credentials", "# all of ours\n[default]\naws_access_key_id=D\naws_secret_access_key=d=/+\n"
                       "\n[ci]\naws_access_key_id = C\naws_secret_access_key = c\r\n");
    put("config", "[default]\nregion=one\n[profile ci]\nregion = two\nendpoint_url = http://ci\n"
                  "s3 =\n  region = nested\n; end\n[ci]\nregion = not-a-profile\n");
    assert_int_equal(FIND(NULL, &c), 0);
    assert_string_equal(c.access_key_id, "D");
    assert_string_equal(c.secret_access_key, "d=/+");
    assert_string_equal(c.region, "one");
    assert_null(c.endpoint);
    s3_credentials_release(&c);
    assert_int_equal(FIND(NULL, &c, "AWS_PROFILE=ci"), 0);
    assert_string_equal(c.access_key_id, "C");
    assert_string_equal(c.secret_access_key, "c");
    assert_string_equal(c.region, "two");
    assert_string_equal(c.endpoint, "http://ci");
    s3_credentials_release(&c);
    /* A profile that the caller names is not overruled. */
    assert_int_equal(FIND("ci", &c, "AWS_ACCESS_KEY_ID=ENV", "AWS_SECRET_ACCESS_KEY=env"), 0);
    assert_string_equal(c.access_key_id, "C");
}

static void test_bad_credentials(void **state)
{
    struct s3_credentials c = {0};
    CLEANUP_BUF struct buf expected = BUF_INIT;

    (void)state;
    put("credentials", "");
    put("config", "");
    assert_int_equal(FIND(NULL, &c, "AWS_ACCESS_KEY_ID=only"), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_string_equal(err.message,
                        "no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                        "or write a profile \"default\" into ~/.aws/credentials");
    assert_int_equal(FIND("gone", &c), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    buf_addf(&expected,
             "there is no AWS profile \"gone\" in %s/.aws/config and %s/.aws/credentials", home,
             home);
    assert_string_equal(err.message, expected.data);
    put("credentials", "[default]\nwhat\n");
    buf_reset(&expected);
    buf_addf(&expected, "%s/.aws/credentials:2: not of the form KEY = VALUE", home);
    assert_int_equal(FIND(NULL, &c), -1);
    assert_string_equal(err.message, expected.data);
    assert_null(c.access_key_id);
}

static int collect(void *arg, const char *path, const char *text, struct err *e)
{
    (void)e;
    buf_addf(arg, "%s=%s;", path, text);
    return 0;
}

static int refuse(void *arg, const char *path, const char *text, struct err *e)
{
    (void)arg;
    (void)text;
    return err_set(e, ERR_LIMIT, "enough at %s", path);
}

static void assert_no_xml(const char *text, const char *message)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    assert_int_equal(xml_read(text, strlen(text), collect, &out, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_string_equal(err.message, message);
}

static void test_xml(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    static const char text[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<A xmlns=\"http://s3.amazonaws.com/doc/\"><B>x &amp; &#65;</B>\n"
                               "<C><D>1</D><D/></C><n:E xmlns:n=\"u\"><![CDATA[<y>]]></n:E></A>";

    (void)state;
    assert_int_equal(xml_read(text, strlen(text), collect, &out, &err), 0);
    assert_string_equal(out.data, "A/B=x & A;A/C/D=1;A/C/D=;A/C=;A/E=<y>;A=\n;");
    assert_int_equal(xml_read(text, strlen(text), refuse, NULL, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "enough at A/B");
    assert_no_xml("", "no XML: line 1: no element found");
    assert_no_xml("<A><B></A>", "no XML: line 1: mismatched tag");
    assert_no_xml("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "XML with a document type");
    assert_no_xml("<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
                  "XML that is nested deeper than 16 levels");
}

static char *url(const char *bucket, const char *endpoint, const char *region, enum s3_style style)
{
    struct s3_credentials c = {.access_key_id = (char[]){"K"}, .secret_access_key = (char[]){"s"}};
    CLEANUP_S3_CLIENT struct s3_client *s3 = NULL;
    struct buf out = BUF_INIT;
    const struct s3_options options = {.bucket = bucket,
                                       .endpoint = endpoint,
                                       .region = region,
                                       .style = style,
                                       .credentials = &c};

    if (s3_client_new(&options, &s3, &err) < 0)
        return xstrdup(err.message);
    assert_int_equal(s3_presign(s3, "GET", "a b/c", 60, &out, &err), 0);
    buf_truncate(&out, strcspn(out.data, "?"));
    return buf_steal(&out);
}

static void test_names(void **state)
{
    static const struct {
        const char *bucket, *endpoint, *region;
        enum s3_style style;
        const char *url;
    } cases[] = {
        {"bucket", NULL, NULL, S3_STYLE_AUTO, "https://bucket.s3.us-east-1.amazonaws.com/a%20b/c"},
        {"bucket", NULL, "eu-west-1", S3_STYLE_PATH,
         "https://s3.eu-west-1.amazonaws.com/bucket/a%20b/c"},
        {"bucket", NULL, "cn-north-1", S3_STYLE_AUTO,
         "https://bucket.s3.cn-north-1.amazonaws.com.cn/a%20b/c"},
        {"a.bucket", NULL, NULL, S3_STYLE_AUTO,
         "https://s3.us-east-1.amazonaws.com/a.bucket/a%20b/c"},
        {"bucket", "http://127.0.0.1:9000", NULL, S3_STYLE_AUTO,
         "http://127.0.0.1:9000/bucket/a%20b/c"},
        {"bucket", "https://minio.example:443/", NULL, S3_STYLE_AUTO,
         "https://minio.example/bucket/a%20b/c"},
        {"bucket", "http://minio.example:80", NULL, S3_STYLE_VIRTUAL,
         "http://bucket.minio.example/a%20b/c"},
        {"bucket", "minio.example", NULL, S3_STYLE_AUTO,
         "the S3 endpoint must be http://HOST or https://HOST, not \"minio.example\""},
        {"bucket", "https://host/path", NULL, S3_STYLE_AUTO,
         "the S3 endpoint \"https://host/path\" must be a host with an optional port, without a "
         "path"},
        {"bucket", "https://", NULL, S3_STYLE_AUTO,
         "the S3 endpoint \"https://\" must be a host with an optional port, without a path"},
        {"bucket", "key:s3cret@host", NULL, S3_STYLE_AUTO,
         "the S3 endpoint must be a host without a user and a password; credentials are taken from "
         "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"},
        {"key:s3cret@bucket", NULL, NULL, S3_STYLE_AUTO,
         "the name of an S3 bucket has no \":\" and \"@\"; credentials are taken from "
         "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile"},
        {"a/b", NULL, NULL, S3_STYLE_AUTO,
         "\"a/b\" is no name of an S3 bucket: 3 to 63 letters, digits, dots and hyphens"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *got =
            url(cases[i].bucket, cases[i].endpoint, cases[i].region, cases[i].style);

        assert_string_equal(got, cases[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),     cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_bad_credentials), cmocka_unit_test(test_xml),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
