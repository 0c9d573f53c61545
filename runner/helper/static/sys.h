/* Linux system calls without a C library, for x86-64 and aarch64 (which share the generic table's
 * argument order). A negative result is -errno. Source: arch/x86/entry/syscalls/syscall_64.tbl and
 * include/uapi/asm-generic/unistd.h of the kernel. */
#pragma once

#include <asm/unistd.h>
#include <stddef.h>

static inline long sys6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long ret;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#else
#error "no system calls for this architecture"
#endif
}

#define SYS0(name)             sys6(__NR_##name, 0, 0, 0, 0, 0, 0)
#define SYS1(name, a)          sys6(__NR_##name, (long)(a), 0, 0, 0, 0, 0)
#define SYS2(name, a, b)       sys6(__NR_##name, (long)(a), (long)(b), 0, 0, 0, 0)
#define SYS3(name, a, b, c)    sys6(__NR_##name, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define SYS4(name, a, b, c, d) sys6(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS5(name, a, b, c, d, e)                                                                  \
    sys6(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

#define SYS6(name, a, b, c, d, e, f)                                                               \
    sys6(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline _Noreturn void sys_exit(int code)
{
    for (;;)
        SYS1(exit_group, code);
}

/* linux_dirent64, which no header of the kernel gives to user space. */
struct directory_entry {
    unsigned long long inode;
    long long offset;
    unsigned short size;
    unsigned char type;
    char name[];
};
