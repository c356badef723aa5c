#!/bin/sh
# install_packages.sh FILE: install the Debian packages that FILE lists, as root on Debian; elsewhere do nothing.
set -eu
command -v apt-get >/dev/null 2>&1 || exit 0
missing=
for package in $(sed 's/#.*//' "$1"); do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "not installed, and only root can:$missing (the tests that need them will skip)"
    exit 0
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # one word a package
apt-get install -qq -y --no-install-recommends $missing >/dev/null
