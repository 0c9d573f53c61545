/* Entry of the helper; its commands are described in helper.h. */
#include "../request.h"
#include "program.h"
#include "rt.h"
#include "sys.h"

_Noreturn void helper_main(long *stack);

/* The kernel enters with argc, argv and envp on the stack and nothing else set up. */
#if defined(__x86_64__)
__asm__(".global _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call helper_main\n");
#elif defined(__aarch64__)
__asm__(".global _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x30, #0\n"
        "    mov x0, sp\n"
        "    bl helper_main\n");
#endif

_Noreturn void helper_main(long *stack)
{
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    char **env = argv + argc + 1;
    const char *command = argc > 1 ? argv[1] : "";

    if (str_equal(command, "hold"))
        sys_exit(command_hold());
    if (str_equal(command, "exec"))
        sys_exit(command_exec(env));
    if (str_equal(command, "attended"))
        sys_exit(command_attended(argv + 2, env));
    if (str_equal(command, "serve"))
        sys_exit(command_serve(env));
    if (str_equal(command, "relay"))
        sys_exit(command_relay(argv + 2, env));
    if (str_equal(command, "lane"))
        sys_exit(command_lane(argv + 2, env));
    if (str_equal(command, "signal"))
        sys_exit(command_signal(argv + 2));
    if (str_equal(command, "renew"))
        sys_exit(command_renew(argv + 2));
    if (str_equal(command, "leased"))
        sys_exit(command_leased(argv + 2));
    if (str_equal(command, "attach"))
        sys_exit(command_attach(argv + 2));
    if (str_equal(command, "pack"))
        sys_exit(command_pack(argv + 2));
    if (str_equal(command, "unpack"))
        sys_exit(command_unpack(argv + 2));
    if (str_equal(command, "probe"))
        sys_exit(command_probe(argv + 2));
    fail(HELPER_EXIT_CANNOT, "do", command,
         "usage: helper hold | exec | attended | serve | probe | relay | lane | attach | pack | "
         "unpack | "
         "signal | renew | leased");
}
