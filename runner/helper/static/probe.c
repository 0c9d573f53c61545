/* `helper probe`: whether something listens, as seen from the container's network.
 *
 * There is no C library to look names up, and no other program may be there: so /etc/hosts is read
 * here and the name server of /etc/resolv.conf is asked for an IPv4 address, once. Who waits for
 * something asks again anyway. Source: RFC 1035, section 4. */
#include <asm/errno.h>
#include <asm/poll.h>
#include <linux/fcntl.h>
#include <linux/in.h>
#include <linux/time_types.h>

#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"

#define AF_INET       2
#define SOCK_STREAM   1
#define SOCK_DGRAM    2
#define SOCK_NONBLOCK 04000
#define SOL_SOCKET    1
#define SO_ERROR      4
#define MSG_NOSIGNAL  0x4000

#define WAIT_S          5
#define DNS_PORT        53
#define DNS_HEADER_SIZE 12
#define DNS_NAME_MAX    253
#define DNS_IS_RESPONSE 0x80
#define DNS_RCODE       0x0f
#define FILE_SIZE       65536
#define STATUS_SIZE     12 /* "HTTP/1.1 200" */

struct target {
    const char *text; /* "HOST:PORT", for messages */
    unsigned char address[4];
    unsigned port;
};

static _Noreturn void fail_probe(const struct target *target, const char *why)
{
    fail(HELPER_EXIT_NOT_READY, "reach", target->text, why);
}

static bool wait_for(int fd, short events)
{
    struct pollfd pollfd = {.fd = fd, .events = events};
    struct __kernel_timespec limit = {.tv_sec = WAIT_S};

    return SYS4(ppoll, &pollfd, 1, &limit, NULL) > 0;
}

/* --- names --- */

static unsigned number(const char **at)
{
    unsigned value = 0;

    while (**at >= '0' && **at <= '9' && value < 100000)
        value = value * 10 + (unsigned)(*(*at)++ - '0');
    return value;
}

/* Four numbers with dots, up to the end, a blank or the end of the line. */
static bool parse_ipv4(const char *text, unsigned char address[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned value;

        if (*text < '0' || *text > '9')
            return false;
        value = number(&text);
        if (value > 255 || (i < 3 && *text++ != '.'))
            return false;
        address[i] = (unsigned char)value;
    }
    return !*text || *text == ' ' || *text == '\t' || *text == '\n';
}

static char *read_file(const char *path)
{
    char *text = allocate(FILE_SIZE);
    long fd = SYS4(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    size_t len = 0;
    long n;

    while (fd >= 0 && len < FILE_SIZE - 1 &&
           (n = SYS3(read, fd, text + len, FILE_SIZE - 1 - len)) > 0)
        len += (size_t)n;
    if (fd >= 0)
        SYS1(close, fd);
    return text;
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t')
        at++;
    return at;
}

static const char *word_end(const char *at)
{
    while (*at && *at != ' ' && *at != '\t' && *at != '\n' && *at != '#')
        at++;
    return at;
}

static const char *next_line(const char *at)
{
    while (*at && *at++ != '\n')
        ;
    return at;
}

static bool is_word(const char *at, const char *end, const char *name)
{
    return (size_t)(end - at) == strlen(name) && has_prefix(at, name);
}

static bool in_hosts(const char *name, unsigned char address[4])
{
    for (const char *line = read_file("/etc/hosts"); *line; line = next_line(line)) {
        const char *at = skip_blanks(line);

        if (!parse_ipv4(at, address))
            continue;
        for (at = skip_blanks(word_end(at)); *at && *at != '\n' && *at != '#';) {
            const char *end = word_end(at);

            if (is_word(at, end, name))
                return true;
            at = skip_blanks(end);
        }
    }
    return false;
}

static bool find_name_server(unsigned char address[4])
{
    for (const char *line = read_file("/etc/resolv.conf"); *line; line = next_line(line)) {
        if (has_prefix(line, "nameserver") && parse_ipv4(skip_blanks(line + 10), address))
            return true;
    }
    return false;
}

static size_t make_query(const char *name, unsigned char *query)
{
    static const unsigned char head[DNS_HEADER_SIZE] = {'r', 'n', 1, 0, 0, 1};
    static const unsigned char tail[] = {0, 0, 1, 0, 1}; /* the root, type A, class IN */
    size_t len = DNS_HEADER_SIZE;

    memcpy(query, head, sizeof(head));
    while (*name) {
        const char *dot = find_char(name, '.');
        size_t label = dot ? (size_t)(dot - name) : strlen(name);

        query[len++] = (unsigned char)label;
        memcpy(query + len, name, label);
        len += label;
        name += label + (dot != NULL);
    }
    memcpy(query + len, tail, sizeof(tail));
    return len + sizeof(tail);
}

/* Behind a name in an answer; len: it is cut. */
static size_t skip_name(const unsigned char *answer, size_t len, size_t at)
{
    while (at < len && answer[at] != 0) {
        if (answer[at] >= 0xc0)
            return at + 2;
        at += answer[at] + 1u;
    }
    return at + 1;
}

/* Only the answer section counts: behind it stand addresses of name servers (RFC 1035 4.1). */
static bool read_answer(const unsigned char *answer, size_t len, unsigned char address[4])
{
    size_t at, count;

    if (len < DNS_HEADER_SIZE || answer[0] != 'r' || answer[1] != 'n' ||
        !(answer[2] & DNS_IS_RESPONSE) || answer[3] & DNS_RCODE)
        return false;
    count = (size_t)answer[6] << 8 | answer[7];
    at = skip_name(answer, len, DNS_HEADER_SIZE) + 4;
    while (count-- > 0 && at < len) {
        size_t data = skip_name(answer, len, at) + 10;
        size_t size;

        if (data > len)
            return false;
        size = (size_t)answer[data - 2] << 8 | answer[data - 1];
        if (answer[data - 9] == 1 && answer[data - 10] == 0 && size == 4 && data + 4 <= len) {
            memcpy(address, answer + data, 4);
            return true;
        }
        at = data + size;
    }
    return false;
}

static void set_address(struct sockaddr_in *to, const unsigned char address[4], unsigned port)
{
    unsigned char *port_bytes = (unsigned char *)&to->sin_port;

    memset(to, 0, sizeof(*to));
    to->sin_family = AF_INET;
    port_bytes[0] = (unsigned char)(port >> 8);
    port_bytes[1] = (unsigned char)port;
    memcpy(&to->sin_addr, address, 4);
}

static bool ask_name_server(const char *name, unsigned char address[4])
{
    unsigned char message[512], server[4];
    struct sockaddr_in to;
    size_t len = make_query(name, message);
    long fd, n = -1;

    if (!find_name_server(server))
        return false;
    fd = SYS3(socket, AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return false;
    set_address(&to, server, DNS_PORT);
    if (sys6(__NR_sendto, fd, (long)message, (long)len, MSG_NOSIGNAL, (long)&to, sizeof(to)) > 0 &&
        wait_for((int)fd, POLLIN))
        n = SYS3(read, fd, message, sizeof(message));
    SYS1(close, fd);
    return n > 0 && read_answer(message, (size_t)n, address);
}

static void resolve(struct target *target, const char *host)
{
    static const unsigned char loopback[] = {127, 0, 0, 1};

    if (parse_ipv4(host, target->address))
        return;
    if (str_equal(host, "localhost"))
        memcpy(target->address, loopback, 4);
    else if (strlen(host) > DNS_NAME_MAX || find_char(host, ':'))
        fail_probe(target, "this is no name and no IPv4 address");
    else if (!in_hosts(host, target->address) && !ask_name_server(host, target->address))
        fail_probe(target, "there is no such name");
}

/* --- connections --- */

static int connect_to(const struct target *target)
{
    long fd = SYS3(socket, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in to;
    int size = sizeof(int), error = 0;
    long result;

    if (fd < 0)
        fail_probe(target, error_text(fd));
    set_address(&to, target->address, target->port);
    result = SYS3(connect, fd, &to, sizeof(to));
    if (result == -EINPROGRESS) {
        if (!wait_for((int)fd, POLLOUT))
            fail_probe(target, "no answer");
        SYS5(getsockopt, fd, SOL_SOCKET, SO_ERROR, &error, &size);
        result = -error;
    }
    if (result < 0)
        fail_probe(target, error_text(result));
    return (int)fd;
}

static void ask_http(const struct target *target, const char *path)
{
    const char *request =
        join("GET ", path, " HTTP/1.1\r\nHost: ", target->text,
             "\r\nUser-Agent: runner\r\nAccept: */*\r\nConnection: close\r\n\r\n", NULL);
    int fd = connect_to(target);
    char answer[STATUS_SIZE + 1] = "";
    size_t got = 0;

    if (write_all(fd, request, strlen(request)) < 0)
        fail_probe(target, "it does not take a request");
    while (got < STATUS_SIZE) {
        long n = wait_for(fd, POLLIN) ? SYS3(read, fd, answer + got, STATUS_SIZE - got) : 0;

        if (n <= 0)
            fail_probe(target, "no answer to a request");
        got += (size_t)n;
    }
    if (!has_prefix(answer, "HTTP/1."))
        fail_probe(target, "the answer is not HTTP");
    if (answer[9] != '2' && answer[9] != '3')
        fail_probe(target, join("the answer is status ", answer + 9, NULL));
}

int command_probe(char *const *args)
{
    struct target target = {0};
    const char *port;
    bool http = args[0] && str_equal(args[0], "http");

    if (!args[0] || !args[1] || !args[2] || (http && !args[3]) ||
        (!http && !str_equal(args[0], "tcp")))
        fail(HELPER_EXIT_CANNOT, "do", "probe", "usage: probe tcp HOST PORT | http HOST PORT PATH");
    port = args[2];
    target.text = join(args[1], ":", port, NULL);
    target.port = number(&port);
    resolve(&target, args[1]);
    if (http)
        ask_http(&target, args[3]);
    else
        SYS1(close, connect_to(&target));
    return 0;
}
