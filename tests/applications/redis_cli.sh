# redis-cli: commands, --pipe, --scan, --bigkeys.
printf 'version %s\n' "$(redis-cli --version)"
printf 'note none: SCAN is about the keys of all servers\n'
cli() { redis-cli -h 127.0.0.1 -p "$PORT" "$@"; }

# section NAME FUNCTION: it succeeds, or what it printed last is the reason.
section() {
    if said=$("$2" 2>&1); then
        printf '%s ok\n' "$1"
    else
        printf '%s FAILED: %s\n' "$1" "$(printf '%s' "$said" | tr -s '\n\t ' ' ' | tail -c 250)"
    fi
}

commands() {
    test "$(cli set greeting hello)" = OK && test "$(cli get greeting)" = hello && test "$(cli del greeting)" = 1 &&
        printf 'set a 1\nincr a\n' | cli | tail -n 1 | grep -x 2
}

pipe() {
    number=0
    while test "$number" -lt 2000; do
        printf 'SET key:%s %s\r\n' "$number" "$number"
        number=$((number + 1))
    done >commands
    cli --pipe <commands >said
    cat said
    grep -q 'errors: 0, replies: 2000' said
}

scan() {
    cli --scan --pattern 'key:*' | sort -u | wc -l | grep -x 2000
}

bigkeys() {
    cli rpush biglist 1 2 3 4 5 6 7 8 9
    cli --bigkeys >said
    cat said
    grep -q 'Biggest *list found .*biglist.* has 9 items' said && grep -q 'Sampled 200[12] keys' said
}

memkeys() {
    cli --memkeys >said
    cat said
    grep -q 'Biggest *list found .*biglist' said
}

section commands commands
section 'mass insertion (--pipe)' pipe
section 'all keys (--scan)' scan
section 'the largest keys (--bigkeys)' bigkeys
section 'the keys with most memory (--memkeys)' memkeys
