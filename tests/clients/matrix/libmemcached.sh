# libmemcached's tools.
version=$(memcstat --version | head -n 1 | sed 's/.*[ v]\([0-9][0-9.]*\).*/\1/')
printf 'version libmemcached %s\n' "$version"
servers=--servers=127.0.0.1:$PORT

# section NAME COMMAND...: the command succeeds, or what it printed last is the reason.
section() {
    name=$1
    shift
    if said=$("$@" 2>&1); then
        printf '%s ok\n' "$name"
    else
        printf '%s FAILED: %s\n' "$name" "$(printf '%s' "$said" | tr -s '\n\t ' ' ' | tail -c 250)"
    fi
}

strings() {
    printf 'some text' >word && memccp "$servers" word && test "$(memccat "$servers" word)" = 'some text' &&
        memcexist "$servers" word && memctouch "$servers" --expire=100 word && memcrm "$servers" word &&
        ! memcexist "$servers" word
}

multi_key() {
    for number in 1 2 3 4 5 6 7 8 9; do printf '%s' "$number" >"file$number"; done
    memccp "$servers" file? && test "$(memccat "$servers" file1 file2 file3 file9 | tr -d '\n')" = 1239
}

binary() {
    head -c 300000 /dev/urandom >random && memccp "$servers" random &&
        memccat "$servers" --file=copy random && cmp random copy
}

# All tests of the text protocol; the binary protocol is another one, which the proxy does not have.
capable() {
    memccapable -h 127.0.0.1 -p "$PORT" -a >capable.txt 2>&1
    # The pool of one server has default settings, so it refuses to be flushed.
    if test "$PLACE" = one; then sed -i '/ascii flush/d' capable.txt; fi
    grep -q pass capable.txt && ! grep FAIL capable.txt
}

section connect memcping "$servers"
export servers PORT
section strings strings
section multi-key multi_key
section 'binary values' binary
section 'an error keeps the connection' capable
section pipelines memcslap "$servers" --concurrency=4 --execute-number=200 --test=set
