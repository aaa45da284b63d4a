#!/bin/sh
# Makes a Debian 13 root with RabbitMQ 4 in a folder, for tests on a machine whose own is older.
#
#   scripts/rabbitmq4.sh FOLDER
#   IMGBATCH_TEST_BROKER=FOLDER pytest -m broker
#
# Needs root and debootstrap; takes 350 MB and, with a near mirror, about a minute. A folder that
# is complete already is left as it is. Nothing is started here: the tests start a private node in
# it by chroot, and stop it.
set -eu

root=${1:?"usage: $0 FOLDER"}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

if [ -x "$root/usr/lib/rabbitmq/bin/rabbitmq-server" ]; then
    exit 0
fi
# Installing starts no service in there, and RabbitMQ's own scripts find a host name.
debootstrap --variant=minbase trixie "$root" "$mirror"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$root/etc/resolv.conf"
echo "127.0.0.1 localhost $(hostname)" > "$root/etc/hosts"
DEBIAN_FRONTEND=noninteractive chroot "$root" \
    apt-get install --quiet --yes --no-install-recommends rabbitmq-server
chroot "$root" apt-get clean
