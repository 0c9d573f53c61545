#include "elf.h"

#include <linux/fcntl.h>

#include "bytes.h"
#include "rt.h"
#include "sys.h"

#define HEADER_SIZE 20 /* up to e_machine */
#define DATA_AT     5
#define DATA_MSB    2
#define MACHINE_AT  18

static const struct {
    unsigned long number;
    const char *name;
} machines[] = {
    {3, "386"},    {21, "ppc64le"}, {22, "s390x"},    {40, "arm"},
    {62, "amd64"}, {183, "arm64"},  {243, "riscv64"}, {258, "loong64"},
};

#if defined(__x86_64__)
static const char own[] = "amd64";
#elif defined(__aarch64__)
static const char own[] = "arm64";
#endif

static const char *name_of(unsigned long number)
{
    for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++) {
        if (machines[i].number == number)
            return machines[i].name;
    }
    return "another architecture";
}

const char *elf_foreign(const char *path)
{
    unsigned char head[HEADER_SIZE];
    unsigned long number;
    const char *name;
    long fd = SYS4(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    int result = fd < 0 ? -1 : read_all((int)fd, head, sizeof(head));

    if (fd >= 0)
        SYS1(close, fd);
    if (result != 0 || head[0] != 0x7f || head[1] != 'E' || head[2] != 'L' || head[3] != 'F')
        return NULL;
    number = head[DATA_AT] == DATA_MSB ? (unsigned long)head[MACHINE_AT] << 8 | head[MACHINE_AT + 1]
                                       : get_le((const char *)head + MACHINE_AT, 2);
    name = name_of(number);
    if (str_equal(name, own))
        return NULL;
    return join("it is for ", name, ", and this machine is ", own, NULL);
}
