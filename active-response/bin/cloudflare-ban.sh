#!/usr/bin/env python3
"""Block an address at Cloudflare (add), and no longer (delete).  Both may be repeated.

    cloudflare-ban.sh add|delete USER IP [ALERT RULE ...]

etc/cloudflare.secret holds an API token that may edit firewall access rules, and is for root only (chmod 600); a
second word says where they are: user (the default), zones/ID or accounts/ID; a third is the address of another API.
"""

import ipaddress
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# --- the same in every script that talks to a service ---
HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(sys.argv[0]))))
ACTION, USER, IP, ALERT, RULE = (sys.argv[1:] + [""] * 5)[:5]
CALL = " ".join([sys.argv[0], ACTION, USER, IP, ALERT, RULE])
PATIENCE = 20  # seconds for an answer
MAX_ANSWER = 1024 * 1024
MAX_TAIL = 1024 * 1024  # bytes at the end of alerts.log in which the alert is looked for


def note(text):
    line = time.strftime("%a %b %e %H:%M:%S %Z %Y ") + text + "\n"
    with open(os.path.join(HOME, "logs", "active-responses.log"), "ab") as log:
        log.write(line.encode("utf-8", "surrogateescape"))


def fail(reason):
    reason = "".join(c if c.isprintable() else " " for c in reason)
    note("Unable to run (%s) - %s" % (reason, CALL))
    print(reason, file=sys.stderr)
    sys.exit(1)


def secret(name):
    """The words in a file of etc/, which nobody else may read."""
    path = os.path.join(HOME, "etc", name)
    try:
        with open(path, encoding="ascii") as source:
            if os.fstat(source.fileno()).st_mode & 0o007:
                fail(path + " can be read by everybody: chmod o= it")
            words = source.read().split()
    except (OSError, UnicodeError) as error:
        fail("%s: %s" % (path, error))
    return words or fail(path + " is empty")


def ask(method, url, body=None, headers=None):
    """The JSON answer of the service ({} where it is none), and its status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            status, text = answer.status, answer.read(MAX_ANSWER)
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read(MAX_ANSWER)
    except (OSError, ValueError) as error:  # the URL may be a secret: it is not shown
        fail("no answer: %s" % getattr(error, "reason", type(error).__name__))
    try:
        value = json.loads(text)
    except ValueError:
        value = {}
    return status, value if isinstance(value, dict) else {}


def alert_text():
    """What alerts.log says of this alert."""
    try:
        with open(os.path.join(HOME, "logs", "alerts", "alerts.log"), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - MAX_TAIL))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        text = ""
    start = text.rfind("** Alert %s:" % ALERT)
    if start < 0:
        return "Alert %s of rule %s, user %s, address %s" % (ALERT, RULE, USER, IP)
    return text[start:].split("\n\n", 1)[0]


if ACTION not in ("add", "delete"):
    fail("usage: %s add|delete USER IP [ALERT RULE ...]" % sys.argv[0])
if not CALL.isprintable():
    CALL = sys.argv[0] + " (control characters)"
    fail("control characters in the arguments")
# --- until here ---

API = "https://api.cloudflare.com/client/v4"
EXISTS = 10009  # there is such a rule
MARK = "OSSEC"  # the note on our rules: only those are taken away

try:
    address = ipaddress.ip_address(IP)
except ValueError:
    fail("invalid IP: '%s'" % IP)
if address.version == 6 and address.ipv4_mapped:
    address = address.ipv4_mapped
target = "ip6" if address.version == 6 else "ip"
(token, *more) = secret("cloudflare.secret")
scope, api = (more + ["user", API][len(more) :])[:2]
rules = "%s/%s/firewall/access_rules/rules" % (api, scope)
headers = {"Authorization": "Bearer " + token}


def check(status, answer, *accepted):
    codes = [error.get("code") for error in answer.get("errors") or []]
    if not (status == 200 and answer.get("success")) and not (codes and set(codes) <= set(accepted)):
        fail("Cloudflare answered %d %s" % (status, json.dumps(answer.get("errors"))))


if ACTION == "add":
    rule = {"mode": "block", "configuration": {"target": target, "value": str(address)}, "notes": MARK}
    check(*ask("POST", rules, rule, headers), EXISTS)
else:
    query = {"mode": "block", "configuration.target": target, "configuration.value": str(address), "notes": MARK}
    status, found = ask("GET", rules + "?" + urllib.parse.urlencode(query), None, headers)
    check(status, found)
    for rule in found.get("result") or []:
        if rule.get("notes") == MARK and rule.get("configuration", {}).get("value") == str(address):
            check(*ask("DELETE", "%s/%s" % (rules, rule["id"]), None, headers))
note(CALL)
