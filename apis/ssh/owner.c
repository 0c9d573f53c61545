#include "apis/ssh/owner.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether nobody but the owner is in the group: where each user has a group of their own, what they
 * write is often open to it. */
static bool is_group_of(gid_t gid, uid_t uid)
{
    struct passwd user, *found_user = NULL;
    struct group group, *found_group = NULL;
    char user_storage[4096], group_storage[4096];

    if (getpwuid_r(uid, &user, user_storage, sizeof(user_storage), &found_user) != 0 ||
        getgrgid_r(gid, &group, group_storage, sizeof(group_storage), &found_group) != 0 ||
        !found_user || !found_group || user.pw_gid != gid ||
        strcmp(user.pw_name, group.gr_name) != 0)
        return false;
    for (char **member = group.gr_mem; *member; member++)
        if (strcmp(*member, user.pw_name) != 0)
            return false;
    return true;
}

int ssh_check_owner(int fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot look at %s", path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(err, ERR_DENIED,
                       "%s: bad owner: it belongs to neither the user of this process nor root",
                       path);
    if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && !is_group_of(st.st_gid, st.st_uid)))
        return err_set(err, ERR_DENIED,
                       "%s: bad permissions: others may write to it; take that away with: chmod "
                       "go-w %s",
                       path, path);
    return 0;
}
