# What becomes of a machine on which the packages are installed, upgraded and removed.
cd /debs

step() {
    printf '\n=== %s\n' "$*"
}

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

# is WHAT ACTUAL EXPECTED
is() {
    [ "$2" = "$3" ] || fail "$1: '$2' instead of '$3'"
}

# wait_for WHAT COMMAND...
wait_for() {
    what=$1
    shift
    for _ in $(seq 100); do
        if "$@" > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "no $what"
}

answers() {
    bash -c "exec 3<> /dev/tcp/127.0.0.1/$1"
}

# field UNIT KEY: a line of a unit.
field() {
    sed -n "s/^$2=//p" "$1"
}

# as_unit UNIT KEY: does what a line of a unit says, as the unit's user and with its environment. The shell splits a
# variable at blanks, as systemd does.
as_unit() {
    user=$(field "$1" User)
    setpriv --reuid="$user" --regid="$user" --init-groups --no-new-privs sh -euc "
        set -a
        $(field "$1" Environment)
        $(field "$1" EnvironmentFile | sed 's/^-/. /')
        set +a
        exec $(field "$1" "$2")"
}

state_of() {
    dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2> /dev/null | tr -d ' ' || true
}

# Nothing of earlier installations. No service is started: there is no systemd here.
dpkg --purge nuthatch-nutcracker nuthatch nutcracker > /dev/null 2>&1 || true
rm -rf /etc/nutcracker/* /run/systemd

step "a machine with Debian's nutcracker, configured"
dpkg --install nutcracker_*.deb
cat > /etc/nutcracker/nutcracker.yml << 'YAML'
alpha:
  listen: 127.0.0.1:22131
  redis: true
  servers:
    - 127.0.0.1:1:1
YAML
echo '# mine' >> /etc/default/nutcracker
before=$(cat /etc/nutcracker/nutcracker.yml /etc/default/nutcracker | sha256sum)

step "nuthatch beside it"
dpkg --install nuthatch.deb
is "its state" "$(state_of nuthatch)" ii
is "nutcracker's state" "$(state_of nutcracker)" ii
is "differences from the package" "$(dpkg --verify nuthatch)" ""
is "its log's folder" "$(stat -c '%U:%G %a' /var/log/nuthatch)" "nuthatch:adm 2750"
is "its configuration's owner" "$(stat -c '%U:%G %a' /etc/nuthatch/nuthatch.yml)" "root:nuthatch 640"
unit=/usr/lib/systemd/system/nuthatch.service
systemd-analyze verify "$unit"
for file in /usr/share/bash-completion/completions/nuthatch /usr/share/zsh/vendor-completions/_nuthatch \
    /usr/share/fish/vendor_completions.d/nuthatch.fish /usr/share/man/man8/nuthatch.8.gz /usr/share/man/man8/nuthatch-ctl-drain.8.gz; do
    [ -s "$file" ] || fail "no $file"
done
nuthatch check --deny all /etc/nuthatch/nuthatch.yml
logrotate --debug /etc/logrotate.d/nuthatch 2>&1 | grep -q '/var/log/nuthatch/\*.log' || fail "logrotate"

step "the service, as its unit says"
install -d -o nuthatch -g nuthatch /run/nuthatch
as_unit "$unit" ExecStart &
proxy=$!
wait_for "proxy at its port" answers 22121
wait_for "control socket" test -S /run/nuthatch/control.sock
as_unit "$unit" ExecReload
sed -i 's/timeout: 400/timeout: never/' /etc/nuthatch/nuthatch.yml
if as_unit "$unit" ExecReload; then fail "a file with errors was reloaded"; fi
sed -i 's/timeout: never/timeout: 500/' /etc/nuthatch/nuthatch.yml
as_unit "$unit" ExecReload
NUTHATCH_CONTROL=/run/nuthatch/control.sock nuthatch ctl shutdown
wait "$proxy" || fail "it did not end well"

step "nuthatch anew, over a changed configuration"
dpkg --install nuthatch.deb
grep -q 'timeout: 500' /etc/nuthatch/nuthatch.yml || fail "the configuration was replaced"
is "its configuration's owner" "$(stat -c '%U:%G %a' /etc/nuthatch/nuthatch.yml)" "root:nuthatch 640"

step "nuthatch-nutcracker in place of nutcracker"
dpkg --install nuthatch-nutcracker.deb
is "its state" "$(state_of nuthatch-nutcracker)" ii
# dpkg alone leaves it wanted, apt does not; only its configuration is there.
is "nutcracker's state" "$(state_of nutcracker | tail -c 1)" c
is "the program" "$(readlink -f /usr/sbin/nutcracker)" /usr/bin/nuthatch
is "what was configured" "$(cat /etc/nutcracker/nutcracker.yml /etc/default/nutcracker | sha256sum)" "$before"
unit=/lib/systemd/system/nutcracker.service
grep -q nuthatch "$unit" || fail "the unit is not ours"
systemd-analyze verify "$unit"
nutcracker -V 2>&1 | grep -q '^This is nutcracker-0.5.0$' || fail "its version"
nutcracker --test-conf --conf-file=/etc/nutcracker/nutcracker.yml
as_unit "$unit" ExecStart &
proxy=$!
wait_for "proxy at its port" answers 22131
wait_for "log" grep -q 'started on pid' /var/log/nutcracker/nutcracker.log
kill "$(pgrep -u nutcracker)"
wait "$proxy" || fail "it did not end well"

step "what remains of Debian's nutcracker is purged: its user and its log are, too, and come back"
dpkg --purge nutcracker
dpkg-reconfigure nuthatch-nutcracker
is "its log's folder" "$(stat -c '%U:%G %a' /var/log/nutcracker)" "nutcracker:adm 2755"
[ -e /etc/default/nutcracker ] || fail "the options were purged"
[ -e /etc/logrotate.d/nutcracker ] || fail "the log's rotation was purged"
is "differences from the package" "$(dpkg --verify nuthatch-nutcracker | grep -v /etc/default/nutcracker || true)" ""

step "back to Debian's nutcracker"
dpkg --remove nuthatch-nutcracker
dpkg --install nutcracker_*.deb
is "the program" "$(readlink -f /usr/sbin/nutcracker)" /usr/sbin/nutcracker
is "what was configured" "$(cat /etc/nutcracker/nutcracker.yml /etc/default/nutcracker | sha256sum)" "$before"
dpkg --purge nuthatch-nutcracker
[ -s /etc/default/nutcracker ] || fail "the options of Debian's nutcracker were removed"
[ -d /var/log/nutcracker ] || fail "the log of Debian's nutcracker was removed"
id nutcracker > /dev/null || fail "the user of Debian's nutcracker was removed"

step "both at once, and everything removed"
dpkg --purge nuthatch
dpkg --install nuthatch.deb nuthatch-nutcracker.deb
is "its state" "$(state_of nuthatch-nutcracker)" ii
is "the program" "$(readlink -f /usr/sbin/nutcracker)" /usr/bin/nuthatch
is "what was configured" "$(cat /etc/nutcracker/nutcracker.yml /etc/default/nutcracker | sha256sum)" "$before"
dpkg --purge nuthatch-nutcracker nuthatch nutcracker
for left in /usr/bin/nuthatch /usr/sbin/nutcracker /var/log/nuthatch /var/log/nutcracker /etc/nuthatch /etc/default/nuthatch /etc/logrotate.d/nuthatch \
    /usr/lib/systemd/system/nuthatch.service; do
    [ ! -e "$left" ] || fail "$left is left"
done
for user in nuthatch nutcracker; do
    if id "$user" 2> /dev/null; then fail "the user $user is left"; fi
done
