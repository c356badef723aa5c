#!/bin/sh
# Restart the suite of this home (add); delete does nothing.
#
#   restart-ossec.sh add|delete [USER IP ALERT RULE ...]
#
# The restart ends the execd that has called us: so the line is written first, and nothing is read from us later.

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

note "$call"
[ "$1" = delete ] && exit 0
control=$home/bin/ossec-control
[ -x "$control" ] || fail "no $control"
unset OSSEC_AR_BLOCK OSSEC_AR_HOME # what starts now works on no response
exec "$control" restart >/dev/null 2>&1 </dev/null
