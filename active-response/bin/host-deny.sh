#!/bin/sh
# Refuse an address or host name in /etc/hosts.deny (add), and no longer (delete): a line ALL:IP, or ALL:[IPv6].
#
#   host-deny.sh add|delete USER IP|NAME [ALERT RULE ...]
#
# $OSSEC_HOSTS_DENY names another file.

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

# --- the same in every script that takes an address ---
is_ipv4() {
    rest=$1. count=0
    while [ -n "$rest" ]; do
        part=${rest%%.*} rest=${rest#*.} count=$((count + 1))
        case $part in '' | *[!0-9]* | ????* | 0?*) return 1 ;; esac
        [ "$part" -le 255 ] || return 1
    done
    [ "$count" -eq 4 ]
}

is_ipv6() {
    case $1 in *::*::* | *:::* | :[!:]* | *[!:]: | *.*:*) return 1 ;; esac
    tail=$1
    case $1 in *.*) is_ipv4 "${1##*:}" && tail=${1%:*}:0:0 || return 1 ;; esac
    case $tail in *::*) most=7 least=0 ;; *) most=8 least=8 ;; esac
    rest=$tail: count=0
    while [ -n "$rest" ]; do
        part=${rest%%:*} rest=${rest#*:}
        case $part in '') continue ;; *[!0-9a-fA-F]* | ?????*) return 1 ;; esac
        count=$((count + 1))
    done
    [ "$count" -ge "$least" ] && [ "$count" -le "$most" ]
}

# Sets ip and family; a zone goes, and an IPv4 address in IPv6 clothes is an IPv4 address.
ip=${3-} family=
case $ip in
*:*%*) ip=${ip%%\%*} ;;
::[fF][fF][fF][fF]:*.*.*.*) ip=${ip##*:} ;;
esac
case $ip in
*:*) is_ipv6 "$ip" && family=6 ;;
*) is_ipv4 "$ip" && family=4 ;;
esac
# --- until here ---

case $family in
4) line=ALL:$ip ;;
6) line=ALL:[$ip] ;;
*)
    case $ip in
    *[!A-Za-z0-9._-]* | [.-]* | *..* | *.) fail "invalid IP or host name: '$ip'" ;;
    *.*[A-Za-z]*) line=ALL:$ip ;;
    *) fail "invalid IP or host name: '$ip'" ;;
    esac
    ;;
esac

made=$home/active-response/hosts-deny-made # there while a hosts.deny that we made is
file=$(readlink -f "${OSSEC_HOSTS_DENY:-/etc/hosts.deny}") || fail "no such folder: ${OSSEC_HOSTS_DENY-}"
# One at a time, by a lock that the kernel takes back.
command -v flock >/dev/null || fail 'flock is not installed'
exec 9<"$0"
flock -w 30 9 || fail 'another one holds the lock'

if [ "$1" = add ]; then
    if [ ! -e "$file" ]; then # tcpd reads it as anybody
        (umask 022 && : >"$file") || fail "$file cannot be written"
        : 2>/dev/null >"$made"
    fi
    if ! grep -Fqx -e "$line" "$file"; then
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            line="
$line"
        fi
        printf '%s\n' "$line" 2>/dev/null >>"$file" || fail "$file cannot be written"
    fi
elif [ -e "$file" ] && grep -Fqx -e "$line" "$file"; then
    new=$file.ossec
    cp -p "$file" "$new" 2>/dev/null || fail "$new cannot be written"
    grep -Fvx -e "$line" "$file" >"$new"
    if [ $? -gt 1 ]; then
        rm -f "$new"
        fail "$new cannot be written"
    fi
    # A file that is mounted cannot be replaced, only written.
    mv -f "$new" "$file" 2>/dev/null || { cat "$new" >"$file" && rm -f "$new"; } || fail "$file cannot be written"
    if [ -e "$made" ] && [ ! -s "$file" ]; then rm -f "$file" "$made"; fi
fi
succeed
