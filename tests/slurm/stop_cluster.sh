#!/usr/bin/env bash
# Stop the cluster in $SLURM_SANDBOX, by the process ids that it wrote itself. `--purge` removes its folder too.
set -uo pipefail

S=${SLURM_SANDBOX:-/tmp/slurm-sandbox}
export SLURM_CONF=$S/etc/slurm.conf

alive() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

stop() {  # file of the process id: TERM, and KILL after 10 s
    local file=$1 pid tries
    [ -s "$file" ] || return 0
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep .1
    done
    kill -9 "$pid" 2>/dev/null
    rm -f "$file"
}

cancel_jobs() {
    alive "$S/run/slurmctld.pid" || return 0
    timeout 5 scancel --user="$(id -un)" 2>/dev/null && sleep 1
}

stop_nodes() {
    local file
    for file in "$S"/run/slurmd-*.pid; do stop "$file" & done
    wait
}

remove_cgroups() {  # empty ones are left behind
    local name folder
    for name in $(sed -n 's/^NodeName=\([^ ]*\).*/\1/p' "$SLURM_CONF" 2>/dev/null); do
        for folder in /sys/fs/cgroup/*/slurm_"$name"; do
            [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null
        done
    done
}

[ -d "$S" ] || exit 0
cancel_jobs
stop_nodes
for daemon in slurmctld slurmdbd mariadbd munged; do stop "$S/run/$daemon.pid"; done
remove_cgroups
[ "${1:-}" != --purge ] || rm -rf "$S"
exit 0
