/* A plugin without a shell: counts the lines of a file, and fails when there are too many. */
#include "pipeline-plugin.h"

int main(void)
{
    const char *path = plugin_setting("file", NULL);
    long most = plugin_integer("most", 100, 1, 1000000);
    char *job = plugin_context("job", "name", (char *)NULL);
    char count[32];
    long lines = 0;
    FILE *file;
    int c;

    plugin_require("file", (char *)NULL);
    file = fopen(path, "r");
    if (!file)
        plugin_fail(1, "cannot read %s: %s", path, strerror(errno));
    while ((c = getc(file)) != EOF)
        lines += c == '\n';
    fclose(file);
    printf("%s has %ld lines, says %s\n", path, lines, job ? job : "nobody");
    free(job);
    snprintf(count, sizeof(count), "%ld", lines);
    plugin_output("lines", count);
    if (lines > most)
        plugin_fail(1, "%s has more than %ld lines", path, most);
    return 0;
}
