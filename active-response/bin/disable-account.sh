#!/bin/sh
# Lock the password of an account (add), and unlock it (delete).
#
#   disable-account.sh add|delete USER [IP ALERT RULE ...]
#
# Never root, nor another account with its number.  What somebody else has locked before stays locked afterwards: the
# accounts that this script has locked are listed in active-response/locked-accounts.

# --- the same in every script of this folder ---
PATH=$PATH:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
call="$0 ${1-} ${2-} ${3-} ${4-} ${5-}"
case $0 in */*) home=${0%/*}/../.. ;; *) home=../.. ;; esac

note() {
    printf '%s %s\n' "$(date '+%a %b %e %H:%M:%S %Z %Y')" "$1" >>"$home/logs/active-responses.log"
}
fail() {
    note "Unable to run ($1) - $call"
    printf '%s\n' "$1" >&2
    exit 1
}
succeed() {
    note "$call"
    exit 0
}

case $call in *[[:cntrl:]]*) call="$0 (control characters)" && fail 'control characters in the arguments' ;; esac
case ${1-} in add | delete) ;; *) fail "usage: $0 add|delete USER IP [ALERT RULE ...]" ;; esac
# --- until here ---

user=${2-}
case $user in '' | *[!A-Za-z0-9._@-]* | [-@.]*) fail "invalid user: '$user'" ;; esac
command -v passwd >/dev/null || fail 'passwd is not installed'
command -v flock >/dev/null || fail 'flock is not installed'
exec 9<"$0"
flock -w 30 9 || fail 'another one holds the lock'

list=$home/active-response/locked-accounts
is_listed() { [ -e "$list" ] && grep -Fqx -e "$user" "$list"; }
change() {
    said=$(passwd "$1" "$user" 2>&1) || fail "passwd returned $?: $(printf '%s' "$said" | tr -s '[:cntrl:]' ' ')"
}

if [ "$1" = add ]; then
    number=$(id -u "$user" 2>/dev/null) || fail "no such user: '$user'"
    [ "$number" -ne 0 ] || fail "'$user' is root"
    if ! is_listed; then
        case $(passwd -S "$user" 2>/dev/null) in
        "$user L "* | "$user LK "*) succeed ;; # locked by somebody else: not ours to unlock later
        esac
        printf '%s\n' "$user" 2>/dev/null >>"$list" || fail "$list cannot be written"
    fi
    change -l
elif is_listed; then
    id -u "$user" >/dev/null 2>&1 && change -u
    new=$list.new
    grep -Fvx -e "$user" "$list" >"$new"
    if [ $? -gt 1 ] || ! mv -f "$new" "$list"; then fail "$list cannot be written"; fi
fi
succeed
