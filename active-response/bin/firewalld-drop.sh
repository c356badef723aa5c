#!/bin/sh
# Drop every packet of an address with firewalld (add), and no longer (delete): a rich rule, until firewalld reloads.
#
#   firewalld-drop.sh add|delete USER IP [ALERT RULE ...]

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

[ -n "$family" ] || fail "invalid IP: '${3-}'"
command -v firewall-cmd >/dev/null || fail 'firewall-cmd is not installed'

case $1 in add) option=--add-rich-rule ;; *) option=--remove-rich-rule ;; esac
said=$(firewall-cmd "$option=rule family='ipv$family' source address='$ip' drop" 2>&1)
status=$?
case $status in
0 | 11 | 12) succeed ;; # 11: was there already, 12: was not there
*) fail "firewall-cmd returned $status: $(printf '%s' "$said" | tr -s '[:cntrl:]' ' ')" ;;
esac
