# shellcheck shell=bash
# For end-to-end scripts about copies of the workdir; sourced behind lib.sh.
#
#   ignored_tree DIRECTORY    makes it, with files and a .runnerignore that names some of them; those
#                             that git leaves over by the same patterns are in ./expected

ignored_tree() {
    mkdir -p "$1"/{build,sub/build,deps/deep,sub/deep,logs,out/in}
    touch "$1"/{a.log,keep.log,build/x,sub/build/x,deps/deep/y,sub/deps,sub/a.tmp,sub/deep/a.tmp} \
        "$1"/{logs/z,out/in/f,out/g,'#x','a b '}
    cat >"$1/.runnerignore" <<'END'
# No pattern, and neither is the empty line.

*.log
!keep.log
/build
deps/
sub/*.tmp
logs/**
out/*
!out/in
\#x
END
    printf 'a b\\ \n' >>"$1/.runnerignore"
    git init -q --separate-git-dir "$PWD/git" "$1"
    git -C "$1" ls-files --others --exclude-from=.runnerignore | sort >expected
    rm -r git "$1/.git"
}
