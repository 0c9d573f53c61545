/* For which machine an executable is. */
#pragma once

/* Says in words of image specifications ("amd64", "arm64") for what machine the file is, and which
 * one this is; NULL when it is no ELF file, or one for this machine. Source: System V ABI, "ELF
 * Header"; its registry of machine numbers. */
const char *elf_foreign(const char *path);
