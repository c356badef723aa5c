#!/bin/sh
# Drop every packet of an address (add), and no longer (delete).  IPv4 and IPv6.
#
#   firewall-drop.sh add|delete USER IP [ALERT RULE ...]
#
# nftables: sets drop4 and drop6 in a table of our own, inet ossec, asked in the input and forward hooks.
# iptables, where there is no nft (or OSSEC_FW_TOOL=iptables): a chain of our own, OSSEC (or $OSSEC_FW_CHAIN).
# Both directions may be repeated: what is there already, or gone already, is a success.

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

nft_rules() {
    cat <<EOF
add table inet ossec
add set inet ossec drop4 { type ipv4_addr; }
add set inet ossec drop6 { type ipv6_addr; }
EOF
    if [ "$1" = add ]; then
        cat <<EOF
add chain inet ossec input { type filter hook input priority -10; policy accept; }
add chain inet ossec forward { type filter hook forward priority -10; policy accept; }
flush chain inet ossec input
flush chain inet ossec forward
add rule inet ossec input ip saddr @drop4 drop
add rule inet ossec input ip6 saddr @drop6 drop
add rule inet ossec forward ip saddr @drop4 drop
add rule inet ossec forward ip6 saddr @drop6 drop
EOF
    fi
    # An element that is not there cannot be deleted: so it is added first, in the same transaction.
    printf 'add element inet ossec drop%s { %s }\n' "$family" "$ip"
    [ "$1" = add ] || printf 'delete element inet ossec drop%s { %s }\n' "$family" "$ip"
}

with_nft() {
    said=$(nft_rules "$1" | nft -f - 2>&1) || fail "nft returned $?: $(printf '%s' "$said" | tr -s '[:cntrl:]' ' ')"
}

chain=${OSSEC_FW_CHAIN:-OSSEC}
case $family in 4) tables=iptables ;; *) tables=ip6tables ;; esac

run() {
    said=$("$tables" -w "$@" 2>&1) || fail "$tables returned $?: $(printf '%s' "$said" | tr -s '[:cntrl:]' ' ')"
}

# 0: the rule is there, 1: it is not; anything else ends in failure.
has() {
    said=$("$tables" -w -C "$@" 2>&1)
    status=$?
    [ "$status" -le 1 ] || fail "$tables returned $status: $(printf '%s' "$said" | tr -s '[:cntrl:]' ' ')"
    return "$status"
}

with_iptables() {
    # One at a time, by a lock that the kernel takes back: a check and its insertion belong together.
    if command -v flock >/dev/null; then
        exec 9<"$0"
        flock -w 30 9 || fail 'another one holds the lock'
    fi
    if [ "$1" = add ]; then
        "$tables" -w -n -L "$chain" >/dev/null 2>&1 || run -N "$chain"
        for hook in INPUT FORWARD; do
            has "$hook" -j "$chain" || run -I "$hook" -j "$chain"
        done
        has "$chain" -s "$ip" -j DROP || run -I "$chain" -s "$ip" -j DROP
    else
        for _ in 1 2 3 4 5 6 7 8 9; do # OSSEC's own script makes a rule as often as it is called
            has "$chain" -s "$ip" -j DROP || break
            run -D "$chain" -s "$ip" -j DROP
        done
    fi
}

if [ "${OSSEC_FW_TOOL-nft}" = nft ] && command -v nft >/dev/null; then
    with_nft "$1"
    # A block from before nft came here, or from OSSEC's own script: it must not stay for ever.
    if [ "$1" = delete ] && command -v "$tables" >/dev/null && "$tables" -w -n -L "$chain" >/dev/null 2>&1; then
        with_iptables delete
    fi
elif command -v "$tables" >/dev/null; then
    with_iptables "$1"
else
    fail "neither nft nor $tables is installed"
fi
succeed
