#!/usr/bin/env bash
# Install what the test cluster is made of, from the distribution, where it is missing.
set -euo pipefail

PATH=/usr/sbin:/sbin:$PATH
missing=()
for name in munged slurmctld slurmd sbatch sacctmgr slurmdbd mariadbd mariadb-install-db; do
    command -v "$name" >/dev/null || missing+=("$name")
done
[ ${#missing[@]} -gt 0 ] || exit 0

refuse() { echo "Not installed: ${missing[*]}. $1" >&2; exit 2; }
command -v apt-get >/dev/null || refuse "This machine has no apt-get: install SLURM, slurmdbd, munge and MariaDB with its own tool."
[ "$(id -u)" = 0 ] || refuse "Only root can install them: sudo tests/slurm/install.sh"

export DEBIAN_FRONTEND=noninteractive
# Packages of daemons start them; the cluster of the tests has its own.
policy=/usr/sbin/policy-rc.d
[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy; chmod 755 $policy; trap 'rm -f $policy' EXIT; }
apt-get update -qq || refuse "apt-get update failed: is there a network?"
apt-get install -y -qq --no-install-recommends slurm-wlm munge slurmdbd mariadb-server ||
    refuse "apt-get install failed; see above."
